"""The part of an image that a unit sees."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from convviz_widgets.errors import InputError, UnknownLayerError, unknown
from convviz_widgets.instrument.attribution import within
from convviz_widgets.instrument.probe import Probe
from convviz_widgets.instrument.receptive.field import Field
from convviz_widgets.instrument.receptive.tape import FieldTape


@dataclass(frozen=True)
class FieldBox:
    """The pixels that a unit sees: rows top to below bottom, columns left to below right.

    Attributes
    ----------
    top, left, bottom, right : inside the image.
    offset : (rows, columns) that the border of the image cuts off above and to the left, so that
        patches of one layer align when each is put there into a patch of the full size.
    size : (rows, columns) of the full patch.
    """

    top: int
    left: int
    bottom: int
    right: int
    offset: tuple[int, int]
    size: tuple[int, int]

    @property
    def height(self) -> int:
        """Rows inside the image."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns inside the image."""
        return self.right - self.left

    def share(self, image_shape: Sequence[int]) -> float:
        """Return the share of an image (..., H, W) that the box covers, 0 to 1."""
        return self.height * self.width / (image_shape[-2] * image_shape[-1])


class ReceptiveFields:
    """What the units of every layer see, by the geometry of the layers alone.

    It is read off one forward pass: every operation's kernel, stride, padding and dilation, and
    the way they branch and join, whatever the weights. What mixes all positions (a global pool, a
    linear layer, attention) sees the whole image, and so does what is not known. A box is exact
    for weights and activations that let everything through, else it holds all that the gradient
    reaches.

    Parameters
    ----------
    image_shape : (C, H, W).
    fields : layer → for rows and columns, how its positions see them; None: not at all.
    """

    def __init__(self, image_shape: Sequence[int], fields: Mapping[str, Field | None]) -> None:
        self.image_shape = tuple(image_shape)
        self.fields = dict(fields)

    @classmethod
    def of(cls, probe: Probe, image: Tensor) -> ReceptiveFields:
        """Return the fields of a probe's layers.

        Parameters
        ----------
        image : (1, C, H, W); its size counts, not its pixels.
        """
        if image.ndim != 4:
            raise InputError(f"boxes need images (N, C, H, W), got {tuple(image.shape)}")
        return cls(image.shape[1:], probe.follow(image[:1], FieldTape).fields)

    def box(self, layer: str, channel: int, position: Sequence[int] | None = None) -> FieldBox:
        """Return what one unit sees.

        Parameters
        ----------
        position : (row, col) in the layer's map; () or None in a layer of features.

        Raises
        ------
        UnknownLayerError, SelectionError
            The model has no such layer, or the layer no such position.
        """
        if layer not in self.fields:
            raise UnknownLayerError(unknown("layer", layer, self.fields, "this model has"))
        index = tuple(map(operator.index, (channel, *(position or ()))))
        spans = [
            self._span(field, size, index, layer)
            for field, size in zip(
                self.fields[layer] or (None, None), self.image_shape[1:], strict=True
            )
        ]
        (top, bottom, full_top, full_bottom), (left, right, full_left, full_right) = spans
        return FieldBox(
            top,
            left,
            bottom,
            right,
            offset=(top - full_top, left - full_left),
            size=(full_bottom - full_top, full_right - full_left),
        )

    def _span(
        self, axis: Any, size: int, index: tuple[int, ...], layer: str
    ) -> tuple[int, int, int, int]:
        """Return where a unit's span of one axis begins and ends, inside the image and in full."""
        if axis is None:
            return 0, size, 0, size
        at = 0
        if axis.dim is not None:
            if not 1 <= axis.dim <= len(index):
                axis = axis.whole()
            else:
                at = within("position", index[axis.dim - 1], len(axis.low), layer)
        low, high = int(axis.low[at]), int(axis.high[at])
        if axis.window is None:
            return (low, high, low, high) if low < high else (0, 0, 0, 0)
        start = axis.window.start + at * axis.window.jump
        end = start + axis.window.extent
        if low >= high:
            edge = min(max(start, 0), size)
            return edge, edge, start, end
        return low, high, start, end
