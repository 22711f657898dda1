"""Embeddings: of every checkpoint, laid out when somebody asks for them, in the background."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import ClassVar

import numpy as np

from convviz_widgets.errors import InputError, in_one_line
from convviz_widgets.state.cache import ByteCache
from convviz_widgets.state.codes import Codes
from convviz_widgets.state.demand import OnDemand
from convviz_widgets.state.embedding import TSNE, Embedding, EmbeddingJob, Layout, lay_out, turn
from convviz_widgets.state.encoder import Encoder
from convviz_widgets.state.history import Progress
from convviz_widgets.state.timeline import Entry, Timeline
from convviz_widgets.tensors.neighbour_map import scikit_learn_tsne

CODE_BYTES = 2**26
"""What codes may take that are kept, so that another method needs no forward pass."""

EMBEDDING_BYTES = 2**26
"""What embeddings may take that nobody asks for at the moment."""


class Embeddings(OnDemand[EmbeddingJob, EmbeddingJob]):
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

    thread_name: ClassVar[str] = "convviz-embeddings"
    problem = ""

    def __init__(self, timeline: Timeline, encoder: Encoder) -> None:
        super().__init__()
        self._timeline, self._encoder = timeline, encoder
        self._codes: ByteCache[Codes] = ByteCache(CODE_BYTES)
        self._layouts: dict[EmbeddingJob, Layout] = {}
        self._done: dict[EmbeddingJob, Embedding] = {}
        self._failures: dict[EmbeddingJob, str] = {}
        self._under_way = ""  # checkpoint, in the words that a failure begins with

    def close(self) -> None:
        """Stop working and forget everything."""
        with self._turn:
            super().close()
            for kept in (self._codes, self._layouts, self._done, self._failures):
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

    def _do(self, task: EmbeddingJob) -> None:
        made = self._made(task)
        with self._turn:
            if not self._closed:
                self._done[task] = made
                self._forget()

    def _fail(self, task: EmbeddingJob, error: Exception) -> None:
        at = f"{self._under_way}: " if self._under_way else ""
        with self._turn:
            self._failures[task] = at + in_one_line(error)

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
