"""The running median of a curve, and its robust σ, over the points before each point."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

NORMAL = 1.4826
"""Factor from the median absolute deviation to the σ of a Normal."""

ROWS = 1 << 14
"""Windows that are sorted at a time."""


class Level(NamedTuple):
    """Median and robust σ of what precedes each point: float64 (n,), NaN where too little does."""

    median: np.ndarray
    sigma: np.ndarray


def running_median(values: np.ndarray, width: int, least: int) -> Level:
    """Return median and 1.4826·MAD of the ``width`` points before each point.

    Parameters
    ----------
    values
        Finite, (n,).
    width
        Points in the window; at the start of a curve it is shorter.
    least
        Points that must precede for there to be a level.
    """
    padded = np.concatenate([np.full(width, np.nan), values[:-1] if len(values) else values])
    median, sigma = np.full(len(values), np.nan), np.full(len(values), np.nan)
    if len(values) <= least:
        return Level(median, sigma)
    windows = sliding_window_view(padded, width)  # (n, width), NaN in front
    for start in range(least, len(values), ROWS):
        rows = slice(start, start + ROWS)
        median[rows] = _median(windows[rows])
        sigma[rows] = NORMAL * _median(np.abs(windows[rows] - median[rows, np.newaxis]))
    return Level(median, sigma)


def _median(rows: np.ndarray) -> np.ndarray:
    """Return the median of each row, NaN left out."""
    ordered = np.sort(rows, axis=1)  # NaN last
    counts = np.isfinite(ordered).sum(axis=1)
    low, high = (counts - 1) // 2, counts // 2
    every = np.arange(len(ordered))
    return (ordered[every, low] + ordered[every, high]) / 2
