"""What a checkpoint file itself says of when it was saved: its global step, its epoch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from convviz_widgets.checkpoints.bounds import read_regular
from convviz_widgets.checkpoints.training_time import TrainingTime
from convviz_widgets.errors import CheckpointError, whole_number

_STEPS = ("global_step", "global_steps", "num_updates", "iteration", "iter", "iter_num", "step")
_EPOCHS = ("epoch",)
_PLACES = ("meta", "trainer_state", "train_iterator")  # MMEngine's, and fairseq's, which nests it
_NESTED = "extra_state"
_SAVED_BY_TRAINER = re.compile(r"(?:pytorch_model|model|adapter_model)\.(?:bin|safetensors)\b.*")
_TRAINER_STATE = "trainer_state.json"


def time_inside(content: object) -> TrainingTime:
    """Return the step and the epoch that a file notes beside its weights.

    Parameters
    ----------
    content : what ``torch.load`` returns, or the metadata of a safetensors file.

    >>> time_inside({"epoch": 3, "global_step": 400, "state_dict": {}})
    TrainingTime(step=400, epoch=3, number=None)
    """
    places = list(_places(content))
    return TrainingTime(step=_first(places, _STEPS), epoch=_first(places, _EPOCHS))


def time_beside(path: Path, max_bytes: int) -> TrainingTime:
    """Return what the Trainer of Hugging Face notes beside the weights that it saves."""
    if _SAVED_BY_TRAINER.fullmatch(path.name):
        with suppress(OSError, CheckpointError, ValueError, RecursionError):
            return time_inside(json.loads(read_regular(path.parent / _TRAINER_STATE, max_bytes)))
    return TrainingTime()


def _places(content: object) -> Iterator[Mapping]:
    if isinstance(content, Mapping):
        yield content
        nested = content.get(_NESTED)
        for outer in (content, nested if isinstance(nested, Mapping) else {}):
            yield from (outer[key] for key in _PLACES if isinstance(outer.get(key), Mapping))
        if isinstance(nested, Mapping):
            yield nested


def _first(places: list[Mapping], keys: tuple[str, ...]) -> int | None:
    counts = (_count(place[key]) for place in places for key in keys if key in place)
    return next((count for count in counts if count is not None), None)


def _count(value: object) -> int | None:
    """Return a whole number from 0 on, written as text or as a decimal, too; None for others."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_plain = isinstance(value, int)  # a tensor of this name may be a buffer of the model
    count = whole_number(value) if is_plain else None
    return count if count is not None and 0 <= count < 2**53 else None
