"""Readings: what the model does at a selection, taken from one forward pass for each."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from convviz_widgets.errors import InputError, UnknownLayerError, unknown
from convviz_widgets.instrument import ImageSet, LayerInfo, Probe
from convviz_widgets.state.drawing import Drawing, Shown
from convviz_widgets.state.recordings import Loss, Recordings
from convviz_widgets.state.resolve import resolve
from convviz_widgets.state.selectable import Selectable
from convviz_widgets.state.selection import Selection
from convviz_widgets.state.timeline import Entry, Timeline

SLOW = 0.1
"""Seconds of a forward pass from which on a view says that it is computing."""


class Readings(Selectable):
    """Reads activations, weights and answers off one model, at what is selected.

    Parameters
    ----------
    model
        The user's model, which is only read.
    images
        What it is shown.
    timeline
        Its checkpoints.
    recordings
        What was computed, and the probe that computes the rest.
    loss
        For gradients; None: cross-entropy.
    probe_indices
        Images of the batch that gradients can be of.
    """

    def __init__(
        self,
        model: nn.Module,
        images: ImageSet,
        timeline: Timeline,
        recordings: Recordings,
        loss: Loss | None,
        probe_indices: tuple[int, ...],
    ) -> None:
        super().__init__()
        self._model, self._images = model, images
        self._timeline, self._recordings = timeline, recordings
        self._loss, self._probe_indices = loss, probe_indices
        self._layers = {info.name: info for info in recordings.probe.layers}

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Every layer that can be looked at, in execution order."""
        return tuple(self._layers.values())

    @property
    def image_set(self) -> ImageSet:
        """The images that the state looks at."""
        return self._images

    @property
    def probe_indices(self) -> tuple[int, ...]:
        """Images that distributions and gradients are computed on."""
        return self._probe_indices

    @property
    def classes(self) -> int | None:
        """Number of class scores that the model puts out, None where it puts out anything else."""
        return self._probe.classes

    @property
    def forward_count(self) -> int:
        """Forward passes so far: one for each new pair of checkpoint and image."""
        return self._probe.forward_count

    @property
    def backward_count(self) -> int:
        """Backward passes so far."""
        return self._probe.backward_count

    def layer_info(self, layer: str | None = None) -> LayerInfo:
        """Return the facts about a layer, the selected one by default."""
        name = self.selection.layer if layer is None else layer
        if name not in self._layers:
            raise UnknownLayerError(unknown("layer", name, self._layers, "this model has"))
        return self._layers[name]

    def is_ready(self, selection: Selection | None = None) -> bool:
        """Tell whether the activations of a selection are there without a forward pass."""
        chosen = self.selection if selection is None else selection
        return self._recordings.has(*self._place(chosen), chosen.layer)

    def is_slow(self, selection: Selection | None = None) -> bool:
        """Tell whether the next look needs a forward pass, and passes or loads have been slow."""
        if self.is_ready(selection):
            return False
        return self._recordings.seconds > SLOW or self.is_slow_to_load(selection)

    def is_slow_to_load(self, selection: Selection | None = None) -> bool:
        """Tell whether the weights must be loaded first, and the last load was slow."""
        chosen = self.selection if selection is None else selection
        entry = self._timeline[chosen.checkpoint]
        return not self._recordings.is_loaded(entry) and self._recordings.load_seconds > SLOW

    def input(self, *, selection: Selection | None = None) -> Tensor:
        """Return what the model is shown, (C, H, W) as it takes it: the drawing, or the image.

        The tensor is the caller's to change.
        """
        shown = (selection or self.selection).shown
        return shown.input.clone() if isinstance(shown, Drawing) else self._images.input(shown)[0]

    def display(self, *, selection: Selection | None = None) -> np.ndarray:
        """Return what the model is shown as a picture, uint8 (H, W, 3), preprocessing undone."""
        shown = (selection or self.selection).shown
        if isinstance(shown, Drawing):
            return self._images.preprocessing.undone(shown.input)
        return self._images.display(shown)

    def activation(
        self, layer: str | None = None, side: str = "out", *, selection: Selection | None = None
    ) -> Tensor:
        """Return what ``layer`` puts out for the selected image at the selected checkpoint.

        Parameters
        ----------
        layer
            Default: the selected layer.
        side
            ``"out"``, or ``"in"`` for the input of an activation: the true pre-activation.
        selection
            Whose image and checkpoint; default: the state's own, as in all that follow.

        Returns
        -------
        Tensor ``(C, H, W)`` or ``(F,)``, the caller's to change.
        """
        return self.recorded(layer, side, selection=selection).clone()

    def recorded(
        self, layer: str | None = None, side: str = "out", *, selection: Selection | None = None
    ) -> Tensor:
        """Return what `activation` does without a copy: for views, which only read it.

        Writing into it would falsify what every view shows.
        """
        if side not in ("out", "in"):
            raise InputError(unknown("side", side, ("out", "in"), "a layer has"))
        with self._publisher.lock:
            self._refuse_if_closed()
            chosen = selection or self.selection
            info = self.layer_info(chosen.layer if layer is None else layer)
            return self._recordings.activation(*self._place(chosen), info.name, side)

    def output(self, *, selection: Selection | None = None) -> Any:
        """Return the model's own output for the selected image, batch axis included.

        Its tensors are the caller's to change.
        """
        with self._publisher.lock:
            self._refuse_if_closed()
            place = self._place(selection or self.selection)
            return tree_map_only(Tensor, Tensor.clone, self._recordings.result(*place))

    def logits(self, *, selection: Selection | None = None) -> Tensor:
        """Return the class scores ``(K,)`` of the selected image.

        Raises
        ------
        InputError
            If the model does not put out one row of scores an image.
        """
        result = self.output(selection=selection)
        if not isinstance(result, Tensor) or result.ndim != 2:
            shape = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
            raise InputError(f"the model puts out {shape}; class scores have the shape (N, K)")
        return result[0]

    def weight(
        self, layer: str | None = None, *, selection: Selection | None = None
    ) -> Tensor | None:
        """Return a copy of the weight at the selected checkpoint; None: the layer has none."""
        return self._parameter("weight", layer, selection)

    def bias(
        self, layer: str | None = None, *, selection: Selection | None = None
    ) -> Tensor | None:
        """Return a copy of the bias at the selected checkpoint; None: the layer has none."""
        return self._parameter("bias", layer, selection)

    def _parameter(
        self, kind: str, layer: str | None, selection: Selection | None
    ) -> Tensor | None:
        with self._publisher.lock:
            self._refuse_if_closed()
            chosen = selection or self.selection
            info = self.layer_info(chosen.layer if layer is None else layer)
            probe = self._recordings.load(self._place(chosen)[0])
            return probe.weight(info.name) if kind == "weight" else probe.bias(info.name)

    def _place(self, chosen: Selection) -> tuple[Entry, Shown]:
        return self._timeline[chosen.checkpoint], chosen.shown

    @property
    def _probe(self) -> Probe:
        return self._recordings.probe

    def _resolve(self, current: Selection, changes: dict[str, Any]) -> Selection:
        return resolve(
            current,
            changes,
            timeline=self._timeline,
            layers=self._layers,
            images=len(self._images),
            shape=self._images.shape,
            classes=self._probe.classes,
        )
