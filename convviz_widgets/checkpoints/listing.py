"""What a series of checkpoints holds at one moment, in the order of the training."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable

from convviz_widgets.checkpoints.steps import Steps
from convviz_widgets.checkpoints.training_time import STEP, TrainingTime


class Item(Hashable, Protocol):
    """Something to load; equal to another one only when the same weights come of it."""

    @property
    def name(self) -> str:
        """How it is shown, on one line."""
        ...


@runtime_checkable
class StoredItem(Item, Protocol):
    """An item that is a file, beside which what is found out about it can be kept."""

    @property
    def path(self) -> str:
        """Where it is."""
        ...

    @property
    def identity(self) -> tuple[int | str, ...]:
        """What another file of this name would not share, wherever the folder is moved to."""
        ...


@dataclass(frozen=True)
class Dated:
    """An item with what its name says of when it was saved, or whoever knows better.

    Parameters
    ----------
    item : what was saved.
    time : when.
    changed : age of the file, in nanoseconds: of several with one number the newest is kept.
    source : who gave the time, where what is in the file must not correct it: "the manifest".
    """

    item: Item
    time: TrainingTime
    changed: int = 0
    source: str = ""


@dataclass(frozen=True)
class Found:
    """What a folder holds, before it is put in order.

    Parameters
    ----------
    dated : the items.
    problems : name to one line, for what cannot be one.
    unit : "step", where that is known; None: their names tell.
    meaning : "step", where bare numbers in names are known to be steps.
    """

    dated: tuple[Dated, ...] = ()
    problems: dict[str, str] = field(default_factory=dict)
    unit: str | None = None
    meaning: str | None = None


@dataclass(frozen=True)
class Listing:
    """Items with their training steps, ascending; never changed, so that threads may share it.

    Parameters
    ----------
    items : pairs of step and item; the step is the number of ``unit``, or counted on from the last.
    problems : name to one line: what looks like a checkpoint but cannot be one.
    unit : what the steps count: "step", "epoch", or "checkpoint" where that is not known.
    known : what is known of when the items were saved; empty: each at its step.
    placed : how many items, from the first on, have a number of ``unit``; None: all.
    found : what was put in order, with what was left out; None where there is nothing to correct.
    """

    items: tuple[tuple[int, Item], ...]
    problems: dict[str, str] = field(default_factory=dict)
    unit: str = STEP
    known: tuple[TrainingTime, ...] = ()
    placed: int | None = None
    found: Found | None = None

    @cached_property
    def times(self) -> tuple[TrainingTime, ...]:
        """What is known of when each item was saved."""
        return self.known or tuple(TrainingTime(step=step) for step, _ in self.items)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What each item is called: "step 450", "epoch 9", or the file's name."""
        placed = len(self.items) if self.placed is None else self.placed
        said = [time.label(self.unit) for time in self.times[:placed]] + [None] * len(self.items)
        return tuple(label or item.name for label, (_, item) in zip(said, self.items, strict=False))

    @cached_property
    def steps(self) -> Steps:
        """The numbers of the items, with what they count and are called."""
        return Steps((step for step, _ in self.items), self.unit, self.labels, self.times)

    @cached_property
    def by_name(self) -> dict[str, Item]:
        """The items by their names."""
        return {item.name: item for _, item in self.items}

    @cached_property
    def found_by_name(self) -> dict[str, Item]:
        """What was found by its name, what was left out among it."""
        found = self.found.dated if self.found else ()
        return {each.item.name: each.item for each in found} or self.by_name

    def __contains__(self, item: Item) -> bool:
        return self.by_name.get(item.name) == item

    def changes(self, before: Listing) -> int:
        """Return how many items are new or others than before."""
        return sum(before.by_name.get(name) != item for name, item in self.by_name.items())


class Listed:
    """What is read off a listing that is replaced as a whole from time to time."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing

    @property
    def listing(self) -> Listing:
        """All entries at one moment: what is read off it belongs together."""
        return self._listing

    @property
    def steps(self) -> Steps:
        """Training steps, ascending, none twice; or epochs, or other numbers: see `unit`.

        Entries without such a number come last, counted on; `labels` has their names.
        """
        return self.listing.steps

    @property
    def unit(self) -> str:
        """What `steps` counts: "step", "epoch", or "checkpoint" where that is not known."""
        return self.listing.unit

    @property
    def times(self) -> tuple[TrainingTime, ...]:
        """What is known of when each was saved: its step, its epoch, a number of unknown unit."""
        return self.listing.times

    @property
    def labels(self) -> tuple[str, ...]:
        """What each is called: "step 450", "epoch 9", or its file name where that is not known."""
        return self.listing.labels

    @property
    def names(self) -> tuple[str, ...]:
        """File names in the order of the steps, fit to be shown on one line."""
        return tuple(item.name for _, item in self.listing.items)

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """What `CheckpointSeries.key` returns, for all entries at one moment."""
        return tuple(item for _, item in self.listing.items)

    def __len__(self) -> int:
        return len(self.listing.items)
