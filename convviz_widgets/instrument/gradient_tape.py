"""The tape of a pass with gradients."""

from __future__ import annotations

from collections.abc import Collection, Container
from typing import Any

from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.utils import _pytree as pytree

from convviz_widgets.instrument.tape import Tape


class GradientTape(Tape):
    """Keeps where in the graph each output stands; the model goes on with a clone of it.

    So an in-place operation that follows cannot change what the gradient of this output means.

    Parameters
    ----------
    modules : the qualified names of all modules.
    containers : the layers that are containers.
    """

    def __init__(self, modules: Collection[str], *, containers: Container[str]) -> None:
        super().__init__(modules)
        self._containers = containers
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

    def container(self, layer: str, output: Any) -> Any:
        """Keep the place of a container that is a layer."""
        return self.output(layer, output) if layer in self._containers else output

    def _goes_on(self, layer: str, tensor: Tensor) -> Tensor:
        if not tensor.requires_grad or tensor.ndim < 2:
            return tensor
        self.edges[layer] = get_gradient_edge(tensor)
        self.outputs[layer] = tensor
        return tensor.clone()
