"""A unit of a layer: one channel, or one direction across the channels, at one position."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from convviz_widgets.errors import InputError, SelectionError

Position = tuple[int, ...]
"""(row, col) in a layer's map; (i,) in a sequence; () in a layer of features."""


@dataclass(frozen=True, eq=False)
class Unit:
    """What is looked for: a channel of a layer, at a position or where it is strongest.

    Attributes
    ----------
    layer : as in ``Probe.layers``.
    channel : an index, or a direction (C,) whose product with the channels stands in for one.
    position : (row, col) for every image, a list of one for each image, or None: the arg-max of
        each image, the first one of several.
    """

    layer: str
    channel: int | Tensor
    position: Position | Sequence[Position] | None = None

    @classmethod
    def parse(cls, unit: Any) -> Unit:
        """Return the unit that a tuple (layer, channel, position) or (layer, channel) names."""
        if isinstance(unit, Unit):
            return unit
        if not isinstance(unit, tuple | list) or len(unit) not in (2, 3):
            raise InputError(f"expected unit=(layer, channel, (row, col) or None), got {unit!r}")
        return cls(*unit)

    def values(self, outputs: Mapping[str, Tensor]) -> tuple[Tensor, tuple[Position, ...]]:
        """Return the unit's value in each image, (N,), and where it stands.

        Parameters
        ----------
        outputs : layer → its output (N, C, ...).

        Raises
        ------
        SelectionError
            The channel or the position is out of range.
        """
        maps = self._maps(outputs[self.layer])  # (N, ...)
        positions = self._positions(maps)
        at = (list(axis) for axis in zip(*positions, strict=True))
        return maps[(range(len(maps)), *at)], positions

    def _maps(self, output: Tensor) -> Tensor:
        channels = output.shape[1]
        if not isinstance(self.channel, Tensor):
            return output[:, within("channel", self.channel, channels, self.layer)]
        if self.channel.shape != (channels,):
            got = tuple(self.channel.shape)
            raise InputError(f"a direction in {self.layer} has shape ({channels},), got {got}")
        return torch.tensordot(output, self.channel.to(output), dims=([1], [0]))

    def _positions(self, maps: Tensor) -> tuple[Position, ...]:
        shape = maps.shape[1:]
        if self.position is None:
            return _strongest(maps.detach())
        given = list(self.position)
        each = bool(given) and isinstance(given[0], tuple | list)
        positions = given if each else [given] * len(maps)
        if len(positions) != len(maps):
            raise InputError(f"got {len(positions)} positions for {len(maps)} images")
        return tuple(_checked(position, shape, self.layer) for position in positions)


def _strongest(maps: Tensor) -> tuple[Position, ...]:
    flat, shape = maps.reshape(len(maps), -1).argmax(1), maps.shape[1:]
    if not shape:
        return ((),) * len(maps)
    return tuple(map(tuple, torch.stack(torch.unravel_index(flat, shape), 1).tolist()))


def _checked(position: Any, shape: torch.Size, layer: str) -> Position:
    names = ("row", "column") if len(shape) == 2 else tuple(f"index {i}" for i in range(len(shape)))
    if len(position) != len(shape):
        expected = f"({', '.join(names)})"
        raise SelectionError(f"a position in {layer} is {expected}, got {tuple(position)!r}")
    return tuple(
        within(name, value, size, layer)
        for name, value, size in zip(names, position, shape, strict=True)
    )


def within(what: str, value: Any, count: int, owner: str) -> int:
    """Return a whole number from 0 to below ``count``, or say what ``owner`` has."""
    try:
        index = operator.index(value)
    except TypeError as error:
        raise SelectionError(f"{what} {value!r} is not a whole number") from error
    if isinstance(value, bool) or not 0 <= index < count:
        raise SelectionError(f"no {what} {value!r} in {owner}; it has 0 to {count - 1}")
    return index
