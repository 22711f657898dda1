"""The nonlinearity behind a layer: the one place where a channel fires or does not."""

from __future__ import annotations

from collections.abc import Sequence

from convviz_widgets.instrument import LayerInfo
from convviz_widgets.instrument.layers import ACTIVATION_FUNCTIONS, ACTIVATION_MODULES

_NONLINEARITIES = {cls.__name__.lower() for cls in ACTIVATION_MODULES}
_NONLINEARITIES |= set(ACTIVATION_FUNCTIONS.values())


def nonlinearity_of(name: str, layers: Sequence[LayerInfo]) -> LayerInfo | None:
    """Return the nonlinearity that decides whether the channels of a layer fire.

    The layer itself, if it is one. Else, of a layer with weights, the next one that runs
    (``conv`` → ``norm`` → ``relu``). Of one without, such as a pooling, the next only if nothing
    with weights lies between, which would make other channels; else, as for the last linear
    layer, the last one that ran before. None where there is none.

    Parameters
    ----------
    layers : in execution order.
    """
    place = next(index for index, layer in enumerate(layers) if layer.name == name)
    if _is_nonlinear(layers[place]):
        return layers[place]
    for layer in layers[place + 1 :]:
        if _is_nonlinear(layer):
            return layer
        if layers[place].weight_shape is None and layer.weight_shape is not None:
            break
    return next((layer for layer in reversed(layers[:place]) if _is_nonlinear(layer)), None)


def _is_nonlinear(layer: LayerInfo) -> bool:
    return layer.kind.lower() in _NONLINEARITIES
