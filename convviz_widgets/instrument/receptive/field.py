"""The receptive field of a whole tensor: one `Axis` for each axis of the image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from torch import Tensor

from convviz_widgets.instrument.receptive.axis import Axis

Field = tuple[Axis, ...]
"""For each axis of the image, how the positions of one tensor see it."""


def each(field: Field, change: Callable[[Axis, int], Axis]) -> Field:
    """Return the field with each axis changed that the tensor has a dimension for."""
    return tuple(axis if axis.dim is None else change(axis, axis.dim) for axis in field)


def each_from(first: int, field: Field, change: Callable[[Axis, int], Axis]) -> Field:
    """Change the axes at the dimensions from ``first`` on, counted from there.

    Those before it stand at channels, which mix.
    """
    return each(
        field,
        lambda axis, dim: change(axis, dim - first) if dim >= first else axis.whole(),
    )


def hull(fields: Iterable[Field]) -> Field:
    """Return the field of positions that see what those of all fields see."""
    first, *others = fields
    for other in others:
        first = tuple(axis.hull(more) for axis, more in zip(first, other, strict=True))
    return first


def whole(field: Field) -> Field:
    """Return the field of a tensor whose every value may see all that this one sees."""
    return tuple(axis.whole() for axis in field)


def broadcast(field: Field, source: Tensor, result: Tensor) -> Field:
    """Return the field of an elementwise operation's result, seen through one of its inputs."""
    shift = result.ndim - source.ndim

    def moved(axis: Axis, dim: int) -> Axis:
        count = result.shape[dim + shift]
        repeated = len(axis.low) == 1 < count
        return (axis.picked([0] * count) if repeated else axis).at(dim + shift)

    return each(field, moved)


def concatenated(fields: Sequence[Field | None], dim: int) -> Field:
    """Return the field of tensors put behind each other along a dimension; None sees nothing."""
    known = [field for field in fields if field is not None]
    return tuple(_joined([field[i] for field in known], dim) for i in range(len(known[0])))


def _joined(axes: list[Axis], dim: int) -> Axis:
    if all(axis.dim != dim for axis in axes):
        return hull((axis,) for axis in axes)[0]
    if any(axis.dim != dim for axis in axes):
        return hull((axis.whole(),) for axis in axes)[0]
    lows, highs = [axis.low for axis in axes], [axis.high for axis in axes]
    return Axis(dim, np.concatenate(lows), np.concatenate(highs))
