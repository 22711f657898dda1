"""OwnProbe: a replica for a thread of the background, apart from that of the state."""

from __future__ import annotations

from contextlib import AbstractContextManager
from math import prod
from typing import Any

from convviz_widgets.instrument import ImageSet, LayerInfo, Probe
from convviz_widgets.state.background import Stopped
from convviz_widgets.state.timeline import Entry

BATCH = 64
"""Images that go through the model at a time, if they fit."""

FORWARD_BYTES = 2**28
"""What the largest layer of a batch may take, four times over."""


class OwnProbe:
    """A probe of its own, whose passes are not counted as the user's.

    Used by one thread at a time. The probe is made at the first use. The lock is held while it is
    made, never while the model runs.

    Parameters
    ----------
    probe, lock
        The state's probe, to be copied once, and the lock to hold meanwhile.
    images
        Of the state; what goes through the model.
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

    def close(self) -> None:
        """Let go of both probes; what is under way ends as `Stopped`."""
        self._shared = self._probe = None

    def _loaded(self, entry: Entry) -> Probe:
        """Return the probe with the weights of a checkpoint in it."""
        probe = self._ready()
        if probe.key != entry.key:
            probe.load(entry.load(), entry.key)
        return probe

    def _ready(self) -> Probe:
        with self._lock:
            if self._shared is None:
                raise Stopped
            if self._probe is None:
                self._probe = self._shared.twin(self._images.input(0))
            return self._probe


def fitting(layers: tuple[LayerInfo, ...]) -> int:
    """Return how many images may go through the model at a time, at least one."""
    largest = max((prod(layer.shape) for layer in layers), default=1)
    return max(1, min(BATCH, FORWARD_BYTES // (4 * 4 * max(1, largest))))
