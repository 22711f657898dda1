"""A task of the background: how urgent it is, and how far something has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum


class Priority(IntEnum):
    """How urgent a task is; the lowest goes first."""

    SHOWN = 0
    """A view waits for it: it goes between two batches of another task."""
    ASKED = 1
    """It was asked for."""
    AHEAD = 2
    """It is likely to be asked for."""


@dataclass(frozen=True)
class Progress:
    """How far something has come."""

    done: int
    total: int
    failures: tuple[str, ...] = ()
    """One line for each part that cannot be done; they count as done."""
    failed: int = 0
    """How many parts cannot be done although what they need was given, where that is counted."""

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be done."""
        return self.done == self.total


@dataclass(frozen=True)
class Task:
    """Work that is interrupted by nothing but more urgent tasks."""

    do: Callable[[], None]
    """Does the work; calls `Background.pause` between two batches."""
    fail: Callable[[Exception], None]
    """Notes the error that it raised, so that it is not tried again."""
    is_wanted: Callable[[], bool]
    """Tells whether it is still asked for; if not, it stops at the next batch. The lock is held."""
    priority: Priority = Priority.ASKED
    is_long: bool = False
    """Whether it may take many seconds: it does not begin amid another one, which would wait."""
