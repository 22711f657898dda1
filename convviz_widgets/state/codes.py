"""Codes: what a layer makes of each image, one number a channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from convviz_widgets.instrument import LayerInfo
from convviz_widgets.instrument.layers import ACTIVATION_MODULES

PROBABILITIES = {"softmax", "softmax2d", "softmin", "logsoftmax", "log_softmax"}
"""Activations that end a classifier rather than make a code."""

ACTIVATIONS = {cls.__name__.lower() for cls in ACTIVATION_MODULES} | {"leaky_relu"}
ACTIVATIONS -= PROBABILITIES


@dataclass(frozen=True, eq=False)
class Codes:
    """What one layer makes of images at one checkpoint.

    Attributes
    ----------
    values : float32 (n, C); NaN for images that cannot be read.
    labels : int64 (n,), -1 without one.
    failures : one line for each image that could not be read.
    """

    values: np.ndarray
    labels: np.ndarray
    failures: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.values.nbytes + self.labels.nbytes


def code_of(output: Tensor) -> np.ndarray:
    """Return the output (B, C, ...) of a layer as codes (B, C): the mean over all positions."""
    values = output.detach().float()
    return (values.flatten(2).mean(2) if values.ndim > 2 else values).cpu().numpy()


def code_layer(layers: Sequence[LayerInfo], selected: str) -> str:
    """Return the layer whose output stands for ``selected``: the activation that follows it.

    An activation stands for itself; so does a layer with another convolution or linear layer, or
    the end of the model, before the next activation.

    >>> def layer(name, kind, *weight):
    ...     return LayerInfo(name, kind, (4, 8, 8), weight or None, 1)
    >>> net = [layer("conv", "Conv2d", 4, 3, 3, 3), layer("bn", "BatchNorm2d", 4),
    ...        layer("relu", "ReLU"), layer("pool", "MaxPool2d"), layer("fc", "Linear", 2, 4)]
    >>> [code_layer(net, each.name) for each in net]
    ['relu', 'relu', 'relu', 'pool', 'fc']
    """
    names = [info.name for info in layers]
    here = names.index(selected)
    for info in layers[here:]:
        if info.kind.lower() in ACTIVATIONS:
            return info.name
        computes_anew = info.weight_shape is not None and len(info.weight_shape) > 1
        if info.name != selected and computes_anew:
            break
    return selected


def evenly_drawn(total: int, count: int) -> tuple[int, ...]:
    """Return ``count`` of the numbers below ``total``, evenly spread; all, if there are fewer."""
    count = min(total, count)
    return tuple(place * total // count for place in range(count))
