"""Local response normalisation, as the deconvnet takes it: the identity on the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class LocalResponsePasses(TorchFunctionMode):
    """While it is on, a local response normalisation passes the gradient on as it came.

    Its value is untouched. The paper [Zeiler and Fergus 2014] has such layers, and does not say
    how it runs back through them.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
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
