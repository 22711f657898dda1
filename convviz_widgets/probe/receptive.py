"""The receptive field of any unit: which part of an image it sees.

Coordinates are carried through a forward pass; `receptive_rules` says why that is better than the
gradient of a twin of the model.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from convviz_widgets.errors import InputError, UnknownLayerError, checked_index, unknown
from convviz_widgets.probe.probe import Probe
from convviz_widgets.probe.receptive_rules import (
    OperationCall,
    compact,
    everything,
    hull,
    pixel_sight,
    seen_along,
)
from convviz_widgets.probe.recording import tensors_in

Sights = tuple[Tensor, ...]
"""What the elements of one tensor see along the rows of the image and along its columns."""


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


@dataclass(frozen=True)
class SlidingWindow:
    """A window that slides evenly: position p covers start + p·jump to that + extent.

    It does not stop at the border of the image: there it covers padding.
    """

    jump: int
    start: int
    extent: int


@dataclass(frozen=True, eq=False)
class Axis:
    """One image axis, as the positions of a layer see it.

    Attributes
    ----------
    dim : the dimension of the layer's output whose positions see different parts; None where all
        see the same, then n is 1.
    low, high : int64 (n,), the pixels from low to below high that position p sees, inside the
        image; high < low where it sees none.
    window : what they see without the image's border, where it slides evenly.
    """

    dim: int | None
    low: np.ndarray
    high: np.ndarray
    window: SlidingWindow | None = None

    def whole(self) -> Axis:
        """Return the axis of one position that sees what all of these see."""
        return Axis(None, self.low.min(keepdims=True), self.high.max(keepdims=True))


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

    def __init__(
        self, image_shape: Sequence[int], fields: Mapping[str, tuple[Axis, ...] | None]
    ) -> None:
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
        one = image[:1]
        seen: dict[str, Sights | None] = {}
        with _Tracer(one) as tracer:
            probe.observe(one, lambda layer, out: seen.update({layer: tracer.sights_of(out)}))
        fields = {
            layer: None if sights is None else _axes(sights) for layer, sights in seen.items()
        }
        return cls(image.shape[1:], fields)

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
        axes = self.fields[layer] or (None, None)
        (top, bottom, full_top, full_bottom), (left, right, full_left, full_right) = (
            self._span(axis, size, index, layer)
            for axis, size in zip(axes, self.image_shape[1:], strict=True)
        )
        return FieldBox(
            top,
            left,
            bottom,
            right,
            offset=(top - full_top, left - full_left),
            size=(full_bottom - full_top, full_right - full_left),
        )

    def _span(
        self, axis: Axis | None, size: int, index: tuple[int, ...], layer: str
    ) -> tuple[int, int, int, int]:
        """Return where a unit's span of one axis begins and ends, inside the image and in full."""
        if axis is None:
            return 0, size, 0, size
        if axis.dim is not None and not 1 <= axis.dim <= len(index):
            axis = axis.whole()
        at = 0
        if axis.dim is not None:
            at = checked_index("position", index[axis.dim - 1], len(axis.low), layer)
        low, high = int(axis.low[at]), int(axis.high[at])
        if axis.window is None:
            return (low, high, low, high) if low < high else (0, 0, 0, 0)
        start = axis.window.start + at * axis.window.jump
        end = start + axis.window.extent
        if low >= high:
            edge = min(max(start, 0), size)
            return edge, edge, start, end
        return low, high, start, end


def _axes(sights: Sights) -> tuple[Axis, ...]:
    dims = [_dimension(sight[:2]) or _dimension(sight[2:]) for sight in sights]
    if dims[0] == dims[1]:
        dims = [None, None]  # rows and columns in one dimension: its positions have no box
    return tuple(_axis(sight, dim) for sight, dim in zip(sights, dims, strict=True))


