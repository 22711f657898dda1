"""Embeddings: images as points in the plane, by what a layer makes of them at each checkpoint."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from convviz_widgets.errors import InputError, in_one_line
from convviz_widgets.images import ImageSet
from convviz_widgets.probe import LayerInfo
from convviz_widgets.probe.layers import ACTIVATION_MODULES
from convviz_widgets.state.background import Background, Priority, Progress, Provider, Task
from convviz_widgets.state.recordings import ByteCache
from convviz_widgets.state.timeline import Entry, Timeline
from convviz_widgets.tensors.plane import align, neighbour_map, principal_plane, scikit_learn_tsne

PCA, TSNE = "pca", "t-sne"

METHODS = (PCA, TSNE)

ROOM = 1.25
"""Side of the frame, in sides of the smallest square around the points of the reference."""

CODE_BYTES = 2**26
"""What codes may take that are kept, so that another method needs no forward pass."""

EMBEDDING_BYTES = 2**26
"""What embeddings may take that nobody asks for at the moment."""

PROBABILITIES = {"softmax", "softmax2d", "softmin", "logsoftmax", "log_softmax"}
"""Activations that end a classifier rather than make a code."""

ACTIVATIONS = {cls.__name__.lower() for cls in ACTIVATION_MODULES} | {"leaky_relu"}
ACTIVATIONS -= PROBABILITIES


@dataclass(frozen=True, eq=False)
class Codes:
    """What one layer makes of images at one checkpoint.

    Attributes
    ----------
    values : float32 (n, C); NaN for images that cannot be read.
    labels : int64 (n,), -1 without one.
    failures : one line for each image that could not be read.
    """

    values: np.ndarray
    labels: np.ndarray
    failures: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.values.nbytes + self.labels.nbytes


@dataclass(frozen=True)
class Frame:
    """A square of the plane."""

    x: float
    y: float
    """Its middle."""
    half: float
    """Half its side."""


@dataclass(frozen=True)
class EmbeddingJob:
    """Which embedding is wanted."""

    key: Hashable
    """Of the checkpoint."""
    reference: Hashable
    """Key of the checkpoint whose axes it is turned to."""
    layer: str
    count: int
    """Images, at most."""
    method: str = PCA
    perplexity: float = 30.0
    """For t-SNE."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Codes laid out in the plane, as they come from PCA or t-SNE.

    Attributes
    ----------
    positions : float64 (n, 2); NaN for codes that are not finite.
    shares : of the variance, along each axis; NaN without any. For t-SNE None.
    perplexity, divergence : of t-SNE, else None.
    """

    positions: np.ndarray
    shares: tuple[float, float] | None = None
    perplexity: float | None = None
    divergence: float | None = None


@dataclass(frozen=True, eq=False)
class Embedding:
    """Images as points, turned onto those of the reference.

    Attributes
    ----------
    images : their indices, n of them.
    labels : int64 (n,), -1 without one.
    positions : float64 (n, 2), in units of their own spread; NaN for images without a code.
    layout : where the points come from, before they were turned.
    agreement : with the reference, see `Aligned`.
    spread : of the points before that, relative to the reference's; NaN if that has none.
    frame : the square that the reference fits in, with some room.
    failures : one line for each image that could not be read.
    """

    images: tuple[int, ...]
    labels: np.ndarray
    positions: np.ndarray
    layout: Layout
    agreement: float
    spread: float
    frame: Frame
    failures: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        held = (self.labels, self.positions, self.layout.positions)
        return sum(each.nbytes for each in held) + 8 * len(self.images)

    @property
    def shown(self) -> np.ndarray:
        """Which images have a point, bool (n,)."""
        return np.isfinite(self.positions).all(axis=1)


class Embeddings(Provider[EmbeddingJob]):
    """Embeddings from memory, or made in the background.

    What an owner asks for first is laid out first, the rest ahead of the clock. What is under way
    is dropped between two batches of images once nobody asks for it any more; a t-SNE that has
    begun runs to its end.

    Every checkpoint is laid out by itself and then turned onto the reference, t-SNE starting from
    the reference's layout: what comes out does not depend on what was looked at before.

    Parameters
    ----------
    background
        Encodes the images.
    timeline
        The checkpoints, captures among them.
    images
        What is encoded.
    """

    problem = ""

    def __init__(self, background: Background, timeline: Timeline, images: ImageSet) -> None:
        super().__init__(background)
        self._timeline, self._images = timeline, images
        self._codes: ByteCache[Codes] = ByteCache(CODE_BYTES)
        self._layouts: dict[EmbeddingJob, Layout] = {}
        self._done: dict[EmbeddingJob, Embedding] = {}
        self._failures: dict[EmbeddingJob, str] = {}
        self._under_way = ""  # checkpoint, in the words that a failure begins with

    def close(self) -> None:
        """Stop working and forget everything; the lock is held."""
        super().close()
        for kept in (self._codes, self._layouts, self._done, self._failures):
            kept.clear()

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
        with self._lock:
            done = sum(self._is_settled(job) for job in jobs)
            failures = [self._failures[job] for job in jobs if job in self._failures]
            return Progress(done, len(jobs), tuple(dict.fromkeys(failures)))

    def _is_settled(self, job: EmbeddingJob) -> bool:
        return job in self._done or job in self._failures

    # -- work ---------------------------------------------------------------------------------

    def next_task(self) -> Task | None:
        """Return the first embedding that is not there yet; the lock is held."""
        keys = set(self._timeline.keys)
        for job, is_first in self._in_order():
            if {job.key, job.reference} <= keys and not self._is_settled(job):
                return self._task(job, is_first)
        return None

    def _task(self, job: EmbeddingJob, is_first: bool) -> Task:
        return Task(
            do=lambda: self._make(job),
            fail=lambda error: self._fail(job, error),
            is_wanted=lambda: self._is_asked(job),
            priority=Priority.SHOWN if is_first else Priority.AHEAD,
        )

    def _make(self, job: EmbeddingJob) -> None:
        made = self._made(job)
        with self._lock:
            if not self._closed:
                self._done[job] = made
                self._forget()

    def _fail(self, job: EmbeddingJob, error: Exception) -> None:
        at = f"{self._under_way}: " if self._under_way else ""
        with self._lock:
            self._failures[job] = at + in_one_line(error)

    def _made(self, job: EmbeddingJob) -> Embedding:
        self._under_way = ""
        if job.method == TSNE:
            scikit_learn_tsne()  # before the images are encoded for nothing
        reference = self._layout(replace(job, key=job.reference))
        layout, codes = self._layout(job), self._encoded(job)
        images = evenly_drawn(len(self._images), job.count)
        return replace(turn(layout, reference, images, codes.labels), failures=codes.failures)

    def _layout(self, job: EmbeddingJob) -> Layout:
        """Return the layout of a checkpoint: of the reference, or started from the reference's."""
        found = self._layouts.get(job)
        if found is None:
            start = None
            if job.method == TSNE and job.key != job.reference:
                start = self._layout(replace(job, key=job.reference))
            codes = self._encoded(job).values
            if not np.isfinite(codes).all(axis=1).any():
                raise InputError(f"no image has a finite code in {job.layer}")
            found = lay_out(codes, job, start)
            with self._lock:
                self._layouts[job] = found
        return found

    def _encoded(self, job: EmbeddingJob) -> Codes:
        entry = self._entry(job)
        self._under_way = entry.name
        place = (job.key, job.layer, job.count)
        with self._lock:
            found = self._codes.get(place)
        if found is None:
            found = self._encode(entry, job.layer, evenly_drawn(len(self._images), job.count))
            with self._lock:
                self._codes.put(place, found)
        return found

    def _encode(self, entry: Entry, layer: str, chosen: tuple[int, ...]) -> Codes:
        """Return what a layer makes of images; raise `Stopped` once nobody asks for it."""
        probe = self._background.model.loaded(entry)
        width = next(info.shape[0] for info in probe.layers if info.name == layer)
        values = np.full((len(chosen), width), np.nan, np.float32)
        labels = np.full(len(chosen), -1, np.int64)
        failures: list[str] = []
        for batch in self._background.batches(chosen):
            failures += batch.failures
            if batch.inputs is not None:
                rows = np.searchsorted(chosen, batch.indices)  # ascending, as they were drawn
                probe = self._background.model.loaded(entry)
                recorded = probe.record(batch.inputs, layers=(layer,))
                values[rows] = code_of(recorded.outputs[layer])
                labels[rows] = batch.labels
        return Codes(values, labels, tuple(failures))

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


