"""Readings at a selection: activations, weights, outputs, gradients, attributions, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from torch import Tensor

from convviz_widgets.errors import InputError, UnknownLayerError, unknown
from convviz_widgets.images import ImageSet
from convviz_widgets.probe import Attributions, LayerInfo
from convviz_widgets.probe.attribution import Position
from convviz_widgets.probe.decoder import Decoder
from convviz_widgets.probe.output_parts import copied
from convviz_widgets.state.recordings import Loss, NamedUnit, Recordings
from convviz_widgets.state.selection import Drawing, Selection, Shown
from convviz_widgets.state.timeline import Entry, Timeline

SIDES = ("out", "in", "table")
"""What can be read of a layer: its output, as a table too, and the input of an activation."""

SLOW = 0.1
"""Seconds of a forward pass from which on a view says that it is computing."""


class Readings:
    """Reads activations, weights, answers and gradients off one model, at any selection.

    Parameters
    ----------
    images
        What the model is shown.
    timeline
        Its checkpoints.
    recordings
        What was computed, and the probe that computes the rest.
    loss
        Loss for gradients.
    probe_indices
        Images of the batch that gradients can be of.
    lock
        Held while the model runs: a probe is looked through by one thread at a time.
    """

    def __init__(
        self,
        images: ImageSet,
        timeline: Timeline,
        recordings: Recordings,
        loss: Loss,
        probe_indices: tuple[int, ...],
        lock: AbstractContextManager[Any],
    ) -> None:
        self._images, self._timeline, self._recordings = images, timeline, recordings
        self._loss, self._probe_indices, self._lock = loss, probe_indices, lock
        self.layers = {info.name: info for info in recordings.probe.layers}
        """The layers by name, in execution order."""

    def layer_info(self, name: str) -> LayerInfo:
        """Return the facts about a layer; `UnknownLayerError` where there is none of the name."""
        if name not in self.layers:
            raise UnknownLayerError(unknown("layer", name, self.layers, "this model has"))
        return self.layers[name]

    def is_ready(self, chosen: Selection) -> bool:
        """Tell whether the activations of a selection are there without a forward pass."""
        return self._recordings.has(*self._place(chosen), chosen.layer)

    def is_slow(self, chosen: Selection) -> bool:
        """Tell whether a look needs a forward pass, and passes or loads have been slow."""
        if self.is_ready(chosen):
            return False
        return self._recordings.seconds > SLOW or self.is_slow_to_load(chosen)

    def is_slow_to_load(self, chosen: Selection) -> bool:
        """Tell whether the weights must be loaded first, and the last load was slow."""
        entry, _ = self._place(chosen)
        return self._recordings.probe.key != entry.key and self._recordings.load_seconds > SLOW

    # -- what goes in, and what comes out -----------------------------------------------------

    def input(self, chosen: Selection) -> Tensor:
        """Return what the model is shown, (C, H, W), the caller's to change."""
        shown = chosen.shown
        return shown.input.clone() if isinstance(shown, Drawing) else self._images.input(shown)[0]

    def display(self, chosen: Selection) -> np.ndarray:
        """Return what the model is shown as a picture, uint8 (H, W, 3)."""
        shown = chosen.shown
        if isinstance(shown, Drawing):
            return self._images.preprocessing.undone(shown.input)
        return self._images.display(shown)

    def recorded(self, chosen: Selection, layer: str | None, side: str) -> Tensor:
        """Return what a layer, default the selected one, puts out or takes in: only to be read."""
        if side not in SIDES:
            raise InputError(unknown("side", side, SIDES, "a layer has"))
        with self._lock:
            info = self.layer_info(chosen.layer if layer is None else layer)
            if side == "table" and info.without_channels:
                raise InputError(info.without_channels)
            return self._recordings.activation(*self._place(chosen), info.name, side)

    def output(self, chosen: Selection) -> Any:
        """Return the model's own output, the caller's to change."""
        with self._lock:
            return copied(self._recordings.result(*self._place(chosen)))

    def parameter(self, chosen: Selection, layer: str | None, kind: str) -> Tensor | None:
        """Return a copy of the "weight" or "bias" of a layer; None: it has none."""
        with self._lock:
            info = self.layer_info(chosen.layer if layer is None else layer)
            probe = self._recordings.load(self._place(chosen)[0])
            return probe.weight(info.name) if kind == "weight" else probe.bias(info.name)

    # -- where that comes from ----------------------------------------------------------------

    def gradient(
        self, chosen: Selection, layer: str | None, of: str, *, batch: bool
    ) -> Tensor | None:
        """Return the gradient of the loss by a layer's "output" or "weight"; None: it has none."""
        if of not in ("output", "weight"):
            raise InputError(unknown("of", of, ("output", "weight"), "a gradient is of the"))
        with self._lock:
            info = self.layer_info(chosen.layer if layer is None else layer)
            entry, shown = self._place(chosen)
            images = self._probe_indices if batch else (shown,)
            gradients = self._recordings.gradients(entry, images, self._loss)
            found = (gradients.outputs if of == "output" else gradients.weights).get(info.name)
            if found is None:
                return None
            return (found[0] if of == "output" and not batch else found).clone()

    def attributions(
        self,
        chosen: Selection,
        images: Sequence[int],
        method: str,
        positions: Sequence[Position | None] | None,
    ) -> Attributions:
        """Return the pixels of each image that the selected unit answers to."""
        places = None if positions is None else tuple(place or () for place in positions)
        unit = NamedUnit(chosen.layer, chosen.channel, chosen.direction, places)
        with self._lock:
            return self._recordings.attributions(
                self._place(chosen)[0], tuple(images), unit, method
            )

    def decoded(self, chosen: Selection, decoder: Decoder, codes: Tensor) -> Tensor:
        """Return the pictures (B, C, H, W) that codes (B, Z) stand for at the checkpoint."""
        with self._lock:
            return decoder.pictures(self._recordings.load(self._place(chosen)[0]), codes)

    def _place(self, chosen: Selection) -> tuple[Entry, Shown]:
        return self._timeline.entry_of(chosen.checkpoint, chosen.key, chosen.step), chosen.shown
