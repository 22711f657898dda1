"""Timeline: a state's checkpoints in order of step, files and captures of the live model."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from convviz_widgets.checkpoints import CheckpointSeries, Steps, TrainingTime
from convviz_widgets.checkpoints.listing import Listing
from convviz_widgets.checkpoints.training_time import STEP
from convviz_widgets.errors import InputError, in_one_line, whole_number

Weights = Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """One checkpoint: its step, the identity of its weights, and how to get them."""

    step: int
    key: Hashable
    load: Callable[[], Weights]
    nbytes: int = 0
    label: str = ""
    """What it is called in few words: "step 1,500", "epoch 9", or "best.pt" by its file."""
    time: TrainingTime = field(default_factory=TrainingTime)
    """When in the training it was saved, as far as that is known."""

    @property
    def name(self) -> str:
        """What it is called where there is room: "epoch 3 · step 400" if both are known."""
        known = self.time.label("epoch"), self.time.label("step")
        return " · ".join(filter(None, known)) if all(known) else self.label

    def failure(self, error: Exception) -> str:
        """Return one line on what cannot be done at this checkpoint."""
        return f"{self.name}: {in_one_line(error)}"


class Timeline:
    """Merge a series of checkpoints with captures, by step; a file replaces a capture of its step.

    As long as there is no file, the timeline starts with ``original``: the weights that the model
    had.
    """

    def __init__(
        self,
        series: CheckpointSeries | None,
        original: Callable[[], Weights],
        steps_per_epoch: int | None = None,
    ) -> None:
        self._series, self._steps_per_epoch = series, steps_per_epoch
        self._original = _counted(0, ("original",), original)
        self._pending: deque[Entry] = deque()
        self._captures: dict[int, Entry] = {}
        self._captured = 0
        self._entries: tuple[Entry, ...] = ()
        self._merge()

    @property
    def steps(self) -> Steps:
        """Ascending numbers of the checkpoints, with what they count and are called."""
        return self._steps

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All of them at one moment, in order."""
        return self._entries

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """Identities of the checkpoints, in order."""
        return tuple(entry.key for entry in self._entries)

    @property
    def by_key(self) -> dict[Hashable, Entry]:
        """The checkpoints by the identity of their weights."""
        return {entry.key: entry for entry in self._entries}

    @property
    def captured_bytes(self) -> int:
        """Bytes held by captures that no file has replaced."""
        return sum(entry.nbytes for entry in self._captures.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]

    def index_of(self, key: Hashable, step: int) -> int:
        """Return where ``key`` is now; if it is gone, the last checkpoint at or before ``step``."""
        if key in self.keys:
            return self.keys.index(key)
        return at_or_before(self._steps, step)

    def capture(self, model: nn.Module, step: int) -> None:
        """Clone the weights of ``model`` as they are now.

        Called by the training thread between two steps: it takes no lock, and a deque's append is
        atomic. The next ``refresh`` takes the capture up.

        Raises
        ------
        InputError
            For a step that is no whole number from 0 on.
        """
        number = whole_number(step)
        if number is None or number < 0:
            raise InputError(f"step {step!r}: a step is a whole number from 0 on")
        weights = {name: _copied(value) for name, value in model.state_dict().items()}
        self._captured += 1
        nbytes = sum(value.nbytes for value in weights.values() if isinstance(value, Tensor))
        key = ("capture", self._captured, number)
        self._pending.append(_counted(number, key, lambda: weights, nbytes))

    def refresh(self) -> int:
        """Take up captures and new files; return how many checkpoints there are more."""
        before = len(self._entries)
        while self._pending:
            entry = self._pending.popleft()
            self._captures[entry.step] = entry
        if self._series is not None:
            self._series.refresh()
        self._merge()
        return len(self._entries) - before

    def close(self) -> None:
        """Let go of the captured and the original weights; the steps stay."""
        self._pending.clear()
        self._captures.clear()
        self._original = replace(self._original, load=dict)
        self._entries = tuple(replace(entry, load=dict) for entry in self._entries)

    def _merge(self) -> None:
        listing = None if self._series is None else self._series.listing
        files = [] if listing is None else self._file_entries(listing)
        for entry in files:
            self._captures.pop(entry.step, None)
        first = [] if files or self._original.step in self._captures else [self._original]
        entries = sorted([*first, *files, *self._captures.values()], key=lambda entry: entry.step)
        self._entries = tuple(entries)
        self._steps = Steps(
            (entry.step for entry in entries),
            listing.unit if files and listing else STEP,
            (entry.label for entry in entries),
            (entry.time for entry in entries),
            self._steps_per_epoch
            or (None if self._series is None else self._series.steps_per_epoch),
        )

    def _file_entries(self, listing: Listing) -> list[Entry]:
        series = self._series
        assert series is not None, "there is no listing without a series"

        def loader(key: Hashable) -> Callable[[], Weights]:
            return lambda: series.load_key(key)

        listed = zip(listing.items, listing.labels, listing.times, strict=True)
        return [
            Entry(step, key, loader(key), label=label, time=time)
            for (step, key), label, time in listed
        ]


def _counted(step: int, key: Hashable, load: Callable[[], Weights], nbytes: int = 0) -> Entry:
    """Return the live model's weights at a step."""
    return Entry(step, key, load, nbytes, f"step {step:,}", TrainingTime(step=step))


def at_or_before(steps: tuple[int, ...], step: int) -> int:
    """Return the index of the last step at or before ``step``; of the first, if there is none."""
    return max(0, bisect_right(steps, step) - 1)


def _copied(value: Any) -> Any:
    """Return a copy of a state_dict's value; what ``get_extra_state`` gives may be anything."""
    return value.detach().clone() if isinstance(value, Tensor) else copy.deepcopy(value)
