"""The copy of the model that the background works with, beside the one that the page shows."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from math import prod
from time import perf_counter
from typing import Any

from torch import Tensor

from convviz_widgets.images import ImageSet
from convviz_widgets.measure.responses import ImageBatch, read_batch
from convviz_widgets.probe import LayerInfo, Probe
from convviz_widgets.state.recordings import BACKWARD_COPIES, images_at_once
from convviz_widgets.state.selection import Drawing, Shown
from convviz_widgets.state.timeline import Entry

BATCH = 64
"""Images that go through the model at a time, if they fit."""

FORWARD_BYTES = 2**28
"""Bytes that four copies of the largest layer of a batch may take."""

PIECE_BYTES = 160 * 2**20
"""Bytes that a backward pass may take, so that it is soon over; a forward pass takes less."""


class Stopped(BaseException):
    """The task under way is not asked for any more, or the state has been closed.

    No `Exception`: a model or a view amid which it is raised must not take it for a failure.
    """


class ModelCopy:
    """A copy of the state's model for the thread of the background, made at the first use.

    Parameters
    ----------
    probe
        The state's probe, to be copied; None: there is no model.
    images
        The state's images, which go through the model.
    lock
        Is held while the weights are copied and while an image is read, never while the model
        runs: a data set need not stand being read by two threads.
    """

    def __init__(
        self, probe: Probe | None, images: ImageSet | None, lock: AbstractContextManager[Any]
    ) -> None:
        self.lock = lock
        self.load_seconds = 0.0
        """How long it took to load the last checkpoint."""
        self._original, self._images = probe, images
        self._copy: Probe | None = None
        self._last: tuple[int, Tensor] | None = None

    @property
    def forward_count(self) -> int:
        """Forward passes so far."""
        return 0 if self._copy is None else self._copy.forward_count

    @property
    def piece_size(self) -> int:
        """How many images may go through the model at a time where every layer is kept.

        Fewer than would fit: whoever waits for the thread waits for a piece. It depends on the
        model alone, never on the time that a piece takes, so a busy machine gives the same numbers.
        """
        return min(BATCH, images_at_once(PIECE_BYTES, BACKWARD_COPIES, self.probe().layers))

    def close(self) -> None:
        """Let go of the model; a task that asks for it is `Stopped`."""
        self._original = self._copy = self._last = None

    def probe(self) -> Probe:
        """Return the copy, whatever weights are in it."""
        copy = self._copy
        if copy is None:
            with self.lock:
                if self._original is None or self._images is None:
                    raise Stopped
                learn, example = self._original.twin(), self._images.input(0)
            copy = self._copy = learn(example)  # the model runs: nobody should wait for that
            if self._original is None:  # closed meanwhile
                self.close()
                raise Stopped
        return copy

    def input(self, shown: Shown) -> Tensor:
        """Return a drawing or an image (1, C, H, W) as the model takes it; the last one is kept."""
        if isinstance(shown, Drawing):
            return shown.input[None]
        if self._last is None or self._last[0] != shown:
            assert self._images is not None
            with self.lock:
                self._last = shown, self._images.input(shown)
        return self._last[1]

    def loaded(self, entry: Entry) -> Probe:
        """Return the copy with the weights of a checkpoint in it.

        To be asked again after each `Background.pause`: another task may have loaded others.
        """
        probe = self.probe()
        if probe.key != entry.key:
            begun = perf_counter()
            probe.load(entry.load(), entry.key)
            self.load_seconds = perf_counter() - begun
        return probe

    def read(self, indices: Iterable[int]) -> ImageBatch:
        """Return images with what belongs to them, those left out that cannot be read.

        Whoever needs every one of them looks at the failures of the batch.
        """
        assert self._images is not None
        return read_batch(self._images, indices, self.lock)


def batch_size(layers: tuple[LayerInfo, ...]) -> int:
    """Return how many images may go through the model at a time where no layer is kept."""
    largest = sorted(layers, key=lambda layer: prod(layer.shape))[-1:]
    return min(BATCH, images_at_once(FORWARD_BYTES, 4, largest))
