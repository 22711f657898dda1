"""Timeline: a state's checkpoints in order of step, files and captures of the live model."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from typing import Any

from torch import Tensor, nn

from convviz_widgets.checkpoints import CheckpointSeries, Steps, TrainingTime
from convviz_widgets.checkpoints.listing import Listing
from convviz_widgets.checkpoints.training_time import EPOCH, STEP, UNKNOWN
from convviz_widgets.errors import InputError, in_one_line, whole_number
from convviz_widgets.state.log_steps import log_steps

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
        """What it is called where there is room: "epoch 3 · step 400" if both are known.

        What has a name of its own keeps it, before what is known of its time.
        """
        known = [label for unit in (EPOCH, STEP) if (label := self.time.label(unit))]
        own = [] if self.label in known else [self.label]
        return " · ".join([*own, *known])

    def failure(self, error: Exception) -> str:
        """Return one line on what cannot be done at this checkpoint."""
        return f"{self.name}: {in_one_line(error)}"


@dataclass(frozen=True)
class Capture:
    """The identity of captured weights."""

    name: str
    """What stays when the same step is captured again."""
    serial: int


class CheckpointNumbers:
    """Gives each checkpoint a number by which a page knows it: a key may be anything.

    Other weights, or another name, have another number; none is given twice.
    """

    def __init__(self) -> None:
        self._given: dict[tuple[Hashable, str], int] = {}
        self._next = count()

    def of(self, key: Hashable, label: str) -> int:
        """Return the number of a checkpoint, by its key and what it is called."""
        number = self._given.get((key, label))
        if number is None:  # two threads may be here at once, and get the same
            number = self._given.setdefault((key, label), next(self._next))
        return number


class Timeline:
    """Merge a series of checkpoints with captures, by step; a file replaces a capture of its step.

    Captures count steps. Where the files count epochs of known length, all go by steps; where that
    is not known, the captures come after the files, counted on, and `problem` says so. Files
    without a number come last. As long as there is no file, the timeline starts with ``original``:
    the weights that the model had.
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
        self.problem = ""
        """Why captures cannot be put in order with the files; empty where they can."""
        self._entries: tuple[Entry, ...] = ()
        self.numbers = CheckpointNumbers()
        """By which pages know the checkpoints."""
        self.frame_keys: tuple[int, ...] = ()
        """The number of each checkpoint, in order."""
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

    def entry_of(self, index: int, key: Hashable, step: int) -> Entry:
        """Return what was at an index when it had this key, though the list may have shifted."""
        if index < len(self) and self[index].key == key:
            return self[index]
        return self[self.index_of(key, step)]

    def index_of(self, key: Hashable, step: int) -> int:
        """Return where ``key`` is now.

        If its file was rewritten, or its step captured anew, where that is; if it is gone, the last
        checkpoint at or before ``step``.
        """
        keys = self.keys
        if key in keys:
            return keys.index(key)
        name = getattr(key, "name", None)
        again = [i for i, each in enumerate(keys) if name and getattr(each, "name", None) == name]
        return again[0] if again else at_or_before(self._steps, step)

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
        key = Capture(f"the capture of step {number}", self._captured)
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
        told = None if self._series is None else self._series.steps_per_epoch
        per_epoch = self._steps_per_epoch or told
        self.problem, unit = "", STEP
        if listing is None or not files:
            first = [] if self._original.step in self._captures else [self._original]
            entries = _by_step([*first, *self._captures.values()])
        elif not self._captures:
            entries, unit = files, listing.unit
        else:
            steps = listing.steps.with_length(per_epoch)
            placed = len(files) if listing.placed is None else listing.placed
            dated = _in_steps(files[:placed], steps[:placed])
            if dated is None:
                entries, unit = _counted_on(files, _by_step(self._captures.values())), listing.unit
                self.problem = _not_in_order(unit)
            else:
                for entry in dated:
                    self._captures.pop(entry.step, None)
                entries = _by_step([*dated, *self._captures.values()])
                entries = _counted_on(entries, files[placed:])
        self._entries = tuple(entries)
        self.frame_keys = tuple(self.numbers.of(entry.key, entry.label) for entry in entries)
        self._steps = Steps(
            (entry.step for entry in entries),
            unit,
            (entry.label for entry in entries),
            (entry.time for entry in entries),
            per_epoch,
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


def newest_since(before: Iterable[Entry], now: Sequence[Entry]) -> int | None:
    """Return the index of the last checkpoint that was not there before; None without one.

    A ``best.pt`` that comes last is not what is new when an epoch was saved.
    """
    known = {entry.key for entry in before}
    return max((i for i, entry in enumerate(now) if entry.key not in known), default=None)


def are_alike(before: Iterable[Entry], now: Iterable[Entry]) -> bool:
    """Tell whether these are the same checkpoints, called the same."""
    return [*map(_shown, before)] == [*map(_shown, now)]


def _shown(entry: Entry) -> tuple[Hashable, int, str]:
    return entry.key, entry.step, entry.name


def _by_step(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.step)


def _in_steps(files: list[Entry], steps: Steps) -> list[Entry] | None:
    """Return files under the steps that they had done; None where these are not known."""
    if steps.unit == STEP:
        return files
    done = [step for step in log_steps(steps).done if step is not None]
    if len(done) < len(files) or any(after <= before for before, after in pairwise(done)):
        return None
    times = [replace(entry.time, step=step) for entry, step in zip(files, done, strict=True)]
    return [
        replace(entry, step=step, label=f"step {step:,}", time=time)
        for entry, step, time in zip(files, done, times, strict=True)
    ]


def _counted_on(entries: list[Entry], more: list[Entry]) -> list[Entry]:
    """Return entries, and behind them those that have no number among them."""
    after = entries[-1].step + 1 if entries else 0
    return [*entries, *(replace(entry, step=step) for step, entry in enumerate(more, after))]


def _not_in_order(unit: str) -> str:
    is_unknown = unit == UNKNOWN
    counted = "numbers of unknown unit" if is_unknown else f"{unit}s"
    remedy = "steps=" if is_unknown else "steps_per_epoch="
    return (
        f"captures count steps, the checkpoints {counted}: "
        f"captures come after the last; {remedy} puts them in order"
    )


def at_or_before(steps: tuple[int, ...], step: int) -> int:
    """Return the index of the last step at or before ``step``; of the first, if there is none."""
    return max(0, bisect_right(steps, step) - 1)


def _copied(value: Any) -> Any:
    """Return a copy of a state_dict's value; what ``get_extra_state`` gives may be anything."""
    return value.detach().clone() if isinstance(value, Tensor) else copy.deepcopy(value)
