"""The weight of a layer, for the views that cannot do without one."""

from __future__ import annotations

from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.state import ModelState


def weight_of(state: ModelState, layer: str) -> Tensor:
    """Return a layer's weight at the selected checkpoint.

    Raises
    ------
    InputError
        For a layer that has none, naming those that have one.
    """
    weight = state.weight(layer)
    if weight is None:
        known = ", ".join(info.name for info in state.layers if info.weight_shape)
        raise InputError(f"{layer} has no weights to show; layers with weights: {known or 'none'}")
    return weight
