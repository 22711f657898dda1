"""Backward rules of ReLUs, and of local response normalisations: guided and deconvnet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

Rule = Callable[[Tensor, Tensor], Tensor]
"""(signal, gradient) → what goes on, where gradient is the signal where the ReLU was on, else 0."""

RULES: dict[str, Rule] = {
    "guided": lambda signal, gradient: gradient.clamp(min=0),
    "deconvnet": lambda signal, gradient: signal.clamp(min=0),
}
"""What goes on from the input f of a ReLU and the signal R: by the gradient it is (f > 0)·R, guided
(f > 0)(R > 0)·R [Springenberg et al. 2015], by deconvnet (R > 0)·R [Zeiler and Fergus 2014]."""

_aten = torch.ops.aten

_SMOOTH: dict[Callable[..., Any], str] = {
    op.default: name
    for op, name in {
        _aten.elu_backward: "ELU",
        _aten.gelu_backward: "GELU",
        _aten.glu_backward: "GLU",
        _aten.hardshrink_backward: "Hardshrink",
        _aten.hardsigmoid_backward: "Hardsigmoid",
        _aten.hardswish_backward: "Hardswish",
        _aten.log_sigmoid_backward: "LogSigmoid",
        _aten.mish_backward: "Mish",
        _aten.rrelu_with_noise_backward: "RReLU",
        _aten.sigmoid_backward: "Sigmoid",
        _aten.silu_backward: "SiLU",
        _aten.softplus_backward: "Softplus",
        _aten.softshrink_backward: "Softshrink",
        _aten.leaky_relu_backward: "LeakyReLU",
        _aten._prelu_kernel_backward: "PReLU",
        _aten.tanh_backward: "Tanh",
    }.items()
}


class ReluRule(TorchDispatchMode):
    """While it is on, the backward of every ReLU and ReLU6 follows another rule.

    It works on what autograd runs, so a module, a function and an in-place call are the same to
    it. Every other activation keeps its own derivative. A ReLU that is spelled as a clamp, a
    maximum or a product is none to autograd, and keeps its own too.

    Parameters
    ----------
    rule : what the ReLUs do.

    Attributes
    ----------
    kept : the activations met that the rule does not apply to, by name.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self._rule = rule
        self.kept: dict[str, int] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Answer torch, which would import its compiler to keep it out, and take seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        gradient = func(*args, **(kwargs or {}))
        if _is_relu_backward(func, args):
            return self._rule(args[0], gradient)
        name = _activation(func)
        if name is not None:
            self.kept[name] = self.kept.get(name, 0) + 1
        return gradient


def _is_relu_backward(func: Callable[..., Any], args: tuple[Any, ...]) -> bool:
    if func is _aten.threshold_backward.default:
        return args[2] == 0  # (signal, f, threshold)
    if func is _aten.hardtanh_backward.default:
        return args[2] == 0  # (signal, f, lowest, highest): ReLU6 is one that starts at zero
    return False


def _activation(func: Callable[..., Any]) -> str | None:
    if func is _aten.threshold_backward.default:
        return "Threshold"
    if func is _aten.hardtanh_backward.default:
        return "Hardtanh"
    return _SMOOTH.get(func)


class LocalResponsePasses(TorchFunctionMode):
    """While it is on, a local response normalisation passes the gradient on as it came.

    Its value is untouched. The paper [Zeiler and Fergus 2014] has such layers, and does not say
    how it runs back through them.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is F.local_response_norm:
            return _Straight.apply(args[0] if args else (kwargs or {})["input"], result)
        return result


class _Straight(torch.autograd.Function):
    """The value of the second, the gradient to the first."""

    @staticmethod
    def forward(ctx: Any, source: Tensor, value: Tensor) -> Tensor:
        return value.detach().clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None
