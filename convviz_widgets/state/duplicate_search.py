"""DuplicateSearch: finds equal samples in the background, once for everybody who asks."""

from __future__ import annotations

from time import perf_counter
from weakref import WeakValueDictionary

from convviz_widgets.errors import in_one_line
from convviz_widgets.images.duplicates import Compared, comparing
from convviz_widgets.images.reading import Source
from convviz_widgets.state.background import Background, Client
from convviz_widgets.state.recordings import CLOSED
from convviz_widgets.state.task import Progress, Task

SLICE = 0.25
"""Seconds of searching after which those who look on are told."""

SHORT = 20.0
"""Seconds up to which a search goes on unasked, at the best pace of the first reads."""

READS = 4
"""Reads before that is judged: any one of them may have been held up, the first one above all."""


class DuplicateSearches:
    """The searches of a state: the same sets are searched once, whoever asks.

    Parameters
    ----------
    background
        Does the searching.
    """

    def __init__(self, background: Background) -> None:
        self._background = background
        self._known: WeakValueDictionary[tuple[int, ...], DuplicateSearch] = WeakValueDictionary()

    def among(self, *sets: Source) -> DuplicateSearch:
        """Return the search in these sets, with what it has found as long as somebody keeps it."""
        key = tuple(map(id, sets))  # of sets that the search keeps alive
        search = self._known.get(key)
        if search is None:
            search = self._known[key] = DuplicateSearch(self._background, *sets)
        return search


class DuplicateSearch(Client):
    """Looks for equal samples in some sets while somebody looks on; the rest only if it is short.

    Attributes
    ----------
    found : what was found, None until the end.
    problem : one line when the search cannot go on.
    is_wanted : whether it is to go on as long as somebody looks on; see `want`.
    """

    def __init__(self, background: Background, *sets: Source) -> None:
        super().__init__(background)
        self.found: Compared | None = None
        self.problem = ""
        self.is_wanted = True
        self._sets = sets
        self._steps = comparing(*sets, lock=background.model.lock)
        self._done, self._seconds = 0, 0.0
        self._paces: list[float] = []  # seconds a sample in each of the first reads
        self._is_judged = False  # whether `is_wanted` is settled
        self._onlookers: set[int] = set()

    # -- ask ----------------------------------------------------------------------------------

    def look_on(self, owner: object) -> None:
        """Go on while ``owner`` looks on: until `leave` is called with the same object."""
        with self._lock:
            self._onlookers.add(id(owner))
            self._end_if_closed()
        self._background.wake(self)

    def leave(self, owner: object) -> None:
        """Rest unless somebody else looks on; what has been compared is kept."""
        with self._lock:
            self._onlookers.discard(id(owner))

    def want(self, is_wanted: bool) -> None:
        """Stop, or go on however long it takes."""
        with self._lock:
            self.is_wanted, self._is_judged = is_wanted, True
        self._background.wake(self)

    def close(self) -> None:
        """Search no more; the lock is held."""
        super().close()
        self._onlookers.clear()
        self._end_if_closed()

    # -- look ---------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to be done."""
        return self.found is not None or bool(self.problem)

    @property
    def progress(self) -> Progress:
        """How many samples have been compared."""
        return Progress(self._done, sum(map(len, self._sets)))

    @property
    def seconds_left(self) -> float:
        """About how long the rest takes, as it went so far."""
        progress = self.progress
        return self._seconds / max(1, progress.done) * (progress.total - progress.done)

    # -- work ---------------------------------------------------------------------------------

    def next_task(self) -> Task | None:
        """Return the next slice of the search; the lock is held."""
        if self.is_over or not self._is_asked():
            return None
        return Task(self._work, self._fail, self._is_asked)

    def go_on(self) -> bool:
        """Compare one more block; return whether any is left. For a task of the background."""
        if self.is_over:
            return False
        begun, before = perf_counter(), self._done
        try:
            self._done, _ = next(self._steps)
        except StopIteration as end:
            self.found = end.value
        except Exception as error:  # out of memory, say; the view goes on without
            self._fail(error)
        if self.is_over:
            self.notify()  # also when it was another client that needed it
        seconds = perf_counter() - begun
        self._seconds += seconds
        if len(self._paces) < READS and self._done > before:
            self._paces.append(seconds / (self._done - before))
        return not self.is_over

    def _work(self) -> None:
        ends = perf_counter() + SLICE
        while self.go_on() and perf_counter() < ends:
            self._background.pause()
        with self._lock:
            if not self._is_judged and len(self._paces) == READS:
                self.is_wanted, self._is_judged = self._is_short(), True

    def _is_short(self) -> bool:
        progress = self.progress
        return min(self._paces) * (progress.total - progress.done) < SHORT

    def _fail(self, error: Exception) -> None:
        self.problem = in_one_line(error)

    def _end_if_closed(self) -> None:
        if self._closed and not self.is_over:
            self.problem = CLOSED

    def _is_asked(self) -> bool:
        return self.is_wanted and bool(self._onlookers)