def lay_out(codes: np.ndarray, job: EmbeddingJob, start: Layout | None = None) -> Layout:
    """Return codes (n, C) in the plane; t-SNE starts from ``start``, by default from PCA."""
    known = np.isfinite(codes).all(axis=1)
    positions = np.full((len(codes), 2), np.nan)
    if not known.any():
        return Layout(positions)
    plane = principal_plane(codes[known])
    positions[known] = plane.positions
    if job.method == PCA or np.isnan(plane.shares[0]):  # equal codes lie in one point
        return Layout(positions, plane.shares)
    begin = np.zeros(0) if start is None else np.nan_to_num(start.positions[known])
    if not begin.any():  # points that all lie in one place cannot part again
        begin = plane.positions
    found = neighbour_map(codes[known], begin, job.perplexity)
    positions[known] = found.positions
    return Layout(positions, None, found.perplexity, found.divergence)


def turn(
    layout: Layout, reference: Layout, images: tuple[int, ...], labels: np.ndarray
) -> Embedding:
    """Return a layout turned onto the reference's, with the images that it shows."""
    target = align(reference.positions, reference.positions)
    turned = align(layout.positions, target.positions)
    return Embedding(
        images,
        labels,
        turned.positions,
        layout,
        turned.agreement,
        turned.spread / target.spread if target.spread else np.nan,
        _around(target.positions),
    )


