"""One call of an operation of torch, as the rules see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from convviz_widgets.probe.axes.axis import Dims, Kind, agreed, renewed, size_of, unknown
from convviz_widgets.probe.recording import tensors_in

Found = Any
"""The dimensions of the result, or a list of those of each, or None where a rule does not fit."""

Rule = Callable[["Call"], Found]


class Call:
    """One call of an operation, and what the dimensions of its arguments are.

    Attributes
    ----------
    known : id of an argument → its dimensions, for those that an image went into.
    """

    def __init__(
        self, func: Any, args: Any, kwargs: dict[str, Any], result: Any, known: dict[int, Dims]
    ) -> None:
        self.func, self.args, self.kwargs, self.result, self.known = (
            func,
            args,
            kwargs,
            result,
            known,
        )
        self.packet = func.overloadpacket

    def dims(self, rule: Rule | None, results: Sequence[Tensor]) -> list[Dims | None]:
        """Return the dimensions of each result, by a rule; unknown ones where it does not fit."""
        found: Found = None
        if rule is not None:
            with suppress(LookupError, TypeError, ValueError, AttributeError):  # a form not known
                found = rule(self)
        if found is None and torch.Tag.pointwise in self.func.tags:
            found = self.elementwise()
        each = list(found) if isinstance(found, list) else [found] * len(results)
        return [
            self._fitting(dims, result) for dims, result in zip(each, results, strict=False)
        ] + [None] * (len(results) - len(each))

    def _fitting(self, dims: Any, result: Tensor) -> Dims:
        if dims is not None and tuple(map(size_of, dims)) == tuple(result.shape):
            return tuple(dims)
        return self._alike(result)

    def _alike(self, result: Tensor) -> Dims:
        """Return what an unknown operation leaves: dimensions of the same place and length."""
        for dims in self.known.values():
            if len(dims) == result.ndim:
                return tuple(
                    dim if size_of(dim) == size else renewed(dim, size, kind=Kind.UNKNOWN)
                    for dim, size in zip(dims, result.shape, strict=True)
                )
        return unknown(result.shape)

    def elementwise(self) -> Dims:
        """Return the dimensions of what is computed element by element."""
        shape = self.shape
        return agreed([dims for dims in self.known.values() if len(dims) <= len(shape)], shape)

    def resized(self, dims: Dims) -> Dims:
        """Return dimensions as they are, but renewed where the result has another length."""
        return tuple(
            dim if size_of(dim) == size else renewed(dim, size)
            for dim, size in zip(dims, self.shape, strict=True)
        )

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        """Return an argument, given by place or name."""
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)

    def of(self, place: int = 0) -> Dims:
        """Return the dimensions of an argument; those of one that no image went into: unknown."""
        tensor = self.args[place]
        return self.known.get(id(tensor)) or unknown(tensor.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first result."""
        return tuple(tensors_in(self.result)[0].shape)


def listed(value: Any) -> list[Any]:
    """Return a list of what may be a single number."""
    return [value] if isinstance(value, int) else list(value)


def operations(names: str) -> set[Any]:
    """Return the operations of torch with these names; those that this torch lacks left out."""
    return {getattr(torch.ops.aten, name, None) for name in names.split()} - {None}


def rules(table: Sequence[tuple[str, Rule]]) -> dict[Any, Rule]:
    """Return operation → rule, for a table of names and rules."""
    return {operation: rule for names, rule in table for operation in operations(names)}
