"""History: what every checkpoint holds, measured when somebody asks for it, in the background."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from convviz_widgets.errors import InputError, in_one_line, unknown
from convviz_widgets.instrument import Measurement
from convviz_widgets.state.demand import OnDemand
from convviz_widgets.state.job import PARTS, Job, jobs_of
from convviz_widgets.state.measurement_store import MeasurementStore
from convviz_widgets.state.measurer import Measurer
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


class History(OnDemand[str, Job]):
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

    thread_name: ClassVar[str] = "convviz-history"

    def __init__(
        self, timeline: Timeline, measurer: Measurer, selected: Callable[[], Hashable]
    ) -> None:
        super().__init__()
        self._timeline, self._measurer, self._selected = timeline, measurer, selected
        self._store = MeasurementStore()

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
        super().ask(owner, *parts)

    def close(self) -> None:
        """Stop measuring and forget everything that is in memory."""
        super().close()
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

    def _do(self, task: Job) -> None:
        """Measure, unless it was done in an earlier session."""
        self._store.settle(
            task,
            self._fingerprint(task),
            lambda: self._measurer.measure(task, lambda: self._is_asked(task.part)),
        )

    def _fail(self, task: Job, error: Exception) -> None:
        if isinstance(error, InputError):  # there are no labels, say: it is the same everywhere
            jobs = jobs_of(task.part, self._timeline.entries)
            self._store.fail([each for each in jobs if each is not None], str(error))
        else:
            self._store.fail([task], f"step {task.entry.step:,}: {in_one_line(error)}")

    def _fingerprint(self, job: Job) -> str:
        try:
            return self._measurer.fingerprint(job)
        except Exception:  # a model may refuse the weights that it tries; nothing is kept then
            return ""


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
