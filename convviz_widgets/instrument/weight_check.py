"""Whether a model's output depends on its weights at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from convviz_widgets.errors import ConvVizError, ModelError
from convviz_widgets.instrument.recording import tensors_in


def refuse_if_weights_are_ignored(
    model: nn.Module, forward: Callable[[Tensor], Any], images: Tensor
) -> None:
    """Raise a `ModelError` when other weights give the very same output.

    Such a model holds on to something that a copy does not reach (a closure, a frozen function),
    so a checkpoint would show what another one computed. An image of zeros, or dead layers, may
    hide the weights: a textured image is tried before the model is refused.
    """
    if not any(parameter.is_floating_point() for parameter in model.parameters()):
        return
    for attempt in (images, images + _texture(images) if images.is_floating_point() else images):
        before = forward(attempt)
        with _other_weights(model):
            if _differs(before, forward, attempt):
                return
    raise ModelError(
        "the model's output ignores its weights: its forward runs something that a copy does not "
        "reach (a closure, functools.partial, a traced function); call submodules as self.<name>"
    )


def _differs(before: Any, forward: Callable[[Tensor], Any], images: Tensor) -> bool:
    try:
        after = forward(images)
    except ConvVizError:
        return True  # other weights break it: it does use them
    pairs = zip(_scores(before), _scores(after), strict=False)
    same = [torch.equal(old, new) for old, new in pairs]  # NaN never equals: cannot tell
    return not same or not all(same)


def _scores(result: Any) -> list[Tensor]:
    """Return the floating tensors; a class index may well stay the same under other weights."""
    return [tensor for tensor in tensors_in(result) if tensor.is_floating_point()]


@contextmanager
def _other_weights(model: nn.Module) -> Iterator[None]:
    parameters = [parameter for parameter in model.parameters() if parameter.is_floating_point()]
    kept = [parameter.clone() for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.copy_(_texture(parameter) * 0.1)
        yield
    finally:
        for parameter, values in zip(parameters, kept, strict=True):
            parameter.copy_(values)


def _texture(like: Tensor) -> Tensor:
    """Return a deterministic pattern in [-1, 1]; drawing one would move the user's generator."""
    saw = torch.arange(like.numel(), device=like.device, dtype=torch.float32).mul_(0.618).frac_()
    return saw.mul_(2).sub_(1).reshape(like.shape).to(like.dtype)
