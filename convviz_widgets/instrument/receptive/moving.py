"""What operations that only move values do to receptive fields: views, slices, flips."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from convviz_widgets.instrument.receptive.axis import Axis
from convviz_widgets.instrument.receptive.field import Field, broadcast, each


def same(field: Field, result: Any, args: tuple[Any, ...]) -> Field:
    """Return the field after a copy."""
    return field


def expand(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field after dimensions of size one were repeated."""
    return broadcast(field, args[0], result)


def view(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field after a view: a dimension is the same if as much stands before it.

    One that is split, or merged with another, is lost: its positions see all that it saw.
    """
    source = args[0].shape
    places = {_before(result.shape, dim): dim for dim in reversed(range(result.ndim))}
    wide = [dim for dim in range(result.ndim) if result.shape[dim] > 1]
    places |= {_before(result.shape, dim): dim for dim in wide}

    def found(axis: Axis, dim: int) -> Axis:
        place = places.get(_before(source, dim))
        kept = place is not None and result.shape[place] == source[dim]
        return axis.at(place) if kept else axis.whole()

    return each(field, found)


def permute(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field after the dimensions were put into another order."""
    order = [dim % result.ndim for dim in args[1]]
    return each(field, lambda axis, dim: axis.at(order.index(dim)))


def transpose(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field after two dimensions changed places, the last two of a matrix."""
    order = list(range(result.ndim))
    one, other = (dim % result.ndim for dim in (args[1:3] or (0, -1)))
    order[one], order[other] = other, one
    return permute(field, result, (args[0], order))


def cut(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field after a slice (dim, start, end, step)."""
    dim, start, end, step = (*args[1:], *(None,) * 4)[:4]
    dim = (dim or 0) % result.ndim
    return _cut(field, dim, range(args[0].shape[dim])[slice(start, end, step)])


def pieces(field: Field, result: Sequence[Tensor], args: tuple[Any, ...]) -> list[Field]:
    """Return the fields after a split (size or sizes, dim)."""
    dim = (args[2] if len(args) > 2 else 0) % args[0].ndim
    ends = [0]
    for piece in result:
        ends.append(ends[-1] + piece.shape[dim])
    return [_cut(field, dim, range(*span)) for span in itertools.pairwise(ends)]


def select(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field of one index (dim, index)."""
    dim = args[1] % args[0].ndim
    return _one(field, dim, args[2] % args[0].shape[dim])


def unbind(field: Field, result: Sequence[Tensor], args: tuple[Any, ...]) -> list[Field]:
    """Return the fields of every index along a dimension."""
    dim = (args[1] if len(args) > 1 else 0) % args[0].ndim
    return [_one(field, dim, index) for index in range(len(result))]


def flip(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field after some dimensions were reversed."""
    dims = {dim % result.ndim for dim in args[1]}
    backwards = range(max(result.shape))[::-1]
    return each(
        field, lambda axis, dim: axis.picked(backwards[-len(axis.low) :]) if dim in dims else axis
    )


def _before(shape: Sequence[int], dim: int) -> int:
    return math.prod(shape[:dim])


def _cut(field: Field, along: int, positions: range) -> Field:
    return each(field, lambda axis, dim: axis.picked(positions) if dim == along else axis)


def _one(field: Field, along: int, index: int) -> Field:
    def chosen(axis: Axis, dim: int) -> Axis:
        return axis.picked([index]).at(None) if dim == along else axis.at(dim - (dim > along))

    return each(field, chosen)
