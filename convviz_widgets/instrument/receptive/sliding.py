"""What kernels that slide, pools and interpolations do to receptive fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from convviz_widgets.instrument.receptive.axis import Axis
from convviz_widgets.instrument.receptive.field import Field, each, each_from


def convolution(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field after ``aten.convolution``, transposed or not."""
    _, weight, _, stride, padding, dilation, transposed = args[:7]
    change = _spread if transposed else Axis.slid

    def slid(axis: Axis, i: int) -> Axis:
        geometry = (weight.shape[2 + i], _nth(stride, i), _nth(padding, i), _nth(dilation, i))
        return change(axis, result.shape[2 + i], *geometry)

    return each_from(2, field, slid)


def pool(field: Field, result: Any, args: tuple[Any, ...]) -> Field:
    """Return the field after a maximum pool, which returns indices too, or an average pool."""
    is_maximum = isinstance(result, tuple)
    output = result[0] if is_maximum else result
    kernel, stride, padding, dilation = (*args[1:], *(None,) * 4)[:4]
    first = output.ndim - len(kernel)

    def slid(axis: Axis, i: int) -> Axis:
        return axis.slid(
            output.shape[first + i],
            _nth(kernel, i),
            _nth(stride or kernel, i),
            _nth(padding or 0, i),
            _nth(dilation, i) if is_maximum and dilation else 1,
        )

    return each_from(first, field, slid)


def adaptive_pool(field: Field, result: Any, args: tuple[Any, ...]) -> Field:
    """Return the field after a pool that cuts each axis into as many bins as asked for."""
    output = result[0] if isinstance(result, tuple) else result
    first = output.ndim - len(args[1])

    def binned(axis: Axis, i: int) -> Axis:
        count, size = output.shape[first + i], len(axis.low)
        if size % count == 0:
            return axis.slid(count, size // count, size // count, 0)
        bins = np.arange(count)
        starts, ends = bins * size // count, -(-(bins + 1) * size // count)
        taps = starts[:, None] + np.arange((ends - starts).max())
        return axis.taken(np.where(taps < ends[:, None], taps, -1))

    return each_from(first, field, binned)


def nearest(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field after an interpolation that takes the nearest position below."""
    return _resized(field, result, args, corners=None, around=(0,))


def linear(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field after an interpolation between two positions along each axis."""
    return _resized(field, result, args, corners=args[2], around=(0, 1))


def cubic(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field after an interpolation between four positions along each axis."""
    return _resized(field, result, args, corners=args[2], around=(-1, 0, 1, 2))


def pixel_shuffle(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field of channels that were laid out as pixels."""

    def spread(axis: Axis, i: int) -> Axis:
        return axis.taken(np.repeat(np.arange(len(axis.low)), args[1])[:, None])

    return each_from(result.ndim - 2, field, spread)


def pixel_unshuffle(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field of pixels that were laid out as channels."""
    factor = args[1]
    return each_from(
        result.ndim - 2,
        field,
        lambda axis, i: axis.slid(len(axis.low) // factor, factor, factor, 0),
    )


def padded(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field after padding with a constant."""
    return _padded(field, result, args[1], lambda places, size: places)


def reflected(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field after padding with the mirror image."""
    return _padded(
        field, result, args[1], lambda places, size: size - 1 - abs(size - 1 - abs(places))
    )


def replicated(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field after padding with the values at the border."""
    return _padded(field, result, args[1], lambda places, size: places.clip(0, size - 1))


def _spread(axis: Axis, count: int, kernel: int, stride: int, padding: int, dilation: int) -> Axis:
    if stride == 1:
        return axis.slid(count, kernel, 1, (kernel - 1) * dilation - padding, dilation)
    reached = np.arange(count)[:, None] + padding - np.arange(kernel) * dilation
    return axis.taken(np.where(reached % stride == 0, reached // stride, -1))


def _resized(
    field: Field,
    result: Tensor,
    args: tuple[Any, ...],
    corners: bool | None,
    around: Sequence[int],
) -> Field:
    scales = [scale for scale in _flat(args[2:]) if isinstance(scale, float)]

    def resized(axis: Axis, i: int) -> Axis:
        size, count = len(axis.low), result.shape[2 + i]
        ratio = 1 / scales[i] if i < len(scales) else size / count
        p = np.arange(count, dtype=np.float64)
        if corners:
            places = p * (size - 1) / max(count - 1, 1)
        else:
            places = p * ratio if corners is None else ((p + 0.5) * ratio - 0.5)
        taps = np.floor(places).astype(np.int64)[:, None] + np.array(around)
        return axis.taken(taps.clip(0, size - 1))

    return each_from(2, field, resized)


def _padded(field: Field, result: Tensor, amounts: Sequence[int], source: Any) -> Field:
    before = dict(zip(range(result.ndim - 1, -1, -1), amounts[::2], strict=False))

    def padded(axis: Axis, dim: int) -> Axis:
        shift = before.get(dim, 0)
        places = np.arange(result.shape[dim]) - shift
        window = axis.window.slid(1, 1, shift) if axis.window else None
        return axis.taken(source(places, len(axis.low))[:, None], window)

    return each(field, padded)


def _nth(setting: Any, index: int) -> int:
    if isinstance(setting, int):
        return setting
    return setting[index] if index < len(setting) else setting[-1]


def _flat(values: Sequence[Any]) -> list[Any]:
    return [item for value in values for item in (value if isinstance(value, list) else [value])]
