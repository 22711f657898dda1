"""Which layers of a model are swept."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from convviz_widgets.errors import InputError, ModelError, UnknownLayerError, unknown
from convviz_widgets.instrument import LayerInfo, Probe


def swept_layers(
    probe: Probe, image: Tensor, names: Collection[str] | None
) -> tuple[LayerInfo, ...]:
    """Return the layers to sweep, in execution order: those named, or all that can be.

    A layer can be swept if it puts out a map for each image, or a list of features; not an empty
    one.

    Parameters
    ----------
    image : (1, C, H, W), any image of the data set.
    """
    if isinstance(names, str):
        raise InputError(f"layers are a list of names: write [{names!r}]")
    known = {layer.name: layer for layer in probe.layers}
    for name in names or ():
        if name not in known:
            raise UnknownLayerError(unknown("layer", name, known, "this model has"))
    fitting = _one_output_an_image(probe, image)
    for name in names or ():
        if name not in fitting:
            raise ModelError(f"layer {name!r} cannot be swept: it mixes the images of a batch")
    chosen = fitting if names is None else set(names)
    if not chosen:
        raise InputError("no layers to sweep")
    return tuple(layer for layer in probe.layers if layer.name in chosen)


def _one_output_an_image(probe: Probe, image: Tensor) -> set[str]:
    shapes: dict[str, tuple[int, ...]] = {}

    def observe(layer: str, output: Tensor) -> None:
        shapes[layer] = tuple(output.shape)

    probe.observe(torch.cat([image, image]), observe)
    return {
        layer.name
        for layer in probe.layers
        if shapes.get(layer.name) == (2, *layer.shape) and 0 not in layer.shape
    }