def _dimension(sight: Tensor) -> int | None:
    """Return the one dimension of a map along which what is seen differs, channels apart."""
    core = compact(sight)
    wide = {dim for dim in range(core.ndim - 1) if core.stride(dim + 1) and core.shape[dim + 1] > 1}
    if len(wide) > 1:
        wide -= {1}
    return wide.pop() if len(wide) == 1 and core.ndim > 3 else None


def _axis(sight: Tensor, dim: int | None) -> Axis:
    others = [other for other in range(sight.ndim - 1) if other != dim]
    table = seen_along(sight, others, slides=dim is not None).reshape(4, -1)
    low, high, start, end = table.numpy().astype(np.float64)
    seen, border = np.isfinite(low), np.iinfo(np.int64).max // 2
    return Axis(
        dim,
        np.where(seen, -low, border).astype(np.int64),
        np.where(seen, high, -border).astype(np.int64),
        _window(-start, end),
    )


def _window(start: np.ndarray, end: np.ndarray) -> SlidingWindow | None:
    if not (np.isfinite(start) & np.isfinite(end)).all():
        return None
    extent, steps = end - start, np.diff(start)
    jump = int(steps[0]) if len(steps) else 1
    if jump < 1 or len({*extent}) > 1 or len({*steps}) > 1:
        return None
    return SlidingWindow(jump, int(start[0]), int(extent[0]))


class _Tracer(TorchDispatchMode):
    """Keeps the sights of every tensor that an operation returns or writes into.

    They belong to memory, not to an object: torch may hand out a view under a new one.
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self._alive: list[Tensor] = []  # so that no memory is used twice in this pass
        self._sights: dict[Any, Sights] = {}  # by place in memory
        self._memories: dict[int, Sights] = {}
        self._keep(image, tuple(pixel_sight(image, dim) for dim in (2, 3)))

    def sights_of(self, tensor: Tensor) -> Sights | None:
        """Return what a tensor sees, None for nothing; unless kept, what all its memory sees."""
        found = self._sights.get(_place(tensor))
        memory = self._memories.get(_memory(tensor))
        if found is None and memory is not None:
            return tuple(hull([sight], tensor.shape) for sight in memory)
        return found

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Answer torch, which would import its compiler to keep it out, and take seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        results = [tensor for tensor in tensors_in(result) if tensor.numel()]
        sources = [tensor for tensor in tensors_in((args, kwargs)) if tensor.numel()]
        seen = {id(tensor): self.sights_of(tensor) for tensor in sources}
        if results and any(sights is not None for sights in seen.values()):
            call = OperationCall(func, args, kwargs or {}, results)
            axes = [
                call.sights({key: s[axis] for key, s in seen.items() if s is not None})
                for axis in (0, 1)
            ]
            for tensor, *sights in zip(results, *axes, strict=True):
                self._keep(tensor, tuple(sights))
            if _writes(func):
                self._show_other_views(args[0])
        return result

    def _keep(self, tensor: Tensor, sights: Sights) -> None:
        self._alive.append(tensor)
        sights = tuple(map(compact, sights))
        self._sights[_place(tensor)] = sights
        memory = _memory(tensor)
        known = self._memories.get(memory, ())
        both = zip(map(everything, sights), *([known] if known else []), strict=True)
        self._memories[memory] = tuple(hull(each, ()) for each in both)

    def _show_other_views(self, written: Tensor) -> None:
        """Let other views of memory that was written into see what was written."""
        place = _place(written)
        news = tuple(map(everything, self._sights.get(place, ())))
        for other, sights in self._sights.items():
            if news and other[0] == place[0] and other != place:
                pairs = zip(sights, news, strict=True)
                self._sights[other] = tuple(hull(pair, pair[0].shape[1:]) for pair in pairs)


def _place(tensor: Tensor) -> tuple[int, *tuple[Any, ...]]:
    return _memory(tensor), tensor.storage_offset(), tuple(tensor.shape), tensor.stride()


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _writes(func: Any) -> bool:
    """Tell whether an operation writes into its first argument."""
    arguments = func._schema.arguments
    alias = arguments[0].alias_info if arguments else None
    return alias is not None and alias.is_write
