"""The functions of torch that draw random numbers, so that looking never moves the generator."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F
from torch.nn import init
from torch.overrides import TorchFunctionMode

from ..errors import ModelError

_HOMES = {"torch": torch, "Tensor": torch.Tensor, "F": F, "init": init}
_DROPOUTS = (
    "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout"
)
_ALWAYS = (
    "rand randn randint randperm bernoulli normal multinomial poisson binomial rand_like randn_like"
    " randint_like uniform_ normal_ exponential_ geometric_ cauchy_ log_normal_ random_ bernoulli_"
    " gumbel_softmax svd_lowrank pca_lowrank kaiming_uniform_ kaiming_normal_ xavier_uniform_"
    " xavier_normal_ trunc_normal_ orthogonal_ sparse_"
)
_SOMETIMES: dict[str, tuple[str, Any]] = {  # the argument that makes it draw, and when it does not
    "rrelu": ("training", False),
    "rrelu_": ("training", False),
    "native_dropout": ("train", False),
    "scaled_dot_product_attention": ("dropout_p", 0.0),
    "multi_head_attention_forward": ("dropout_p", 0.0),
}
_UNLESS_GIVEN = (
    "fractional_max_pool2d fractional_max_pool3d"
    " fractional_max_pool2d_with_indices fractional_max_pool3d_with_indices"
)


def _functions(names: str) -> dict[Callable[..., Any], str]:
    return {
        getattr(home, name): f"{place}.{name}"
        for name in names.split()
        for place, home in _HOMES.items()
        if hasattr(home, name)
    }


DROPOUTS = frozenset(_functions(" ".join(f"{name} {name}_" for name in _DROPOUTS.split())))
"""Dropout under every name; in a pass that is looked at it is the identity."""

RANDOM = _functions(
    " ".join((_ALWAYS, " ".join(_SOMETIMES), _UNLESS_GIVEN)),
)
"""Every other function that draws, or may draw → how to name it in an error."""


def draws(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether this call of a function in `RANDOM` takes numbers from the generator."""
    name = func.__name__
    if name.startswith("fractional_max_pool"):
        return kwargs.get("_random_samples") is None and not _tensor_last(args)
    if name not in _SOMETIMES:
        return True
    switch, off = _SOMETIMES[name]
    return _argument(func, switch, args, kwargs) not in (off, None) and not _in_eval(args, kwargs)


def _tensor_last(args: tuple[Any, ...]) -> bool:
    return len(args) > 1 and isinstance(args[-1], torch.Tensor)


def _in_eval(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return kwargs.get("training") is False


def _argument(
    func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if name in kwargs:
        return kwargs[name]
    try:
        return inspect.signature(func).bind(*args, **kwargs).arguments.get(name)
    except (TypeError, ValueError):  # a builtin without a signature: its switch stands last
        flags = [value for value in args if isinstance(value, bool | float)]
        return flags[-1] if flags else None


def refuse(func: Callable[..., Any], owner: str) -> None:
    """Raise a `ModelError` that names the random function and says what to change."""
    raise ModelError(
        f"{owner} draws random numbers in eval mode ({RANDOM[func]}); looking at it would change "
        "your training run: draw only under `if self.training:`"
    )


class NoRandomness(TorchFunctionMode):
    """While active, a random function of torch raises instead of drawing."""

    def __init__(self, owner: str) -> None:
        super().__init__()
        self._owner = owner

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func in RANDOM and draws(func, args, kwargs or {}):
            refuse(func, self._owner)
        return func(*args, **(kwargs or {}))