def _around(positions: np.ndarray) -> Frame:
    """Return the smallest square around points (n, 2), with room; one of side 2 around a point."""
    there = positions[np.isfinite(positions).all(axis=1)]
    low, high = there.min(axis=0), there.max(axis=0)
    x, y = (low + high) / 2
    return Frame(float(x), float(y), ROOM * float((high - low).max()) / 2 or 1.0)


def code_of(output: Tensor) -> np.ndarray:
    """Return the output (B, C, ...) of a layer as codes (B, C): the mean over all positions."""
    values = output.detach().float()
    return (values.flatten(2).mean(2) if values.ndim > 2 else values).cpu().numpy()


def code_layer(layers: Sequence[LayerInfo], selected: str) -> str:
    """Return the layer whose output stands for ``selected``: the activation that follows it.

    An activation stands for itself; so does a layer with another convolution or linear layer, or
    the end of the model, before the next activation.

    >>> def layer(name, kind, *weight):
    ...     return LayerInfo(name, kind, (4, 8, 8), weight or None, 1)
    >>> net = [layer("conv", "Conv2d", 4, 3, 3, 3), layer("bn", "BatchNorm2d", 4),
    ...        layer("relu", "ReLU"), layer("pool", "MaxPool2d"), layer("fc", "Linear", 2, 4)]
    >>> [code_layer(net, each.name) for each in net]
    ['relu', 'relu', 'relu', 'pool', 'fc']
    """
    names = [info.name for info in layers]
    here = names.index(selected)
    for info in layers[here:]:
        if info.kind.lower() in ACTIVATIONS:
            return info.name
        computes_anew = info.weight_shape is not None and len(info.weight_shape) > 1
        if info.name != selected and computes_anew:
            break
    return selected


def evenly_drawn(total: int, count: int) -> tuple[int, ...]:
    """Return ``count`` of the numbers below ``total``, evenly spread; all, if there are fewer."""
    count = min(total, count)
    return tuple(place * total // count for place in range(count))
