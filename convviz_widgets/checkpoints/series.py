"""CheckpointSeries: a training run's checkpoints in the order of their steps."""

from __future__ import annotations

import itertools
import operator
import os
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor

from convviz_widgets.checkpoints.directory import CheckpointDirectory, CheckpointFile, Item, Listing
from convviz_widgets.checkpoints.reader import read_checkpoint
from convviz_widgets.checkpoints.state_dicts import find_state_dict
from convviz_widgets.checkpoints.steps import Steps
from convviz_widgets.checkpoints.training_time import TrainingTime
from convviz_widgets.errors import CheckpointError, InputError

_serial = itertools.count()


@dataclass(frozen=True)
class _InMemory:
    name: str
    serial: int

    def __str__(self) -> str:
        return self.name


class CheckpointSeries:
    """Checkpoints by index, ascending in training step, loaded one at a time and never kept.

    Made by `from_directory` or `from_state_dicts`. May be used from several threads: a listing is
    replaced as a whole, by one `refresh` at a time, and nothing else is shared but the notes on
    files that failed.

    Examples
    --------
    >>> weights = nn.Linear(2, 1).state_dict()
    >>> series = cvw.CheckpointSeries.from_state_dicts([(100, weights), (0, weights)])
    >>> series.steps
    (0, 100)
    >>> list(series.load(1))
    ['weight', 'bias']
    """

    def __init__(
        self,
        look: Callable[[], Listing],
        read: Callable[[Any], dict[str, Tensor]],
        first: Listing,
        *,
        steps_per_epoch: int | None = None,
    ) -> None:
        self._steps_per_epoch = steps_per_epoch
        self._look = look
        self._read = read
        self._listing = first
        self._refreshing = threading.Lock()  # else the slower of two puts its older listing back
        self._failures: dict[str, tuple[Item, str]] = {}

    @classmethod
    def from_directory(
        cls,
        path: str | os.PathLike[str],
        *,
        pattern: str | None = None,
        state_dict_key: str | None = None,
    ) -> CheckpointSeries:
        """Return the checkpoints of a directory; only names and stat are read now.

        The step is read off the name (see `step_of`); of two files of one step the newest
        counts and the other is told of in `problems`; names without a number ("best.pt") come in
        natural order behind the others, their steps counted on from the last. Temporary names
        are skipped, and so are files that changed within the last 250 ms, until they settle; this
        waits for the latter once.

        Parameters
        ----------
        path : the directory; a leading ``~`` is the user's home.
        pattern : glob below it, such as ``"*-ema.pt"`` or ``"checkpoint-*/model.safetensors"``.
            None: its .safetensors, .pt, .pth and .ckpt files.
        state_dict_key : where in each file the state dict is; see `find_state_dict`.

        Raises
        ------
        CheckpointError
            When there is no such directory, or no checkpoint in it.
        """
        directory = CheckpointDirectory(path, pattern)

        def read(file: CheckpointFile) -> dict[str, Tensor]:
            return read_checkpoint(file.path, state_dict_key=state_dict_key)

        return cls(directory.listing, read, directory.listing(wait=True))

    @classmethod
    def from_state_dicts(
        cls, state_dicts: Iterable[tuple[int, Mapping[str, Tensor]]]
    ) -> CheckpointSeries:
        """Return checkpoints that are in memory.

        The tensors are copied now: those of ``model.state_dict()`` go on changing with the model.

        Parameters
        ----------
        state_dicts : pairs of step and state dict, in any order; of one step the last counts.

        Raises
        ------
        InputError
            For anything but such pairs.
        CheckpointError
            For a state dict without tensors.
        """
        kept = {}
        for pair in state_dicts:
            step, tensors = _checked_pair(pair)
            kept[step] = _InMemory(f"step {step}", next(_serial)), tensors
        if not kept:
            raise CheckpointError("no state dicts: expected [(step, state_dict), ...]")
        listing = Listing(tuple((step, kept[step][0]) for step in sorted(kept)))
        weights = dict(kept.values())
        return cls(lambda: listing, lambda item: _copies(weights[item]), listing)

    def __len__(self) -> int:
        return len(self._listing.items)

    def __repr__(self) -> str:
        steps = self.steps
        span = f": steps {steps[0]} to {steps[-1]}" if steps else ""
        return f"<CheckpointSeries of {len(steps)}{span}>"

    @property
    def steps(self) -> Steps:
        """Numbers of `unit`, ascending, none twice: a tuple of int that knows what they count."""
        listing = self._listing
        known = listing.unit, listing.labels, listing.times
        return Steps((step for step, _ in listing.items), *known, self._steps_per_epoch)

    @property
    def times(self) -> tuple[TrainingTime, ...]:
        """What is known of when each was saved: step, epoch, a number of unknown unit."""
        return self._listing.times

    @property
    def unit(self) -> str:
        """What `steps` counts: "step", "epoch", or "checkpoint" where that is not known."""
        return self._listing.unit

    @property
    def labels(self) -> tuple[str, ...]:
        """What each is called: "step 450", "epoch 9", or its file name where that is not known."""
        return self._listing.labels

    @property
    def steps_per_epoch(self) -> int | None:
        """Training steps of one epoch, if `from_directory` was told."""
        return self._steps_per_epoch

    @property
    def names(self) -> tuple[str, ...]:
        """File names in the order of the steps, fit to be shown on one line."""
        return tuple(item.name for _, item in self._listing.items)

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """What `key` returns, for all entries at one moment."""
        return tuple(item for _, item in self._listing.items)

    @property
    def problems(self) -> dict[str, str]:
        """File name to one line, for what is not shown; filled as files are read.

        A file leaves it when it was rewritten or removed, or loads after all.
        """
        listed, failures = self._listing, dict(self._failures)
        failed = {name: line for name, (item, line) in failures.items() if item in listed}
        return {**listed.problems, **failed}

    def key(self, index: int) -> Hashable:
        """Return the identity of an entry's weights.

        It stays with the entry when indices shift, and changes when the file is rewritten.
        """
        return self._item(index)

    def load(self, index: int) -> dict[str, Tensor]:
        """Return the tensors of an entry, on the CPU and the caller's to change.

        Raises
        ------
        CheckpointError
            When the file cannot be read, or there is no such entry.
        """
        item = self._item(index)
        try:
            tensors = self._read(item)
        except CheckpointError as error:
            self._failures[item.name] = item, str(error)
            raise
        self._failures.pop(item.name, None)
        return tensors

    def refresh(self) -> int:
        """List the directory again and return how many entries are new or rewritten.

        Raises
        ------
        CheckpointError
            When the directory is gone or empty; the series then stays as it was.
        """
        with self._refreshing:
            before = self._listing
            self._listing = now = self._look()
        return now.changes(before) if now is not before else 0

    def _item(self, index: int) -> Item:
        items = self._listing.items
        position = operator.index(index)
        if not -len(items) <= position < len(items):
            known = f"are 0 to {len(items) - 1}" if items else "is none"
            raise CheckpointError(f"no checkpoint {position}: there {known}")
        return items[position][1]


def _checked_pair(pair: object) -> tuple[int, dict[str, Tensor]]:
    try:
        step, state_dict = cast("tuple[int, Mapping[str, Tensor]]", pair)
        step = operator.index(step)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"expected pairs (step, state_dict), got a {type(pair).__name__}"
        ) from error
    return step, _copies(find_state_dict(state_dict))


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
