"""Bins for values of any size that need no look at the data first, so that counts can be added."""

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

BINS = 2 * _SIDE + 1
_BELOW, _FIRST, _ABOVE = 0, 1, BINS + 1
_ZEROS, _NAN, _POSITIVE_INF, _NEGATIVE_INF = range(_ABOVE + 1, _ABOVE + 5)
SLOTS = _NEGATIVE_INF + 1


def edges() -> np.ndarray:
    """Return the edges: float64 (BINS + 1,), ±2**-12 to ±2**12, four bins an octave."""
    steps = 1 + np.arange(1 << _MANTISSA_BITS) / (1 << _MANTISSA_BITS)
    side = np.append((2.0 ** np.array(_OCTAVES)[:, None] * steps).ravel(), 2.0**_OCTAVES.stop)
    return np.concatenate([-side[::-1], side])


def count(values: Tensor) -> Tensor:
    """Count each row's values.

    The bin is read off the bits of a float32, which costs a tenth of a search among edges.

    Parameters
    ----------
    values : float32 (C, M).

    Returns
    -------
    int32 (C, SLOTS): below the bins, in each of them, above; how many are zero (these are in their
    bin too), NaN, +inf and -inf.
    """
    rows = torch.arange(len(values), dtype=torch.int32, device=values.device)[:, None] * SLOTS
    slots = (_slot(values) + rows).flatten()
    counts = torch.bincount(slots, minlength=len(values) * SLOTS).reshape(-1, SLOTS)
    counts[:, _ZEROS] = (values == 0).sum(1)
    return counts.to(torch.int32)


def histogram(counts: Tensor) -> Histogram:
    """Return counts (SLOTS,) as a histogram; a value on the last edge is above it."""
    numbers = counts.numpy().astype(np.int64)
    odd = {
        "zeros": _ZEROS,
        "below": _BELOW,
        "above": _ABOVE,
        "nan": _NAN,
        "positive_inf": _POSITIVE_INF,
        "negative_inf": _NEGATIVE_INF,
    }
    return Histogram(
        edges=edges(),
        counts=numbers[_FIRST:_ABOVE],
        n=int(numbers.sum() - numbers[_ZEROS]),
        **{name: int(numbers[slot]) for name, slot in odd.items()},
    )


def _slot(values: Tensor) -> Tensor:
    """Return the slot of each value: int32, of the same shape."""
    bits = values.view(torch.int32)
    # The bits of a negative number grow with its size: mirrored, all bits are in the numbers'
    # order, and a number on an edge stays in the bin above it on both sides.
    ordered = torch.where(bits < 0, torch.iinfo(torch.int32).min - bits, bits)
    place = ordered >> _SHIFT
    up = place.clamp(_SMALLEST - 1, _SMALLEST + _SIDE) - (_SMALLEST - 1)  # 0 ... _SIDE + 1
    down = place.clamp(-_SMALLEST - _SIDE - 1, -_SMALLEST) + _SMALLEST  # -_SIDE - 1 ... 0
    slot = up + down + (_FIRST + _SIDE)
    if not bool(values.isfinite().all()):
        slot[values.isnan()] = _NAN
        slot[values.isposinf()] = _POSITIVE_INF
        slot[values.isneginf()] = _NEGATIVE_INF
    return slot
