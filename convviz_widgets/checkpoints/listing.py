"""What there was to load at one moment."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable


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
class CheckpointFile:
    """One file as it was when the directory was listed.

    Parameters
    ----------
    name
        Path below the directory, fit to be shown.
    path
        Where it is.
    inode, changed, nbytes
        From its stat; ``changed`` in nanoseconds.
    """

    name: str
    path: str
    inode: int
    changed: int
    nbytes: int

    @property
    def identity(self) -> tuple[int, int]:
        """Size and time; the inode is left out, which a copy does not keep."""
        return self.nbytes, self.changed

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Listing:
    """Items with their training steps, ascending; never changed, so that threads may share it.

    Parameters
    ----------
    items
        Pairs of step and item.
    problems
        Name to one line: what looks like a checkpoint but cannot be one.
    """

    items: tuple[tuple[int, Item], ...]
    problems: dict[str, str] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> dict[str, Item]:
        """The items by their names."""
        return {item.name: item for _, item in self.items}

    def __contains__(self, item: Item) -> bool:
        return self.by_name.get(item.name) == item

    def changes(self, before: Listing) -> int:
        """Return how many items are new or others than before."""
        return sum(before.by_name.get(name) != item for name, item in self.by_name.items())
