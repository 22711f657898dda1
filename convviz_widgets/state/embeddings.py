"""Embeddings: of every checkpoint, laid out when somebody asks for them, in the background."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import replace

import numpy as np

from convviz_widgets.errors import ConvVizError, InputError
from convviz_widgets.state.cache import ByteCache
from convviz_widgets.state.codes import Codes
from convviz_widgets.state.embedding import TSNE, Embedding, EmbeddingJob, Layout, lay_out, turn
from convviz_widgets.state.encoder import Encoder
from convviz_widgets.state.history import Progress
from convviz_widgets.state.measurer import Stopped
from convviz_widgets.state.recordings import CLOSED
from convviz_widgets.state.timeline import Entry, Timeline
from convviz_widgets.tensors.neighbour_map import scikit_learn_tsne

CODE_BYTES = 2**26
"""What codes may take that are kept, so that another method needs no forward pass."""

EMBEDDING_BYTES = 2**26
"""What embeddings may take that nobody asks for at the moment."""


class Embeddings:
    """Embeddings from memory, or made by a thread of its own.

    It works while somebody asks for something that is missing, in the order asked, and tells the
    observers after every checkpoint. What is under way is dropped between two batches of images
    once nobody asks for it any more; a t-SNE that has begun runs to its end.

    Every checkpoint is laid out by itself and then turned onto the reference, t-SNE starting from
    the reference's layout: what comes out does not depend on what was looked at before.

    Parameters
    ----------
    timeline
        The checkpoints, captures among them.
    encoder
        Encodes the images at one of them.
    """

    problem = ""

    def __init__(self, timeline: Timeline, encoder: Encoder) -> None:
        self._timeline, self._encoder = timeline, encoder
        self._turn = threading.Condition()  # held for moments, never while working or telling
        self._thread: threading.Thread | None = None
        self._closed = False
        self._asked: dict[int, tuple[EmbeddingJob, ...]] = {}
        self._codes: ByteCache[Codes] = ByteCache(CODE_BYTES)
        self._layouts: dict[EmbeddingJob, Layout] = {}
        self._done: dict[EmbeddingJob, Embedding] = {}
        self._failures: dict[EmbeddingJob, str] = {}
        self._under_way = ""  # checkpoint, in the words that a failure begins with
        self._observers: list[Callable[[], None]] = []

    # -- ask ----------------------------------------------------------------------------------

    def ask(self, owner: object, *jobs: EmbeddingJob) -> None:
        """Have these done for ``owner``, in this order, in place of what it asked for before."""
        with self._turn:
            if self._closed:
                raise InputError(CLOSED)
            self._asked[id(owner)] = jobs
            if self._thread is None and self._next() is not None:
                # No daemon, which could be cut off amid torch; it ends once the main thread has.
                self._thread = threading.Thread(target=self._work, name="convviz-embeddings")
                self._thread.start()

    def leave(self, owner: object) -> None:
        """Do nothing more for ``owner``."""
        with self._turn:
            self._asked.pop(id(owner), None)

    def observe(self, observer: Callable[[], None]) -> None:
        """Call ``observer()`` after every checkpoint, from the thread that works."""
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
        """Stop working and forget everything."""
        with self._turn:
            self._closed = True
            self._observers = []
            for kept in (self._asked, self._codes, self._layouts, self._done, self._failures):
                kept.clear()
        self._encoder.close()

    # -- look ---------------------------------------------------------------------------------

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """Of the checkpoints, in order."""
        return self._timeline.keys

    def get(self, job: EmbeddingJob) -> Embedding | None:
        """Return the embedding; None where there is none yet."""
        return self._done.get(job)

    def failure(self, job: EmbeddingJob) -> str:
        """Return one line on why there is none, empty if nothing has gone wrong."""
        return self._failures.get(job, "")

    def progress(self, *jobs: EmbeddingJob) -> Progress:
        """Return how many of these have been done, and what has failed."""
        with self._turn:
            done = sum(self._is_settled(job) for job in jobs)
            failures = [self._failures[job] for job in jobs if job in self._failures]
            return Progress(done, len(jobs), tuple(dict.fromkeys(failures)))

    @property
    def forward_count(self) -> int:
        """Forward passes so far, none of which counts as the user's."""
        return self._encoder.forward_count

    def _is_settled(self, job: EmbeddingJob) -> bool:
        return job in self._done or job in self._failures

    # -- work ---------------------------------------------------------------------------------

    def _next(self) -> EmbeddingJob | None:
        """Return the first job that is not done; the lock is held."""
        keys = set(self._timeline.keys)
        for jobs in self._asked.values():
            for job in jobs:
                if {job.key, job.reference} <= keys and not self._is_settled(job):
                    return job
        return None

    def _is_asked(self, job: EmbeddingJob) -> bool:
        with self._turn:
            wanted = any(job in jobs for jobs in self._asked.values())
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

    def _settle(self, job: EmbeddingJob) -> None:
        """Do a job; note what fails."""
        try:
            made = self._made(job)
        except Stopped:
            return
        except Exception as error:  # a broken checkpoint must not end the thread
            with self._turn:
                self._failures[job] = _line(self._under_way, error)
            return
        with self._turn:
            if not self._closed:
                self._done[job] = made
                self._forget()

    def _made(self, job: EmbeddingJob) -> Embedding:
        self._under_way = ""
        if job.method == TSNE:
            scikit_learn_tsne()  # before the images are encoded for nothing
        reference = self._layout(replace(job, key=job.reference), job)
        layout = self._layout(job, job)
        codes = self._encoded(job, job)
        images = self._encoder.indices(job.count)
        return replace(turn(layout, reference, images, codes.labels), failures=codes.failures)

    def _layout(self, job: EmbeddingJob, purpose: EmbeddingJob) -> Layout:
        """Return the layout of a checkpoint: of the reference, or started from the reference's."""
        found = self._layouts.get(job)
        if found is None:
            start = None
            if job.method == TSNE and job.key != job.reference:
                start = self._layout(replace(job, key=job.reference), purpose)
            codes = self._encoded(job, purpose).values
            if not np.isfinite(codes).all(axis=1).any():
                raise InputError(f"no image has a finite code in {job.layer}")
            found = lay_out(codes, job, start)
            with self._turn:
                self._layouts[job] = found
        return found

    def _encoded(self, job: EmbeddingJob, purpose: EmbeddingJob) -> Codes:
        self._under_way = self._name(job)
        place = (job.key, job.layer, job.count)
        with self._turn:
            found = self._codes.get(place)
        if found is None:
            found = self._encoder.encode(
                self._entry(job), job.layer, job.count, lambda: self._is_asked(purpose)
            )
            with self._turn:
                self._codes.put(place, found)
        return found

    def _name(self, job: EmbeddingJob) -> str:
        return next((each.name for each in self._timeline.entries if each.key == job.key), "")

    def _entry(self, job: EmbeddingJob) -> Entry:
        for entry in self._timeline.entries:
            if entry.key == job.key:
                return entry
        raise InputError("the checkpoint has been replaced or removed; refresh the state")

    def _forget(self) -> None:
        """Let go of checkpoints that are gone, and of the oldest beyond the budget; locked."""
        keys = set(self._timeline.keys)
        asked = {job for jobs in self._asked.values() for job in jobs}
        held = sum(each.nbytes for each in self._done.values())
        for job in list(self._done):
            if job not in asked and (held > EMBEDDING_BYTES or job.key not in keys):
                held -= self._done.pop(job).nbytes
        needed = {*self._done, *(replace(job, key=job.reference) for job in self._done)}
        self._layouts = {job: each for job, each in self._layouts.items() if job in needed}

    def _tell(self) -> None:
        for observer in self._observers:
            try:
                observer()
            except Exception:
                logging.getLogger(__name__).exception("an observer of the embeddings failed")


def _line(name: str, error: Exception) -> str:
    text = " ".join(str(error).split())
    kind = "" if isinstance(error, ConvVizError) else f"{type(error).__name__}: "
    return f"{name}{': ' if name else ''}{kind}{text}"
