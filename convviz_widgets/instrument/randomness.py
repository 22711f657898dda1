"""The functions of torch that draw random numbers, so that looking never moves the generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch.nn import functional as F
from torch.nn import init
from torch.overrides import TorchFunctionMode

from convviz_widgets.errors import InputError, ModelError

_HOMES = {"torch": torch, "Tensor": torch.Tensor, "F": F, "init": init}
_DROPOUTS = (
    "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout"
    " dropout_ alpha_dropout_ feature_alpha_dropout_ feature_dropout_"
)
_DRAW = (
    "rand randn randint randperm bernoulli normal multinomial poisson binomial rand_like randn_like"
    " randint_like uniform_ normal_ exponential_ geometric_ cauchy_ log_normal_ random_ bernoulli_"
    " gumbel_softmax svd_lowrank pca_lowrank kaiming_uniform_ kaiming_normal_ xavier_uniform_"
    " xavier_normal_ trunc_normal_ orthogonal_ sparse_ _standard_gamma _sample_dirichlet"
)
# These draw only when all of these arguments (name, position, default) are on.
_DRAW_IF: dict[str, tuple[tuple[str, int, Any], ...]] = {
    "rrelu": (("training", 3, False),),
    "rrelu_": (("training", 3, False),),
    "native_dropout": (("train", 2, True),),
    "scaled_dot_product_attention": (("dropout_p", 4, 0.0),),
    "multi_head_attention_forward": (("dropout_p", 10, 0.0), ("training", 13, True)),
}
# These draw unless this argument (name, position) brings the numbers.
_DRAW_UNLESS: dict[str, tuple[str, int]] = {
    "fractional_max_pool2d": ("_random_samples", 5),
    "fractional_max_pool3d": ("_random_samples", 5),
    "fractional_max_pool2d_with_indices": ("_random_samples", 5),
    "fractional_max_pool3d_with_indices": ("_random_samples", 5),
    "lobpcg": ("X", 3),
}


def _functions(names: list[str]) -> dict[Callable[..., Any], str]:
    return {
        getattr(home, name): f"{place}.{name}"
        for name in names
        for place, home in _HOMES.items()
        if hasattr(home, name)
    }


DROPOUTS = frozenset(_functions(_DROPOUTS.split()))
"""Dropout under every name; in a pass that is looked at it is the identity."""

RANDOM = _functions([*_DRAW.split(), *_DRAW_IF, *_DRAW_UNLESS])
"""Every other function that draws, or may draw → how an error names it."""


def draws(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether this call of a function in `RANDOM` takes numbers from the generator."""
    given = _DRAW_UNLESS.get(func.__name__)
    if given is not None:
        return _argument(args, kwargs, *given, None) is None
    return all(_argument(args, kwargs, *switch) for switch in _DRAW_IF.get(func.__name__, ()))


def refuse(func: Callable[..., Any]) -> NoReturn:
    """Raise a `ModelError` that names a model's random function and says what to change."""
    raise ModelError(
        f"the model draws random numbers in eval mode ({RANDOM[func]}), so looking at it would "
        "change your training run: draw only `if self.training`"
    )


class NoRandomness(TorchFunctionMode):
    """While a data set is read, a random function of torch raises instead of drawing."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func in RANDOM and draws(func, args, kwargs or {}):
            raise InputError(
                f"the data set draws random numbers ({RANDOM[func]}), so looking at it would "
                "change your training run: give it without random transforms"
            )
        return func(*args, **(kwargs or {}))


def _argument(
    args: tuple[Any, ...], kwargs: dict[str, Any], name: str, position: int, default: Any
) -> Any:
    return kwargs.get(name, args[position] if len(args) > position else default)
