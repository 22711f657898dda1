"""The store of measurements: in memory, on disk where the checkpoints are files, or failed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable

from convviz_widgets.instrument import Measurement
from convviz_widgets.state.cache import ByteCache
from convviz_widgets.state.job import Identity, Job
from convviz_widgets.state.measurement_files import MeasurementFiles

MEMORY = 2**27
"""Bytes of measurements that are on disk as well and stay in memory all the same."""


class MeasurementStore:
    """Keeps what was measured for each job; may be used from several threads.

    What is on disk is kept in memory only within a budget, and read again when it is looked at;
    what could not be written stays in memory.
    """

    def __init__(self) -> None:
        self._files = MeasurementFiles()
        self._lock = threading.Lock()
        self._in_memory: dict[Identity, Measurement] = {}
        self._on_disk: dict[Identity, tuple[Job, str]] = {}
        self._recent: ByteCache[Measurement] = ByteCache(MEMORY)
        self._failures: dict[Identity, str] = {}

    @property
    def problem(self) -> str:
        """One line when nothing can be kept on disk."""
        return self._files.problem

    def is_settled(self, job: Job) -> bool:
        """Tell whether the job is done, or has failed."""
        known = (self._in_memory, self._on_disk, self._failures)
        return any(job.identity in kept for kept in known)

    def failure(self, job: Job) -> str:
        """Return one line for a job that has failed, else nothing."""
        return self._failures.get(job.identity, "")

    def get(self, job: Job) -> Measurement | None:
        """Return what was measured; None where that is still to be done."""
        with self._lock:
            found = self._in_memory.get(job.identity) or self._recent.get(job.identity)
            place = self._on_disk.get(job.identity)
        if found is not None or place is None:
            return found
        return self._from_disk(*place)

    def settle(self, job: Job, fingerprint: str, measure: Callable[[], Measurement]) -> None:
        """Find the measurement on disk, or make it and write it there."""
        if self._from_disk(job, fingerprint) is not None:
            return
        measured = measure()
        written = self._files.write(job, fingerprint, measured)
        with self._lock:
            if written:
                self._on_disk[job.identity] = job, fingerprint
                self._recent.put(job.identity, measured)
            else:
                self._in_memory[job.identity] = measured

    def fail(self, jobs: Iterable[Job], line: str) -> None:
        """Note why jobs cannot be done, so that they are not tried again."""
        with self._lock:
            self._failures.update((job.identity, line) for job in jobs)

    def forget_all_but(self, keys: Iterable[Hashable]) -> None:
        """Let go of the measurements of checkpoints that there are no more."""
        present = set(keys)
        with self._lock:
            for kept in (self._in_memory, self._on_disk, self._failures):
                for identity in [each for each in kept if not present.issuperset(each[1:])]:
                    del kept[identity]
            if not present:
                self._recent.clear()

    def _from_disk(self, job: Job, fingerprint: str) -> Measurement | None:
        found = self._files.read(job, fingerprint)
        with self._lock:
            if found is None:  # never written, or deleted meanwhile: to be made again
                self._on_disk.pop(job.identity, None)
            else:
                self._on_disk[job.identity] = job, fingerprint
                self._recent.put(job.identity, found)
        return found
