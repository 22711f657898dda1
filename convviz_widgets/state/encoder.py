"""The Encoder: what a layer makes of many images at one checkpoint, through a probe of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from math import prod
from typing import Any

import numpy as np

from convviz_widgets.instrument import ImageSet, Probe
from convviz_widgets.instrument.responses import read_batch
from convviz_widgets.state.background import Stopped
from convviz_widgets.state.codes import Codes, code_of, evenly_drawn
from convviz_widgets.state.timeline import Entry

BATCH = 64
"""Images that go through the model at a time, if they fit."""

FORWARD_BYTES = 2**28
"""What the largest layer of a batch may take, four times over."""


class Encoder:
    """Encodes images; the passes it runs are not counted as the user's.

    Used by one thread at a time. The probe is made at the first use. The lock is held while it is
    made and while images are read, never while the model runs.

    Parameters
    ----------
    probe, lock
        The state's probe, to be copied once, and the lock to hold meanwhile.
    images
        What is encoded.
    """

    def __init__(self, probe: Probe, lock: AbstractContextManager[Any], images: ImageSet) -> None:
        self._shared: Probe | None = probe
        self._lock = lock
        self._images = images
        self._probe: Probe | None = None

    @property
    def forward_count(self) -> int:
        """Forward passes so far."""
        return 0 if self._probe is None else self._probe.forward_count

    def indices(self, count: int) -> tuple[int, ...]:
        """Return the images that stand for the set, ``count`` at most, evenly drawn."""
        return evenly_drawn(len(self._images), count)

    def encode(self, entry: Entry, layer: str, count: int, go_on: Callable[[], bool]) -> Codes:
        """Return the codes of up to ``count`` images.

        Raises
        ------
        Stopped
            Between two batches, once ``go_on()`` is false.
        """
        probe, chosen = self._ready(), self.indices(count)
        if probe.key != entry.key:
            probe.load(entry.load(), entry.key)
        width = next(info.shape[0] for info in probe.layers if info.name == layer)
        values = np.full((len(chosen), width), np.nan, np.float32)
        labels = np.full(len(chosen), -1, np.int64)
        failures: list[str] = []
        size = _fitting(probe)
        for start in range(0, len(chosen), size):
            if not go_on():
                raise Stopped
            batch = read_batch(self._images, chosen[start : start + size], self._lock)
            failures += batch.failures
            if batch.inputs is not None:
                rows = start + np.flatnonzero(np.isin(chosen[start : start + size], batch.indices))
                recorded = probe.record(batch.inputs, layers=(layer,))
                values[rows] = code_of(recorded.outputs[layer])
                labels[rows] = batch.labels
        return Codes(values, labels, tuple(failures))

    def close(self) -> None:
        """Let go of both probes; what is under way ends as `Stopped`."""
        self._shared = self._probe = None

    def _ready(self) -> Probe:
        with self._lock:
            if self._shared is None:
                raise Stopped
            if self._probe is None:
                self._probe = self._shared.twin(self._images.input(0))
            return self._probe


def _fitting(probe: Probe) -> int:
    largest = max((prod(layer.shape) for layer in probe.layers), default=1)
    return max(1, min(BATCH, FORWARD_BYTES // (4 * 4 * max(1, largest))))
