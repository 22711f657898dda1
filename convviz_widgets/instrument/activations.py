"""The nonlinearities: as modules, and as the functions of torch that a forward may call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

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

_OPS = tuple(cls.__name__.lower() for cls in ACTIVATION_MODULES)
_SPELLINGS = {
    **{op: op for op in _OPS},
    "leaky_relu": "leaky_relu",
    "log_softmax": "log_softmax",
    "log_sigmoid": "logsigmoid",
    "expit": "sigmoid",
}
_HOMES = (torch, torch.Tensor, F, torch.special, torch._C._nn)


def _activation_functions() -> dict[Callable[..., Any], str]:
    return {
        getattr(home, spelling + suffix): op
        for home in _HOMES
        for spelling, op in _SPELLINGS.items()
        for suffix in ("", "_")
        if hasattr(home, spelling + suffix)
    }


ACTIVATION_FUNCTIONS = _activation_functions()
"""Every spelling of every activation (``F.relu``, ``torch.relu_``, ``Tensor.relu``) → its name."""
