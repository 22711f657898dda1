"""The gradients of a loss by what a pass computed and by the weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from convviz_widgets.errors import InputError, ModelError
from convviz_widgets.instrument.gradient_tape import GradientTape
from convviz_widgets.instrument.recording import Gradients


def gradients_of(
    loss: Any,
    tape: GradientTape,
    images: Tensor,
    weights: dict[str, Tensor],
    biases: dict[str, Tensor],
) -> Gradients:
    """Differentiate ``loss`` by the outputs on the tape, the weights, biases and images at once.

    Nothing is accumulated into any ``.grad``. Where the loss does not depend on a tensor its
    gradient is zero.
    """
    value = _scalar(loss)
    places: list[Any] = [*tape.edges.values(), *weights.values(), *biases.values(), images]
    like = [*tape.outputs.values(), *weights.values(), *biases.values(), images]
    found = torch.autograd.grad(value, places, allow_unused=True)
    filled = iter(
        torch.zeros_like(tensor) if gradient is None else gradient.detach()
        for gradient, tensor in zip(found, like, strict=True)
    )
    return Gradients(
        outputs={layer: next(filled) for layer in tape.edges},
        weights={layer: next(filled) for layer in weights},
        biases={layer: next(filled) for layer in biases},
        images=next(filled),
        loss=value.item(),
    )


def image_gradient_of(value: Any, images: Tensor) -> Tensor:
    """Return the gradient of a scalar by the images; zeros where it does not depend on them."""
    (gradient,) = torch.autograd.grad(_scalar(value), images, allow_unused=True)
    return torch.zeros_like(images) if gradient is None else gradient.detach()


def _scalar(loss: Any) -> Tensor:
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        got = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise InputError(f"the loss must return a scalar tensor, got {got}")
    if not loss.requires_grad:
        raise ModelError(
            "no gradient reaches the loss: the model's forward, or the loss, detaches its result "
            "or runs under no_grad"
        )
    return loss.reshape(())
