"""Embeddings: images as points in the plane, by the codes of a layer at each checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from convviz_widgets.errors import InputError, in_one_line
from convviz_widgets.images import ImageSet
from convviz_widgets.probe import LayerInfo
from convviz_widgets.probe.layers import ACTIVATION_MODULES
from convviz_widgets.state.background import Background, SharedClient
from convviz_widgets.state.recordings import ByteCache
from convviz_widgets.state.task import Priority, Progress, Task
from convviz_widgets.state.timeline import Entry, Timeline
from convviz_widgets.tensors import evenly_spread
from convviz_widgets.tensors.plane import align, neighbour_map, principal_plane, scikit_learn_tsne

PCA, TSNE = "pca", "t-sne"

METHODS = (PCA, TSNE)

ROOM = 1.25
"""How many times as wide the frame is as the points of the reference."""

CODE_BYTES = 2**26
"""Bytes of codes that are kept, so that another method needs no forward pass."""

EMBEDDING_BYTES = 2**26
"""Bytes that embeddings may take which are not asked for at the moment."""

PROBABILITIES = {"softmax", "softmax2d", "softmin", "logsoftmax", "log_softmax"}
"""Activations that end a classifier rather than make a code."""

ACTIVATIONS = {cls.__name__.lower() for cls in ACTIVATION_MODULES} | {"leaky_relu"}
ACTIVATIONS -= PROBABILITIES


@dataclass(frozen=True, eq=False)
class Codes:
    """What one layer makes of images at one checkpoint.

    Attributes
    ----------
    images : their indices, n of them.
    values : float32 (n, C); NaN for images that cannot be read.
    labels : int64 (n,), -1 without one.
    failures : one line for each image that could not be read.
    """

    images: tuple[int, ...]
    values: np.ndarray
    labels: np.ndarray
    failures: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.values.nbytes + self.labels.nbytes + 8 * len(self.images)


@dataclass(frozen=True)
class Viewport:
    """The square of the plane that is shown: its middle (x, y), and half of its side."""

    x: float
    y: float
    half: float


@dataclass(frozen=True)
class EmbeddingJob:
    """Which embedding is wanted."""

    key: Hashable
    """The checkpoint's key."""
    reference: Hashable
    """Key of the checkpoint whose axes it is turned to."""
    layer: str
    count: int
    """Images, at most."""
    method: str = PCA
    perplexity: float = 30.0
    """The perplexity of t-SNE."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Codes laid out in the plane, as they come from PCA or t-SNE.

    Attributes
    ----------
    positions : float64 (n, 2); NaN for codes that are not finite.
    shares : share of the variance along each axis; NaN without any. For t-SNE None.
    perplexity, divergence : those of t-SNE, else None.
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
    agreement : that with the reference, see `Aligned`.
    spread : that of the points before, relative to the reference's; NaN if that has none.
    frame : the square that the reference fits in, with some room.
    failures : one line for each image that could not be read.
    """

    images: tuple[int, ...]
    labels: np.ndarray
    positions: np.ndarray
    layout: Layout
    agreement: float
    spread: float
    frame: Viewport
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


