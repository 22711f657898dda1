"""The tape that shows every layer's output to an observer while it is there, and keeps none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container
from typing import Any

from torch import Tensor

from convviz_widgets.instrument.recording import tensors_in
from convviz_widgets.instrument.tape import Tape


class ObservingTape(Tape):
    """Lets an observer see each output at once, so nothing need be cloned or kept.

    Parameters
    ----------
    modules : the qualified names of all modules.
    containers : the layers that are containers.
    observe : takes a layer's name and the first tensor that it returned; must not change it.
    """

    def __init__(
        self,
        modules: Collection[str],
        *,
        containers: Container[str],
        observe: Callable[[str, Tensor], None],
    ) -> None:
        super().__init__(modules)
        self._containers = containers
        self._observe = observe

    def output(self, layer: str, output: Any) -> Any:
        """Show the output of a layer."""
        tensor = output if isinstance(output, Tensor) else next(iter(tensors_in(output)), None)
        if tensor is not None:
            self._observe(layer, tensor)
        return output

    def container(self, layer: str, output: Any) -> Any:
        """Show the output of a container that is a layer."""
        return self.output(layer, output) if layer in self._containers else output
