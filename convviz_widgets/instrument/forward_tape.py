"""The tape that keeps activations, cloning only those that the pass overwrites."""

from __future__ import annotations

from collections.abc import Collection, Container
from typing import Any, Literal

from torch import Tensor

from convviz_widgets.instrument.recording import tensors_in
from convviz_widgets.instrument.tape import Tape

Site = tuple[str, Literal["in", "out"]]
"""A place where a tensor is kept: a layer, its input or its output."""


class Kept:
    """One tensor of a pass, and a clone of it where it may be overwritten."""

    __slots__ = ("sites", "source", "value", "version")

    def __init__(self, source: Tensor, site: Site, clone: bool) -> None:
        self.source = source
        self.version = _version(source)
        self.value = source.clone() if clone or self.version is None else source
        self.sites = [site]

    @property
    def current(self) -> bool:
        """Whether the source still holds the kept value, as far as versions tell."""
        return self.version is not None and self.source._version == self.version


class ForwardTape(Tape):
    """Keeps the input of every activation and the output of every layer, first tensor of each.

    Parameters
    ----------
    modules : the qualified names of all modules.
    safe : the places whose tensors no earlier pass overwrote; all others are cloned.
    layers : keep these alone; default all.
    containers : the layers that are containers.
    """

    def __init__(
        self,
        modules: Collection[str],
        *,
        safe: Container[Site] = (),
        layers: Container[str] | None = None,
        containers: Container[str] = (),
    ) -> None:
        super().__init__(modules)
        self._safe = safe
        self._layers = layers
        self._containers = containers
        self._latest: dict[int, Kept] = {}  # by id: the sources live as long as the tape
        self._outputs: dict[str, Kept] = {}
        self._inputs: dict[str, Kept] = {}

    def output(self, layer: str, output: Any) -> Any:
        """Keep the output of a layer."""
        self._keep(self._outputs, (layer, "out"), output)
        return output

    def input(self, layer: str, tensor: Any) -> None:
        """Keep the input of an activation."""
        self._keep(self._inputs, (layer, "in"), tensor)

    def container(self, layer: str, output: Any) -> Any:
        """Keep the output of a container that is a layer."""
        return self.output(layer, output) if layer in self._containers else output

    @property
    def outputs(self) -> dict[str, Tensor]:
        """Layer → its output."""
        return {layer: kept.value for layer, kept in self._outputs.items()}

    @property
    def inputs(self) -> dict[str, Tensor]:
        """Activation → its input."""
        return {layer: kept.value for layer, kept in self._inputs.items()}

    def overwritten(self) -> set[Site]:
        """Return the places whose tensor was not cloned and has changed since."""
        return {
            site
            for kept in self._all()
            if kept.value is kept.source and not kept.current
            for site in kept.sites
        }

    def _all(self) -> list[Kept]:
        return [*self._outputs.values(), *self._inputs.values()]

    def _keep(self, where: dict[str, Kept], site: Site, value: Any) -> None:
        if self._layers is not None and site[0] not in self._layers:
            return
        tensor = value if isinstance(value, Tensor) else next(iter(tensors_in(value)), None)
        if tensor is None or tensor.ndim < 2:
            return
        kept = self._latest.get(id(tensor))
        if kept is not None and kept.current:
            kept.sites.append(site)
        else:
            kept = self._latest[id(tensor)] = Kept(tensor, site, site not in self._safe)
        where[site[0]] = kept


def _version(tensor: Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version
