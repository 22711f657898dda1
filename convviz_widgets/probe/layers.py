"""Layers: the facts of one, and which modules and functions of torch are activations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import type_before_parametrizations

from convviz_widgets.probe.axes import Arrangement

ACTIVATION_MODULES: tuple[type[nn.Module], ...] = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.RReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Sigmoid,
    nn.LogSigmoid,
    nn.Tanh,
    nn.Softplus,
    nn.Softsign,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.Hardtanh,
    nn.Hardshrink,
    nn.Softshrink,
    nn.Tanhshrink,
    nn.Threshold,
    nn.GLU,
    nn.Softmax,
    nn.Softmax2d,
    nn.Softmin,
    nn.LogSoftmax,
)

CAN_DIE = frozenset({"relu", "relu6", "threshold", "hardswish", "hardsigmoid"})
"""Kinds of activation, in lower case, that put out exact zeros for all inputs below some point.

There the gradient is zero as well, and a channel that has fallen below on every image stays there:
it is dead. GELU, SiLU and sigmoids come close to zero and hardly ever reach it; a hardtanh is zero
at one point alone, and shrinkage only around zero.
"""

_OPS = tuple(cls.__name__.lower() for cls in ACTIVATION_MODULES)

_SPELLINGS = {
    **{op: op for op in _OPS},
    "leaky_relu": "leaky_relu",
    "log_softmax": "log_softmax",
    "log_sigmoid": "logsigmoid",
    "expit": "sigmoid",
}

_HOMES = (torch, torch.Tensor, F, torch.special, torch._C._nn)


ACTIVATION_FUNCTIONS: dict[Callable[..., Any], str] = {
    getattr(home, spelling + suffix): op
    for home in _HOMES
    for spelling, op in _SPELLINGS.items()
    for suffix in ("", "_")
    if hasattr(home, spelling + suffix)
}
"""Every spelling of every activation (``F.relu``, ``torch.relu_``, ``Tensor.relu``) → its name."""

_NONLINEARITIES = {*_OPS, *ACTIVATION_FUNCTIONS.values()}


@dataclass(frozen=True)
class LayerInfo:
    """One layer of a model.

    Attributes
    ----------
    name : qualified as in ``named_modules()``; a functional activation after its enclosing module
        and its op (``layer1.0.relu``), a repeated call with its count (``conv_1``).
    kind : the module's class name, or the op (``"relu"``).
    shape : that of the output for one image with the channels first, whatever order the layer has:
        (C, H, W), (F,), or (C, T) for tokens that are not known to lie on the image.
    weight_shape : that of the module's weight, None without one.
    groups : number of groups of a convolution, otherwise 1.
    channel_axis : where the layer itself has its channels: 1, -1, or None where that is not known
        or there are none, as in the weights of attention. Such a layer is not shown as channels,
        and its shape is as it puts it out.
    prefix_tokens : tokens in front of those that lie on the image, such as a class token; they are
        not part of the map.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3))
    >>> (info,) = cvw.list_layers(model, torch.zeros(1, 1, 8, 8))
    >>> info.name, info.kind, info.shape, info.weight_shape
    ('0', 'Conv2d', (4, 6, 6), (4, 1, 3, 3))
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    weight_shape: tuple[int, ...] | None
    groups: int
    channel_axis: int | None = 1
    prefix_tokens: int = 0

    @property
    def has_channels(self) -> bool:
        """Whether it is known which axis the channels are."""
        return self.channel_axis is not None

    @property
    def without_channels(self) -> str:
        """Say that the layer is not shown as channels, in one line; empty where it is."""
        if self.has_channels:
            return ""
        return (
            f"layer {self.name!r} is not shown as channels: none of its axes {self.shape} is known "
            "to be one of channels (the weights of attention have none)"
        )


def can_die(layer: LayerInfo) -> bool:
    """Tell whether "dead" applies: whether the layer is an activation with exact zeros.

    Not where some tokens are not part of the maps: a channel may fire on those alone.
    """
    return layer.has_channels and not layer.prefix_tokens and layer.kind.lower() in CAN_DIE


def describe(name: str, op: str | None, module: nn.Module | None, output: Arrangement) -> LayerInfo:
    """Return the facts of a layer: of ``module``, or of the functional activation ``op``."""
    weight = getattr(module, "weight", None)
    groups = getattr(module, "groups", 1)
    return LayerInfo(
        name=name,
        kind=type_before_parametrizations(module).__name__ if module is not None else str(op),
        shape=output.shape,
        weight_shape=tuple(weight.shape) if isinstance(weight, Tensor) else None,
        groups=groups if isinstance(groups, int) else 1,
        channel_axis=output.channel_axis,
        prefix_tokens=output.prefix,
    )


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
