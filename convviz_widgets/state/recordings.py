"""What the model does at a checkpoint on an image: computed once, kept while there is room."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import perf_counter
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.instrument import Gradients, ImageSet, Probe, Recording
from convviz_widgets.state.cache import ByteCache
from convviz_widgets.state.timeline import Entry

Loss = Callable[[Any, Any], Tensor]

IN_VIEW = 4
"""How many of the layers asked for last count as in view when not all of them fit."""


class Recordings:
    """Recordings and gradients of one probe, cached by checkpoint and image within a budget."""

    def __init__(self, probe: Probe, images: ImageSet, budget: int) -> None:
        self.status = ""
        """One line while a recording does not fit into the budget as a whole."""
        self.seconds = inf
        """How long the last load and forward pass took; endless before the first."""
        self._probe = probe
        self._images = images
        self._cache: ByteCache[Recording | Gradients] = ByteCache(budget)
        self._asked: list[str] = []

    @property
    def nbytes(self) -> int:
        """Bytes held, reserved ones included."""
        return self._cache.nbytes + self._cache.reserved

    def reserve(self, nbytes: int) -> None:
        """Count bytes that captured weights hold against the budget."""
        self._cache.reserved = nbytes
        self._cache.trim()

    def clear(self) -> None:
        """Forget everything."""
        self._cache.clear()

    def has(self, entry: Entry, image: int, layer: str) -> bool:
        """Tell whether a layer's output is there without a forward pass."""
        kept = self._cache.get((entry.key, image))
        return isinstance(kept, Recording) and layer in kept.outputs

    def load(self, entry: Entry) -> Probe:
        """Return the probe with the weights of ``entry`` in it."""
        if self._probe.key != entry.key:
            self._probe.load(entry.load(), entry.key)
        return self._probe

    def activation(self, entry: Entry, image: int, layer: str, side: str) -> Tensor:
        """Return one layer's output, or the input of an activation, without the batch axis."""
        self._asked = [layer, *(name for name in self._asked if name != layer)][:IN_VIEW]
        recording = self._recording(entry, image, layer)
        if side == "in" and layer not in recording.inputs:
            known = ", ".join(recording.inputs) or "none"
            raise InputError(f"{layer} is no activation; inputs are recorded for {known}")
        return (recording.outputs if side == "out" else recording.inputs)[layer][0]

    def result(self, entry: Entry, image: int) -> Any:
        """Return the model's own output."""
        return self._recording(entry, image, None).result

    def gradients(self, entry: Entry, images: tuple[int, ...], loss: Loss | None) -> Gradients:
        """Return the gradients of the loss on these images."""
        key = ("gradients", entry.key, images)
        kept = self._cache.get(key)
        if not isinstance(kept, Gradients):
            target = self._images.expected(images)
            measure = loss or cross_entropy
            inputs = self._images.batch(images)
            kept = self.load(entry).backward(inputs, lambda output: measure(output, target))
            self._cache.put(key, kept)
        return kept

    def _recording(self, entry: Entry, image: int, layer: str | None) -> Recording:
        kept = self._cache.get((entry.key, image))
        if not isinstance(kept, Recording) or (layer is not None and layer not in kept.outputs):
            started = perf_counter()
            recording = self.load(entry).record(self._images.input(image))
            self.seconds = perf_counter() - started
            kept = self._fitting(recording)
            self._cache.put((entry.key, image), kept)
        return kept

    def _fitting(self, recording: Recording) -> Recording:
        """Keep the layers in view, then as many others as fit, the small ones first."""
        room = self._cache.room
        if recording.nbytes <= room:
            self.status = ""
            return recording
        kept = [name for name in self._asked if name in recording.outputs]
        held = sum(recording.outputs[name].nbytes for name in kept)
        rest = [name for name in recording.outputs if name not in kept]
        for name in sorted(rest, key=lambda name: recording.outputs[name].nbytes):
            held += recording.outputs[name].nbytes
            if held > room:
                break
            kept.append(name)
        self.status = f"over budget: {len(kept)} of {len(recording.outputs)} layers kept"
        return recording.restricted(kept)


def cross_entropy(output: Any, target: Tensor | None) -> Tensor:
    """Return the default loss, of class scores (N, K) and labels (N,)."""
    if target is None or target.ndim != 1:
        raise InputError("gradients need a loss: give the images labels, or the state loss=")
    return F.cross_entropy(output, target)
