"""History: what every checkpoint holds, measured when somebody asks for it, in the background."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

from convviz_widgets.errors import ConvVizError, InputError, unknown
from convviz_widgets.instrument import Measurement
from convviz_widgets.state.job import PARTS, Job, jobs_of
from convviz_widgets.state.measurement_store import MeasurementStore
from convviz_widgets.state.measurer import Measurer, Stopped
from convviz_widgets.state.recordings import CLOSED
from convviz_widgets.state.timeline import Timeline


@dataclass(frozen=True)
class Progress:
    """How far the measuring of some parts has come."""

    done: int
    total: int
    failures: tuple[str, ...] = ()
    """One line for each checkpoint that cannot be measured; they count as done."""

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be measured."""
        return self.done == self.total


class History:
    """Measurements of every checkpoint: from memory, from disk, or made by a thread of its own.

    A thread, because one takes from a tenth of a second to a minute, and callbacks of the page
    must go on meanwhile: how else could "cancel" arrive? It runs while somebody asks for something
    that is missing, and tells the observers after every checkpoint. The selected checkpoint comes
    first, then the others from coarse to fine.

    Parameters
    ----------
    timeline
        The checkpoints; those that are files get their measurements kept beside them.
    measurer
        Measures one part of one checkpoint.
    selected
        Returns the key of the checkpoint to begin with.
    """

    def __init__(
        self, timeline: Timeline, measurer: Measurer, selected: Callable[[], Hashable]
    ) -> None:
        self._timeline, self._measurer, self._selected = timeline, measurer, selected
        self._store = MeasurementStore()
        self._turn = threading.Condition()  # held for moments, never while measuring or telling
        self._thread: threading.Thread | None = None
        self._closed = False
        self._asked: dict[int, tuple[str, ...]] = {}
        self._observers: list[Callable[[], None]] = []

    # -- ask ----------------------------------------------------------------------------------

    def ask(self, owner: object, *parts: str) -> None:
        """Have these parts measured for ``owner``, in place of what it asked for before.

        Parameters
        ----------
        owner
            Anything; `leave` with the same object ends it.
        parts
            "parameters", "activations", "gradients" or "updates".
        """
        for part in parts:
            if part not in PARTS:
                raise InputError(unknown("part", part, PARTS, "a history has"))
        self._store.forget_all_but(self._timeline.keys)
        with self._turn:
            if self._closed:  # nothing can be measured any more, the thread would try for ever
                raise InputError(CLOSED)
            self._asked[id(owner)] = parts
            if self._thread is None and self._next() is not None:
                # No daemon, which could be cut off amid torch; it ends once the main thread has.
                self._thread = threading.Thread(target=self._work, name="convviz-history")
                self._thread.start()

    def leave(self, owner: object) -> None:
        """Measure nothing more for ``owner``; what is under way is dropped at the next batch."""
        with self._turn:
            self._asked.pop(id(owner), None)

    def observe(self, observer: Callable[[], None]) -> None:
        """Call ``observer()`` after every checkpoint, from the thread that measures."""
        self._observers = [*self._observers, observer]

    def unobserve(self, observer: Callable[[], None]) -> None:
        """Call it no more."""
        self._observers = [each for each in self._observers if each != observer]

    def wait(self, timeout: float | None = None) -> bool:
        """Return once nothing is left to be done; False when ``timeout`` seconds have passed.

        Not to be called by an observer, nor while a view draws.
        """
        with self._turn:
            return self._turn.wait_for(lambda: self._thread is None, timeout)

    def close(self) -> None:
        """Stop measuring and forget everything that is in memory."""
        with self._turn:
            self._closed = True
            self._asked.clear()
            self._observers = []
        self._store.forget_all_but(())
        self._measurer.close()

    # -- look ---------------------------------------------------------------------------------

    def get(self, part: str, index: int) -> Measurement | None:
        """Return what was measured at a checkpoint; None where that is still to be done."""
        job = jobs_of(part, self._timeline.entries)[index]
        return None if job is None else self._store.get(job)

    def all(self, part: str) -> list[Measurement | None]:
        """Return what was measured at every checkpoint, None where that is still to be done."""
        jobs = jobs_of(part, self._timeline.entries)
        return [None if job is None else self._store.get(job) for job in jobs]

    def progress(self, *parts: str) -> Progress:
        """Return how many of these parts have been measured, of all checkpoints together."""
        entries = self._timeline.entries
        jobs = [job for part in parts for job in jobs_of(part, entries) if job is not None]
        failures = [line for job in jobs if (line := self._store.failure(job))]
        done = sum(self._store.is_settled(job) for job in jobs)
        return Progress(done, len(jobs), tuple(dict.fromkeys(failures)))

    @property
    def problem(self) -> str:
        """One line when nothing can be kept on disk."""
        return self._store.problem

    # -- work ---------------------------------------------------------------------------------

    def _next(self) -> Job | None:
        """Return the most urgent job that is not done; the lock is held."""
        entries = self._timeline.entries
        keys = [entry.key for entry in entries]
        selected = self._selected()
        first = keys.index(selected) if selected in keys else 0
        asked = [part for parts in self._asked.values() for part in parts]
        for part in dict.fromkeys(asked):
            jobs = jobs_of(part, entries)
            for index in (first, *coarse_to_fine(len(jobs))):
                job = jobs[index]
                if job is not None and not self._store.is_settled(job):
                    return job
        return None

    def _is_asked(self, job: Job) -> bool:
        with self._turn:
            wanted = any(job.part in parts for parts in self._asked.values())
        return wanted and threading.main_thread().is_alive()

    def _work(self) -> None:
        while True:
            with self._turn:
                job = self._next() if threading.main_thread().is_alive() else None
                if job is None:
                    self._thread = None
                    self._turn.notify_all()
                    return
            self._settle(job)
            self._tell()

    def _settle(self, job: Job) -> None:
        """Do a job, unless it was done in an earlier session; note whatever fails."""
        try:
            self._store.settle(
                job,
                self._fingerprint(job),
                lambda: self._measurer.measure(job, lambda: self._is_asked(job)),
            )
        except Stopped:
            pass
        except InputError as error:  # there are no labels, say: it is the same everywhere
            jobs = jobs_of(job.part, self._timeline.entries)
            self._store.fail([each for each in jobs if each is not None], str(error))
        except Exception as error:  # a broken checkpoint must not end the thread
            self._store.fail([job], _line(job, error))

    def _fingerprint(self, job: Job) -> str:
        try:
            return self._measurer.fingerprint(job)
        except Exception:  # a model may refuse the weights that it tries; nothing is kept then
            return ""

    def _tell(self) -> None:
        for observer in self._observers:
            try:
                observer()
            except Exception:
                logging.getLogger(__name__).exception("an observer of the history failed")


def coarse_to_fine(count: int) -> Iterator[int]:
    """Yield 0 to count - 1: the ends, the middle, the quarters, and so on."""
    seen: set[int] = set()
    step = max(1, count - 1)
    while len(seen) < count:
        for index in (*range(0, count, step), count - 1):
            if index not in seen:
                seen.add(index)
                yield index
        step = max(1, step // 2)


def _line(job: Job, error: Exception) -> str:
    text = " ".join(str(error).split())
    kind = "" if isinstance(error, ConvVizError) else f"{type(error).__name__}: "
    return f"step {job.entry.step:,}: {kind}{text}"
