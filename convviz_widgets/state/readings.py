"""Readings at a selection: activations, weights, outputs, gradients, attributions, pictures.

A thread of the background may read through a `Look` of its own instead of the page's model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
from torch import Tensor

from convviz_widgets.errors import InputError, UnknownLayerError, unknown
from convviz_widgets.images import ImageSet
from convviz_widgets.probe import Attributions, LayerInfo, Probe
from convviz_widgets.probe.attribution import Position
from convviz_widgets.probe.decoder import Decoder
from convviz_widgets.probe.output_parts import copied
from convviz_widgets.state.model_copy import ModelCopy
from convviz_widgets.state.recordings import KeptPass, Loss, NamedUnit, Recordings
from convviz_widgets.state.selection import Drawing, Selection, Shown, shown_name
from convviz_widgets.state.timeline import Entry, Timeline

SIDES = ("out", "in", "table")
"""What can be read of a layer: its output, as a table too, and the input of an activation."""

SLOW = 0.1
"""Seconds of a forward pass from which on a view says that it is computing."""


class Look:
    """One image at one checkpoint, seen through a copy of the model by the thread that owns it.

    It answers as `Recordings` do, with the same numbers. The checkpoint is loaded and the model
    runs when they are first needed; of the pass only those layers are kept that were asked for,
    here or through an earlier look with the same ``layers``.

    Parameters
    ----------
    entry, shown
        What is looked at.
    copy
        The copy of the model.
    recordings
        What is known already: no pass is run for it again.
    layers
        Names of the layers that are likely to be asked for; grows by those that are.
    between
        Called before and after whatever takes long, and after every layer; raises
        `model_copy.Stopped` when it should end.
    """

    def __init__(
        self,
        entry: Entry,
        shown: Shown,
        copy: ModelCopy,
        recordings: Recordings,
        layers: set[str],
        between: Callable[[], None],
    ) -> None:
        self._entry, self._shown = entry, shown
        self._copy, self._recordings = copy, recordings
        self._layers, self._between = layers, between
        self._own: KeptPass | None = None
        self._of: frozenset[str] = frozenset()

    def is_of(self, chosen: Selection) -> bool:
        """Tell whether a selection asks for what this look sees."""
        return chosen.key == self._entry.key and chosen.shown == self._shown

    def load(self) -> Probe:
        """Return the copy with the weights of the checkpoint in it."""
        self._between()
        probe = self._copy.loaded(self._entry)
        self._between()
        return probe

    def activation(self, layer: str, side: str) -> Tensor:
        """Return what `Recordings.activation` does."""
        where = f"{shown_name(self._shown)} at {self._entry.label}"
        return self._kept(layer).activation(layer, side, where)

    def result(self) -> Any:
        """Return the model's own output."""
        return self._kept(None).recording.result

    def _kept(self, layer: str | None) -> KeptPass:
        if layer is not None:
            self._layers.add(layer)
        known = self._recordings.peek(self._entry, self._shown, layer)
        if known is not None:
            return known
        if self._own is None or (layer is not None and layer not in self._of):
            self._of = frozenset(self._layers)
            self._between()
            images = self._copy.input(self._shown)
            recording = self.load().record(images, layers=self._of, between=self._between)
            self._own = KeptPass(recording, frozenset(recording.outputs))
        return self._own


class ThisThread(threading.local):
    """What the thread that asks sees through a look of its own, if anything."""

    look: Look | None = None

    def look_at(self, chosen: Selection) -> Look | None:
        """Return the look through which this thread sees a selection, if there is one."""
        look = self.look
        return look if look is not None and look.is_of(chosen) else None


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
        self._here = ThisThread()
        self.layers = {info.name: info for info in recordings.probe.layers}
        """The layers by name, in execution order."""

    def layer_info(self, name: str) -> LayerInfo:
        """Return the facts about a layer; `UnknownLayerError` where there is none of the name."""
        if name not in self.layers:
            raise UnknownLayerError(unknown("layer", name, self.layers, "this model has"))
        return self.layers[name]

    def is_ready(self, chosen: Selection) -> bool:
        """Tell whether the activations of a selection are there without a forward pass."""
        return self._recordings.peek(*self._place(chosen), chosen.layer) is not None

    def is_slow(self, chosen: Selection) -> bool:
        """Tell whether a look needs a forward pass, and passes or loads have been slow."""
        if self.is_ready(chosen):
            return False
        return self._recordings.seconds > SLOW or self.is_slow_to_load(chosen)

    def is_slow_to_load(self, chosen: Selection) -> bool:
        """Tell whether the weights must be loaded first, and the last load was slow."""
        entry, _ = self._place(chosen)
        return self._recordings.probe.key != entry.key and self._recordings.load_seconds > SLOW

    @contextmanager
    def through(
        self,
        copy: ModelCopy,
        entry: Entry,
        shown: Shown,
        layers: set[str],
        between: Callable[[], None],
    ) -> Iterator[None]:
        """Have this thread see one image at one checkpoint through a `Look`.

        That takes no lock and counts no pass as the user's. Anything else, and what other threads
        read, is seen as ever.
        """
        self._here.look = Look(entry, shown, copy, self._recordings, layers, between)
        try:
            yield
        finally:
            self._here.look = None

    # -- what goes in, and what comes out -----------------------------------------------------

    def input(self, chosen: Selection) -> Tensor:
        """Return what the model is shown, (C, H, W), the caller's to change."""
        shown = chosen.shown
        if isinstance(shown, Drawing):
            return shown.input.clone()
        with self._lock:  # a data set need not stand being read by two threads
            return self._images.input(shown)[0]

    def display(self, chosen: Selection) -> np.ndarray:
        """Return what the model is shown as a picture, uint8 (H, W, 3)."""
        shown = chosen.shown
        if isinstance(shown, Drawing):
            return self._images.preprocessing.undone(shown.input)
        with self._lock:
            return self._images.display(shown)

    def recorded(self, chosen: Selection, layer: str | None, side: str) -> Tensor:
        """Return what a layer, default the selected one, puts out or takes in: only to be read."""
        if side not in SIDES:
            raise InputError(unknown("side", side, SIDES, "a layer has"))
        info = self.layer_info(chosen.layer if layer is None else layer)
        if side == "table" and info.without_channels:
            raise InputError(info.without_channels)
        if look := self._here.look_at(chosen):
            return look.activation(info.name, side)
        with self._lock:
            return self._recordings.activation(*self._place(chosen), info.name, side)

    def output(self, chosen: Selection) -> Any:
        """Return the model's own output, the caller's to change."""
        if look := self._here.look_at(chosen):
            return copied(look.result())
        with self._lock:
            return copied(self._recordings.result(*self._place(chosen)))

    def parameter(self, chosen: Selection, layer: str | None, kind: str) -> Tensor | None:
        """Return a copy of the "weight" or "bias" of a layer; None: it has none."""
        name = self.layer_info(chosen.layer if layer is None else layer).name
        if look := self._here.look_at(chosen):
            return _parameter(look.load(), name, kind)
        with self._lock:
            return _parameter(self._recordings.load(self._place(chosen)[0]), name, kind)

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


def _parameter(probe: Probe, layer: str, kind: str) -> Tensor | None:
    return probe.weight(layer) if kind == "weight" else probe.bias(layer)
