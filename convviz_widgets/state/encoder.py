"""The Encoder: what a layer makes of many images at one checkpoint, through a probe of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convviz_widgets.instrument.responses import read_batch
from convviz_widgets.state.background import Stopped
from convviz_widgets.state.codes import Codes, code_of, evenly_drawn
from convviz_widgets.state.own_probe import OwnProbe, fitting
from convviz_widgets.state.timeline import Entry


class Encoder(OwnProbe):
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
        probe, chosen = self._loaded(entry), self.indices(count)
        width = next(info.shape[0] for info in probe.layers if info.name == layer)
        values = np.full((len(chosen), width), np.nan, np.float32)
        labels = np.full(len(chosen), -1, np.int64)
        failures: list[str] = []
        size = fitting(probe.layers)
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
