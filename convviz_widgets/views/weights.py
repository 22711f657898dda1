"""Which weights a view shows for a layer: its own, or those that feed it."""

from __future__ import annotations

from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.instrument import LayerInfo
from convviz_widgets.state import ModelState


def weighted_layer(state: ModelState, layer: str, *, filters: bool = False) -> LayerInfo:
    """Return the layer if it has weights, else the nearest one before it that has.

    An activation or a pooling has none of its own: its maps are made by the filters before it.

    Parameters
    ----------
    filters
        Whether the weights must be filters (`has_filters`).

    Raises
    ------
    InputError
        If no layer up to this one has such weights, naming those that have.
    """
    names = [info.name for info in state.layers]
    for info in reversed(state.layers[: names.index(layer) + 1]):
        if has_filters(info) if filters else info.weight_shape:
            return info
    known = ", ".join(info.name for info in state.layers if info.weight_shape)
    raise InputError(f"{layer} has no weights to show; layers with weights: {known or 'none'}")


def has_filters(info: LayerInfo) -> bool:
    """Tell whether a layer's weight is that of a convolution or of a fully connected layer.

    The scales of normalisations and the rows of embeddings have two dimensions or more, too.
    """
    weight = info.weight_shape or ()
    if len(weight) == 2:
        return "Linear" in info.kind or info.shape == weight[:1]
    return len(weight) >= 3 and len(weight) == len(info.shape) + 1


def as_filters(info: LayerInfo, weight: Tensor | None) -> Tensor:
    """Return a weight with the outputs first: a transposed convolution keeps its inputs there.

    A scale per channel ``(C,)``, as normalisations have it, stays what it is.
    """
    assert weight is not None
    if "Transpose" not in info.kind:
        return weight
    inputs, outputs = weight.shape[:2]
    grouped = weight.reshape(info.groups, inputs // info.groups, outputs, *weight.shape[2:])
    return grouped.transpose(1, 2).reshape(info.groups * outputs, -1, *weight.shape[2:])


def shown_as(info: LayerInfo, layer: str) -> str:
    """Name the layer whose weights are shown, and why, if it is not the selected one."""
    return info.name if info.name == layer else f"{info.name} (feeds {layer})"
