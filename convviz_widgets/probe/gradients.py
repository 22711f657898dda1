"""The gradients of a loss by what a pass computed, by the weights and by the images."""

from __future__ import annotations

from collections.abc import Collection, Container
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.utils import _pytree as pytree

from convviz_widgets.errors import InputError, ModelError
from convviz_widgets.probe.recording import bytes_of
from convviz_widgets.probe.tape import Tape


@dataclass(frozen=True, eq=False)
class Gradients:
    """The gradients of one loss on one batch.

    Attributes
    ----------
    outputs : layer → ∂loss/∂output (N, ...), in execution order; zeros where the loss does not
        depend on the layer. A layer that runs under ``no_grad`` has none and is left out.
    weights, biases : layer → ∂loss/∂weight, ∂loss/∂bias, for layers that own such a parameter;
        two calls of one module show the same tensor, the sum over both.
    images : ∂loss/∂images (N, C, H, W).
    loss : the loss itself.
    """

    outputs: dict[str, Tensor]
    weights: dict[str, Tensor]
    biases: dict[str, Tensor]
    images: Tensor
    loss: float

    @property
    def nbytes(self) -> int:
        """Bytes held, each storage counted once."""
        held = (self.outputs, self.weights, self.biases)
        tensors = [tensor for group in held for tensor in group.values()]
        return bytes_of([*tensors, self.images])


class GradientTape(Tape):
    """Keeps where in the graph each output stands; the model goes on with a clone of it.

    So an in-place operation that follows cannot change what the gradient of this output means.
    """

    def __init__(self, modules: Collection[str], *, containers: Container[str]) -> None:
        super().__init__(modules, containers)
        self.edges: dict[str, GradientEdge] = {}
        self.outputs: dict[str, Tensor] = {}

    def output(self, layer: str, output: Any) -> Any:
        """Keep the first tensor's place; return the same structure with a clone of it."""
        leaves, structure = pytree.tree_flatten(output)
        for position, leaf in enumerate(leaves):
            if isinstance(leaf, Tensor):
                leaves[position] = self._goes_on(layer, leaf)
                return pytree.tree_unflatten(leaves, structure)
        return output

    def _goes_on(self, layer: str, tensor: Tensor) -> Tensor:
        if not tensor.requires_grad or tensor.ndim < 2:
            return tensor
        self.edges[layer] = get_gradient_edge(tensor)
        self.outputs[layer] = tensor
        return tensor.clone()


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
