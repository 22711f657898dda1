"""A recording: the activations of one forward pass, and the memory that tensors hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
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
    outputs : layer → tensor (N, C, ...), as it was when the layer returned it, in execution order,
        with the channels in dimension 1; where those are not known, in the layer's own order.
    inputs : activation layer → its input (N, C, ...), the true pre-activation.
    result : the model's own output, in the structure that the model returns.
    prefixes : layer → its tokens in front of those that lie on the image (N, C, tokens), such as a
        class token, which are not part of its output as a map.

    The tensors may share memory with each other; outputs and inputs never with the model.
    """

    outputs: dict[str, Tensor]
    inputs: dict[str, Tensor]
    result: Any
    prefixes: dict[str, Tensor] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes held, each storage counted once."""
        return bytes_of(self._tensors())

    def restricted(self, layers: Iterable[str]) -> Recording:
        """Return the recording of these layers alone; the other tensors are let go."""
        kept = frozenset(layers)
        return Recording(
            {name: value for name, value in self.outputs.items() if name in kept},
            {name: value for name, value in self.inputs.items() if name in kept},
            self.result,
            {name: value for name, value in self.prefixes.items() if name in kept},
        )

    def _tensors(self) -> Iterable[Tensor]:
        yield from self.outputs.values()
        yield from self.inputs.values()
        yield from self.prefixes.values()
        yield from tensors_in(self.result)


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors in nested tuples, lists and dicts, in order."""
    if isinstance(value, Tensor):
        return [value]
    return [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor)]


def first_tensor(value: Any) -> Tensor | None:
    """Return the first tensor in nested tuples, lists and dicts, None without any."""
    return next(iter(tensors_in(value)), None)


def storage_of(tensor: Tensor) -> Memory | None:
    """Return (address, bytes) of the memory behind a tensor; None where it has no plain storage."""
    try:
        storage = tensor.untyped_storage()
        return storage.data_ptr(), storage.nbytes()
    except (RuntimeError, NotImplementedError):  # sparse, fake and other layouts
        return None


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Return the bytes that tensors hold, each storage counted once."""
    return sum(dict(map(_storage_or_own, tensors)).values())


def _storage_or_own(tensor: Tensor) -> Memory:
    return storage_of(tensor) or (id(tensor), tensor.element_size() * tensor.numel())
