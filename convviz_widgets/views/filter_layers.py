"""Which layers have filters; for a layer without, the nearest before it whose filters are shown."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.probe import LayerInfo
from convviz_widgets.state import ModelState, Selection
from convviz_widgets.tensors import to_display_array


def filter_layer(state: ModelState, layer: str) -> LayerInfo:
    """Return the layer if it has filters, else the nearest one before it that has.

    An activation, a pooling or a normalisation has none: its maps are made by the filters before
    it, so every view of weights shows those.

    Raises
    ------
    InputError
        If no layer up to this one has filters, naming those that have.
    """
    names = [info.name for info in state.layers]
    for info in reversed(state.layers[: names.index(layer) + 1]):
        if has_filters(info):
            return info
    known = ", ".join(info.name for info in state.layers if has_filters(info))
    raise InputError(f"{layer} has no filters to show; layers with filters: {known or 'none'}")


def has_filters(info: LayerInfo) -> bool:
    """Tell whether a layer's weight is that of a convolution or of a fully connected layer.

    The scales of normalisations and the rows of embeddings have two dimensions or more, too.
    """
    weight = info.weight_shape or ()
    if len(weight) == 2:
        return "Linear" in info.kind or info.shape == weight[:1]
    return len(weight) >= 3 and len(weight) == len(info.shape) + 1


def as_filters(info: LayerInfo, weight: Tensor | None) -> Tensor:
    """Return a weight with the outputs first: a transposed convolution keeps its inputs there."""
    assert weight is not None
    if "Transpose" not in info.kind:
        return weight
    inputs, outputs = weight.shape[:2]
    grouped = weight.reshape(info.groups, inputs // info.groups, outputs, *weight.shape[2:])
    return grouped.transpose(1, 2).reshape(info.groups * outputs, -1, *weight.shape[2:])


def shown_as(info: LayerInfo, layer: str) -> str:
    """Name the layer whose weights are shown, and why, if it is not the selected one."""
    return info.name if info.name == layer else f"{info.name} (feeds {layer}, which has no filters)"


def broken_weights(state: ModelState, layers: Iterable[LayerInfo], selection: Selection) -> str:
    """Say how many weights of these layers are NaN or infinite, of how many; empty for none."""
    weights = [state.weight(info.name, selection=selection) for info in layers]
    finite = [np.isfinite(to_display_array(each)) for each in weights if each is not None]
    total = sum(each.size for each in finite)
    odd = total - sum(int(each.sum()) for each in finite)
    return f"{odd:,} of {total:,} weights are NaN or infinite" if odd else ""
