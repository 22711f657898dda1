"""The tape of the first pass, which finds out what later passes may leave uncloned."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from convviz_widgets.errors import ModelError
from convviz_widgets.instrument.forward_tape import ForwardTape, Kept, Site
from convviz_widgets.instrument.recording import Memory, storage_of, tensors_in


class LearningTape(ForwardTape):
    """Clones everything, decides which containers are layers, and guards the original.

    Parameters
    ----------
    modules : the qualified names of all modules.
    images : what the model is given.
    original : memory → name of the original model's tensors, which the copy must never use.
    """

    def __init__(
        self,
        modules: Collection[str],
        *,
        images: Tensor,
        original: Mapping[tuple[int, int] | None, str],
    ) -> None:
        super().__init__(modules)
        self._original = original
        self._latest[id(images)] = Kept(images, ("", "in"), False)

    def container(self, layer: str, output: Any) -> Any:
        """Keep a container's output unless it is the very tensor that a layer inside returned."""
        tensor = next(iter(tensors_in(output)), None)
        known = self._latest.get(id(tensor))
        return output if known is not None and known.current else self.output(layer, output)

    def safe_sites(self, own: Collection[Memory | None]) -> set[Site]:
        """Return the places whose tensors nothing overwrote.

        Parameters
        ----------
        own : the memory of the model's own tensors, which a load overwrites.
        """
        seen = {site for kept in self._all() for site in kept.sites}
        return seen - {site for kept in self._all() if _at_risk(kept, own) for site in kept.sites}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        for tensor in tensors_in((args, kwargs)):
            name = self._original.get(storage_of(tensor))
            if name is not None:
                raise ModelError(
                    f"the model cannot be copied: a function in it holds on to the original's "
                    f"{name!r}; call its module as self.<name> in forward()"
                )
        return super().__torch_function__(func, types, args, kwargs)


def _at_risk(kept: Kept, own: Collection[Memory | None]) -> bool:
    # `.data` and numpy write without raising the version; this pass's clone shows it all the same.
    return not kept.current or storage_of(kept.source) in own or not _same(kept.value, kept.source)


def _same(a: Tensor, b: Tensor) -> bool:
    if a.is_floating_point() or a.is_complex():
        a, b = a.nan_to_num(), b.nan_to_num()
    return torch.equal(a, b)
