"""What a pass leaves behind: activations, or gradients."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

Memory = tuple[int, int]
"""Where a tensor's values are: address and bytes."""


@dataclass(frozen=True, eq=False)
class Recording:
    """The activations of every layer for one batch.

    Attributes
    ----------
    outputs : layer → tensor (N, ...), as it was when the layer returned it, in execution order.
    inputs : activation layer → its input (N, ...), the true pre-activation.
    result : the model's own output, in the structure that the model returns.

    The tensors may share memory with each other; outputs and inputs never with the model.
    """

    outputs: dict[str, Tensor]
    inputs: dict[str, Tensor]
    result: Any

    @property
    def nbytes(self) -> int:
        """Bytes held, each storage counted once."""
        return sum(dict(_storages(self._tensors())).values())

    def restricted(self, layers: Iterable[str]) -> Recording:
        """Return the recording of these layers alone; the other tensors are let go."""
        kept = frozenset(layers)
        return Recording(
            {name: value for name, value in self.outputs.items() if name in kept},
            {name: value for name, value in self.inputs.items() if name in kept},
            self.result,
        )

    def _tensors(self) -> Iterable[Tensor]:
        yield from self.outputs.values()
        yield from self.inputs.values()
        yield from tensors_in(self.result)


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
        return sum(dict(_storages([*tensors, self.images])).values())


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors in nested tuples, lists and dicts, in order."""
    if isinstance(value, Tensor):
        return [value]
    return [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor)]


def storage_of(tensor: Tensor) -> Memory | None:
    """Return (address, bytes) of the memory behind a tensor; None where it has no plain storage."""
    try:
        storage = tensor.untyped_storage()
        return storage.data_ptr(), storage.nbytes()
    except (RuntimeError, NotImplementedError):  # sparse, fake and other layouts
        return None


def _storages(tensors: Iterable[Tensor]) -> Iterable[Memory]:
    for tensor in tensors:
        storage = storage_of(tensor)
        yield storage or (id(tensor), tensor.element_size() * tensor.numel())
