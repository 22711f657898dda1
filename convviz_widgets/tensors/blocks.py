"""Blocks: one value for each square of source pixels."""

from __future__ import annotations

from functools import reduce as fold

import numpy as np


def reduce_blocks(values: np.ndarray, size: int, signed: bool = False) -> np.ndarray:
    """Return the value that stands for each block of `size` × `size` pixels.

    The maximum, since sparse maps would vanish in a mean or a sample.

    Parameters
    ----------
    values
        (count, H, W).
    size
        Blocks at the lower and right edge may be cut.
    signed
        Take the value of largest magnitude, with its sign (on a tie the positive one).

    Returns
    -------
    numpy.ndarray
        (count, ⌈H / size⌉, ⌈W / size⌉); a NaN anywhere in a block makes it NaN, so that it is
        seen. `values` itself where `size` is 1.
    """
    if size == 1:
        return values
    highest = _fold(values, size, np.maximum)
    if not signed:
        return highest
    lowest = _fold(values, size, np.minimum)
    return np.where(-lowest > highest, lowest, highest)


def _fold(values: np.ndarray, size: int, extreme: np.ufunc) -> np.ndarray:
    height, width = (-(-n // size) * size for n in values.shape[1:])
    padding = ((0, 0), (0, height - values.shape[1]), (0, width - values.shape[2]))
    padded = np.pad(values, padding, mode="edge")  # repeats values: no extreme changes
    # Whole slices against each other: far faster than a reduction over short axes.
    lines = fold(extreme, (padded[:, start::size] for start in range(size)))
    return fold(extreme, (lines[:, :, start::size] for start in range(size)))
