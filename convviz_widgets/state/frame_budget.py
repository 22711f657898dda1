"""The bytes that the frames of a page may take: what is kept, and what goes when there are more.

A frame is the picture of one view at one checkpoint, kept in the page. A page may show several
states, so all states of a kernel share one budget, `PAGE`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from heapq import merge
from math import inf
from weakref import WeakSet

from convviz_widgets.state.selection import Selection
from convviz_widgets.state.timeline import Entry

BYTES = 48 * 2**20
"""Bytes of frames on a page, unless told otherwise."""

LARGEST = 4
"""No frame takes more than this fraction of the budget: a quarter."""

BEHIND = 4
"""A checkpoint behind the clock counts as if it were this many times as far away as one ahead."""


@dataclass(frozen=True)
class Clock:
    """The checkpoints, by their numbers, and where among them the clock stands and is going."""

    entries: Sequence[Entry] = ()
    keys: tuple[int, ...] = ()
    """A number for each of them: `Timeline.frame_keys`."""
    index: int = 0
    direction: int = 0
    """1: later checkpoints are coming, -1: earlier ones, 0: not known."""
    places: Mapping[int, int] = field(default_factory=dict, repr=False)
    """Where each number is."""

    def moved(self, index: int, is_travel: bool = True) -> Clock:
        """Return the clock elsewhere; that is travel unless the list itself has changed."""
        way = (index > self.index) - (index < self.index)
        return replace(self, index=index, direction=way if is_travel and way else self.direction)

    def among(self, entries: Sequence[Entry], keys: tuple[int, ...]) -> Clock:
        """Return the same place among other checkpoints."""
        if keys is self.keys:  # there may be 10,000
            return self
        places = {key: index for index, key in enumerate(keys)}
        return replace(self, entries=entries, keys=keys, places=places)

    @property
    def key(self) -> int | None:
        """The number of the checkpoint that is selected."""
        return self.keys[self.index] if self.index < len(self.keys) else None

    def cost(self, index: int) -> int:
        """Return how far away a checkpoint is, in the way that it counts; 0 for the selected one.

        Both what is made first and what goes last goes by it, so that they agree.
        """
        away = index - self.index
        return abs(away) * (BEHIND if away * self.direction < 0 else 1)

    def cost_of(self, key: int) -> float:
        """Return `cost` by number: infinite for a checkpoint that there is not any more."""
        index = self.places.get(key)
        return inf if index is None else self.cost(index)

    def outwards(self) -> Iterator[int]:
        """Yield the index of every other checkpoint, those of the least cost first."""
        later = range(self.index + 1, len(self.keys))
        earlier = range(self.index - 1, -1, -1)
        sides = (earlier, later) if self.direction < 0 else (later, earlier)
        return merge(*sides, key=self.cost)  # lazy: there may be 10,000

    def all_but_selected_in(self, keys: Set[int]) -> bool:
        """Tell whether these are, among others, the numbers of all other checkpoints."""
        if len(keys) < len(self.places) - 1:
            return False
        return self.places.keys() - {self.key} <= keys


@dataclass(eq=False)
class Shelf:
    """The frames that a page holds of one view, by the numbers of their checkpoints."""

    clock: Callable[[], Clock]
    """Where the clock of its state stands."""
    make: Callable[[Selection], int] = lambda _: 0
    drop: Callable[[tuple[int, ...]], None] = lambda _: None
    fields: frozenset[str] = frozenset()
    """What the frames depend on, beside the checkpoint."""
    is_shown: bool = False
    """Whether the view shows."""
    frames: dict[int, int] = field(default_factory=dict)
    """Bytes of each frame."""
    failed: set[int] = field(default_factory=set)
    """The checkpoints of which no frame can be made."""
    largest: int = 0
    """Bytes of the largest frame since the last `renew`: as much is reckoned for the next."""
    generation: int = 0
    """Counts how often all that it held was no longer right."""

    def take(
        self,
        make: Callable[[Selection], int],
        drop: Callable[[tuple[int, ...]], None],
        fields: frozenset[str],
    ) -> bool:
        """Show, with these; tell whether that is anything new."""
        before = (self.make, self.drop, self.fields, self.is_shown)
        self.make, self.drop, self.fields, self.is_shown = now = (make, drop, fields, True)
        return now != before

    @property
    def nbytes(self) -> int:
        """Bytes of all frames."""
        return sum(self.frames.values())

    def lacks(self, key: int) -> bool:
        """Tell whether a frame could be made."""
        return key not in self.frames and key not in self.failed

    def renew(self) -> None:
        """Hold nothing: the page knows that what it has is not right any more."""
        self.frames, self.failed, self.largest = {}, set(), 0
        self.generation += 1

    def rank(self, key: int) -> tuple[bool, float]:
        """Return how useful a frame is; the least is the most useful one."""
        return not self.is_shown, self.clock().cost_of(key)


SEEN_NOW = (False, 0)
"""The rank of a frame that is seen now: of a view that shows, at the selected checkpoint."""

Dropped = dict[Shelf, tuple[int, ...]]
"""What is not on a shelf any more; its owner is to be told while no lock is held."""


class FrameBudget:
    """Counts the bytes of all shelves, and chooses what goes when there are too many.

    Its lock is held for moments, and no other is taken meanwhile.
    """

    def __init__(self, nbytes: int = BYTES) -> None:
        self._nbytes = nbytes
        self._lock = threading.Lock()
        self._shelves: WeakSet[Shelf] = WeakSet()

    @property
    def nbytes(self) -> int:
        """Bytes that all frames together may take."""
        return self._nbytes

    @property
    def held(self) -> int:
        """Bytes that they take."""
        with self._lock:
            return self._held()

    def resize(self, nbytes: int) -> Dropped:
        """Allow so many bytes; return what has to go."""
        with self._lock:
            self._nbytes = nbytes
            return self._trimmed()

    def add(self, shelf: Shelf) -> None:
        """Count what is on this shelf, too."""
        with self._lock:
            self._shelves.add(shelf)

    def remove(self, shelf: Shelf) -> None:
        """Count it no more."""
        with self._lock:
            self._shelves.discard(shelf)

    def renew(self, shelf: Shelf) -> None:
        """Empty a shelf."""
        with self._lock:
            shelf.renew()

    def has_room(self, shelf: Shelf, key: int) -> bool:
        """Tell whether a frame would fit, at the cost of less useful ones only."""
        with self._lock:
            size = shelf.largest
            if size * LARGEST > self._nbytes:
                return False
            over = self._held() + size - self._nbytes
            if over <= 0:
                return True
            rank = shelf.rank(key)
            return over <= sum(
                nbytes
                for each in self._shelves
                for held, nbytes in each.frames.items()
                if each.rank(held) > rank
            )

    def put(self, shelf: Shelf, key: int, nbytes: int, generation: int) -> Dropped:
        """Count a frame that the page has been sent; return what has to go for it.

        That is the frame itself where it is larger than a quarter of the budget, or where nothing
        less useful is left. One of no bytes cannot be made. What was made before the last `renew`
        is not counted.
        """
        with self._lock:
            if generation != shelf.generation or shelf not in self._shelves:
                return {}
            if not nbytes:
                shelf.failed.add(key)
                return {}
            shelf.largest = max(shelf.largest, nbytes)
            shelf.frames.pop(key, None)
            if nbytes * LARGEST > self._nbytes and shelf.rank(key) != SEEN_NOW:
                return {shelf: (key,)}
            shelf.frames[key] = nbytes
            return self._trimmed(newest=(shelf, key))

    def _held(self) -> int:
        return sum(shelf.nbytes for shelf in self._shelves)

    def _trimmed(self, newest: tuple[Shelf, int] | None = None) -> Dropped:
        """Let go of the least useful frames beyond the budget, but never of what is seen now.

        Of equally useful ones the newest goes: it has displaced nothing yet.
        """
        over = self._held() - self._nbytes
        if over <= 0:
            return {}
        ranked = [(each.rank(key), each, key) for each in self._shelves for key in each.frames]
        ranked.sort(key=lambda it: (it[0], (it[1], it[2]) == newest), reverse=True)
        dropped: dict[Shelf, tuple[int, ...]] = {}
        for rank, shelf, key in ranked:
            if over <= 0 or rank == SEEN_NOW:
                break
            over -= shelf.frames.pop(key)
            dropped[shelf] = (*dropped.get(shelf, ()), key)
        return dropped


PAGE = FrameBudget()
"""What all states of this kernel share: a page may show several."""
