"""Histograms of values of any size: their bins need no look at the data, so they can be added."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.tensors import Histogram

_OCTAVES = range(-12, 12)  # the bins around zero and at the ends hold what is smaller and larger
_MANTISSA_BITS = 2  # four bins an octave
_SHIFT = 23 - _MANTISSA_BITS
_SMALLEST = (127 + _OCTAVES.start) << _MANTISSA_BITS  # what shifting leaves of 2**-12
_SIDE = len(_OCTAVES) << _MANTISSA_BITS

_AT_ONCE = 131_072
"""Values that are counted at a time: they stay in the cache, and are worth a second thread."""

BINS = 2 * _SIDE + 1
_BELOW, _FIRST, _ABOVE = 0, 1, BINS + 1

_ZEROS, _NAN, _POSITIVE_INF, _NEGATIVE_INF = range(_ABOVE + 1, _ABOVE + 5)

COUNTERS = _NEGATIVE_INF + 1
"""Counters of each channel: below the bins, in each of them, above; zeros, NaN, +inf, -inf."""

_MIDDLE = _FIRST + _SIDE  # the bin around zero, without the zeros
_MAGNITUDE = 0x7FFFFFFF  # the bits of a float32 but its sign


def edges() -> np.ndarray:
    """Return the edges: float64 (BINS + 1,), ±2**-12 to ±2**12, four bins an octave."""
    steps = 1 + np.arange(1 << _MANTISSA_BITS) / (1 << _MANTISSA_BITS)
    side = np.append((2.0 ** np.array(_OCTAVES)[:, None] * steps).ravel(), 2.0**_OCTAVES.stop)
    return np.concatenate([-side[::-1], side])


def count(counts: Tensor, maps: Tensor, *, finite: bool = False) -> None:
    """Add maps to the counts of their channels.

    The bin is read off the bits of a float32, which costs a tenth of a search among edges.

    Parameters
    ----------
    counts : int32 (C, COUNTERS).
    maps : float32 (R, C, P).
    finite : all values are known to be.
    """
    channels = max(1, _AT_ONCE // max(1, maps.shape[2]))
    rows = max(1, _AT_ONCE // max(1, maps.shape[1] * maps.shape[2]))
    for some_maps in maps.split(rows):
        blocks = zip(counts.split(channels), some_maps.split(channels, dim=1), strict=True)
        for some_counts, block in blocks:
            _count(some_counts, block, finite)


def to_histogram(counts: Tensor) -> Histogram:
    """Return counts (COUNTERS,) as a histogram; a value on the last edge is above it."""
    numbers = counts.numpy().astype(np.int64)
    apart = {
        "zeros": _ZEROS,
        "below": _BELOW,
        "above": _ABOVE,
        "nan": _NAN,
        "positive_inf": _POSITIVE_INF,
        "negative_inf": _NEGATIVE_INF,
    }
    within = numbers[_FIRST:_ABOVE].copy()
    within[_SIDE] += numbers[_ZEROS]
    return Histogram(
        edges=edges(),
        counts=within,
        n=int(numbers.sum()),
        **{name: int(numbers[place]) for name, place in apart.items()},
    )


def _count(counts: Tensor, maps: Tensor, finite: bool) -> None:
    place = _counters(maps)
    if not finite:
        place[maps.isnan()] = _NAN
        place[maps.isposinf()] = _POSITIVE_INF
        place[maps.isneginf()] = _NEGATIVE_INF
    first = torch.arange(len(counts), dtype=torch.int32, device=maps.device) * COUNTERS
    place += first[:, None]
    counts += torch.bincount(place.flatten(), minlength=counts.numel()).reshape(counts.shape)


def _counters(values: Tensor) -> Tensor:
    """Return the place of each value's counter: int32, of the same shape.

    The bits of a negative number grow with its size: mirrored, all bits are in the numbers' order,
    and a number on an edge is in the bin above it on both sides. All is done in place on numbers,
    since comparing takes as long as everything else here together.
    """
    bits = values.contiguous().view(torch.int32)
    sign = bits >> 31
    place = (sign & _MAGNITUDE).bitwise_xor_(bits).sub_(sign).bitwise_right_shift_(_SHIFT)
    up = place.clamp(_SMALLEST - 1, _SMALLEST + _SIDE)
    down = place.clamp_(-_SMALLEST - _SIDE - 1, -_SMALLEST)
    is_something = (bits & _MAGNITUDE).clamp_(max=1)
    return up.add_(down).add_(is_something, alpha=_MIDDLE - _ZEROS).add_(_ZEROS + 1)


class SampledHistograms:
    """Counts the maps of every layer, as soon as there are enough to be worth the counting."""

    def __init__(self) -> None:
        self._layers: dict[str, _LayerCounts] = {}

    def add(self, layer: str, maps: Tensor, *, finite: bool) -> None:
        """Add maps, float32 (R, C, P).

        Parameters
        ----------
        finite : all values are known to be.
        """
        if layer not in self._layers:
            self._layers[layer] = _LayerCounts(maps)
        self._layers[layer].add(maps, finite)

    def put_into(self, counts: Tensor, slices: dict[str, slice]) -> None:
        """Write all counts into int32 (channels, COUNTERS), each layer's where its channels are."""
        for name, layer in self._layers.items():
            counts[slices[name]] = layer.counted().cpu()


class _LayerCounts:
    """The counts of one layer, with room for maps that wait to be counted together."""

    def __init__(self, maps: Tensor) -> None:
        _, channels, positions = maps.shape
        self._counts = maps.new_zeros((channels, COUNTERS), dtype=torch.int32)
        rows = _AT_ONCE // max(1, channels * positions)
        self._waiting = maps.new_empty((rows, channels, positions))
        self._rows = 0
        self._finite = True

    def add(self, maps: Tensor, finite: bool) -> None:
        if self._rows + len(maps) > len(self._waiting):
            self.counted()
        if len(maps) > len(self._waiting):
            count(self._counts, maps, finite=finite)
            return
        self._waiting[self._rows : self._rows + len(maps)] = maps
        self._rows += len(maps)
        self._finite &= finite

    def counted(self) -> Tensor:
        """Return the counts of all maps so far."""
        if self._rows:
            count(self._counts, self._waiting[: self._rows], finite=self._finite)
        self._rows, self._finite = 0, True
        return self._counts