class Embeddings(SharedClient[EmbeddingJob]):
    """Embeddings from memory, or made in the background.

    What an owner asks for first is laid out first, the rest ahead of the clock. What is under way
    is dropped between two batches of images, or two steps of t-SNE, if it is not asked for any
    more.

    Every checkpoint is laid out by itself and then turned onto the reference, t-SNE starting from
    the reference's layout: what comes out does not depend on what was looked at before.

    Parameters
    ----------
    background
        Runs the model.
    timeline
        The checkpoints, captures among them.
    images
        What is encoded.
    """

    problem = ""

    def __init__(self, background: Background, timeline: Timeline, images: ImageSet) -> None:
        super().__init__(background)
        self._timeline, self._encoder = timeline, Encoder(background, images)
        self._layouts: dict[EmbeddingJob, Layout] = {}
        self._done: dict[EmbeddingJob, Embedding] = {}
        self._failures: dict[EmbeddingJob, str] = {}
        self._under_way: Entry | None = None  # the checkpoint that a failure is told of

    def close(self) -> None:
        """Stop working and forget everything; the lock is held."""
        super().close()
        self._encoder.close()
        for kept in (self._layouts, self._done, self._failures):
            kept.clear()

    # -- look ---------------------------------------------------------------------------------

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """The keys of the checkpoints, in order."""
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
            is_long=job.method == TSNE,
        )

    def _make(self, job: EmbeddingJob) -> None:
        self._under_way = None
        if job.method == TSNE:
            scikit_learn_tsne()  # before the images are encoded for nothing
        reference = self._layout(replace(job, key=job.reference))
        made = turn(self._layout(job), reference, self._codes(job))
        with self._lock:
            if not self._closed:
                self._done[job] = made
                self._forget()

    def _fail(self, job: EmbeddingJob, error: Exception) -> None:
        at = self._under_way
        with self._lock:
            self._failures[job] = in_one_line(error) if at is None else at.failure(error)

    def _layout(self, job: EmbeddingJob) -> Layout:
        """Return the layout of a checkpoint: of the reference, or started from the reference's."""
        found = self._layouts.get(job)
        if found is None:
            start = None
            if job.method == TSNE and job.key != job.reference:
                start = self._layout(replace(job, key=job.reference))
            codes = self._codes(job).values
            if not np.isfinite(codes).all(axis=1).any():
                raise InputError(f"no image has a finite code in {job.layer}")
            found = lay_out(codes, job, start, self._background.pause)
            with self._lock:
                self._layouts[job] = found
        return found

    def _codes(self, job: EmbeddingJob) -> Codes:
        entry = self._timeline.by_key.get(job.key)
        if entry is None:
            raise InputError("the checkpoint has been replaced or removed; refresh the state")
        self._under_way = entry
        return self._encoder.codes(entry, job.layer, job.count)

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


class Encoder:
    """Says what a layer makes of images: kept, so that another method needs no forward pass.

    Parameters
    ----------
    background
        Has the copy of the model.
    images
        What is encoded.
    """

    def __init__(self, background: Background, images: ImageSet) -> None:
        self._background, self._images = background, images
        self._kept: ByteCache[Codes] = ByteCache(CODE_BYTES)

    def codes(self, entry: Entry, layer: str, count: int) -> Codes:
        """Return the codes of at most ``count`` images; raise `Stopped` if not asked for."""
        place = (entry.key, layer, count)
        with self._background.lock:
            found = self._kept.get(place)
        if found is None:
            found = self._encoded(entry, layer, evenly_spread(len(self._images), count))
            with self._background.lock:
                self._kept.put(place, found)
        return found

    def close(self) -> None:
        """Forget everything; the lock is held."""
        self._kept.clear()

    def _encoded(self, entry: Entry, layer: str, images: tuple[int, ...]) -> Codes:
        model = self._background.model
        info = next(info for info in model.probe().layers if info.name == layer)
        if info.without_channels:
            raise InputError(info.without_channels)
        width = info.shape[0]
        values = np.full((len(images), width), np.nan, np.float32)
        labels = np.full(len(images), -1, np.int64)
        failures: list[str] = []
        for batch in self._background.batches(images):
            failures += batch.failures
            if batch.inputs is not None:
                rows = np.searchsorted(images, batch.indices)  # ascending, as they were chosen
                recorded = model.loaded(entry).record(batch.inputs, layers=(layer,))
                values[rows] = code_of(recorded.outputs[layer])
                labels[rows] = batch.labels
        return Codes(images, values, labels, tuple(failures))


def lay_out(
    codes: np.ndarray, job: EmbeddingJob, start: Layout | None, pause: Callable[[], None]
) -> Layout:
    """Return codes (n, C) in the plane; t-SNE starts from ``start``, by default from PCA.

    Between two steps of t-SNE ``pause()`` is called now and then.
    """
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
    found = neighbour_map(codes[known], begin, job.perplexity, between=pause)
    positions[known] = found.positions
    return Layout(positions, None, found.perplexity, found.divergence)


def turn(layout: Layout, reference: Layout, codes: Codes) -> Embedding:
    """Return the layout of some codes turned onto the reference's."""
    target = align(reference.positions, reference.positions)
    turned = align(layout.positions, target.positions)
    return Embedding(
        codes.images,
        codes.labels,
        turned.positions,
        layout,
        turned.agreement,
        turned.spread / target.spread if target.spread else np.nan,
        _around(target.positions),
        codes.failures,
    )


def _around(positions: np.ndarray) -> Viewport:
    """Return the smallest square around points (n, 2), with room; one of side 2 around a point."""
    there = positions[np.isfinite(positions).all(axis=1)]
    low, high = there.min(axis=0), there.max(axis=0)
    x, y = (low + high) / 2
    return Viewport(float(x), float(y), ROOM * float((high - low).max()) / 2 or 1.0)


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
