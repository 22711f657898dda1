"""Heat map of distributions: one column each, on one axis of values, no count lost or invented."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from convviz_widgets.errors import InputError
from convviz_widgets.tensors.colormap import BACKGROUND, HATCH_DARK, HATCH_LIGHT, quantize
from convviz_widgets.tensors.distribution import Distribution, bin_of, merged

FINER = 3
"""Rows are made of at least two to this power of the narrowest bins that they are cut by, so that
no more than an eighth of the picture stays empty."""


def common_edges(
    distributions: Sequence[Distribution], low: float, high: float, rows: int
) -> np.ndarray:
    """Return the edges of at most ``rows`` rows of equal height from ``low`` to ``high``.

    They fall on edges of the bins of every distribution whose bins are narrower than a row, so
    that its counts are added up exactly.

    Raises
    ------
    InputError
        For ends that are not finite or in the wrong order, or for no rows.
    """
    if not (rows >= 1 and -math.inf < low < high < math.inf):
        raise InputError(f"no {rows} rows fit between {low} and {high}")
    row = math.frexp((high / 2 - low / 2) / rows)[1]  # its height, about, as a power of two
    finer = [each.exponent for each in distributions if each.exponent <= row - FINER]
    exponent = max(finer, default=row - FINER)
    first, last = bin_of(low, exponent), bin_of(high, exponent) + 1
    height = -(-(last - first) // rows)
    count = -(-(last - first) // height)
    return np.ldexp(first + height * np.arange(count + 1, dtype=np.float64), exponent)


def shares(distributions: Sequence[Distribution | None], edges: np.ndarray) -> np.ndarray:
    """Return the share of each distribution's values that lies in each row, zeros left out.

    Returns
    -------
    numpy.ndarray
        float64 (rows, columns), the lowest row first; NaN in the columns of None.
    """
    columns = [
        np.full(len(edges) - 1, np.nan) if each is None else each.counted(edges) / max(1, each.n)
        for each in distributions
    ]
    return np.stack(columns, axis=1)


def log_limits(found: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest share above zero; (1, 1) where there is none."""
    positive = found[found > 0]  # NaN is not
    return (float(positive.min()), float(positive.max())) if positive.size else (1.0, 1.0)


def paint_shares(
    found: np.ndarray, limits: tuple[float, float], height: int, width: int
) -> np.ndarray:
    """Return the picture of shares on a logarithmic colour scale, the lowest row at the bottom.

    Parameters
    ----------
    found : (rows, columns), as `shares` returns them.
    limits : shares of the first and the last colour.
    height, width : pixels of the picture; neither is smaller than the number of rows or columns.

    Returns
    -------
    numpy.ndarray
        uint8 (height, width) colour slots: `BACKGROUND` where there is no value at all, stripes
        where nothing has been measured.
    """
    low, high = limits
    with np.errstate(divide="ignore", invalid="ignore"):
        place = np.log(found / low) / math.log(high / low) if high > low else found * 0 + 1
    slots = quantize(np.clip(np.nan_to_num(place, nan=0, posinf=1, neginf=0), 0, 1))
    slots[found == 0] = BACKGROUND
    y = (np.arange(height) * len(found)) // height
    x = (np.arange(width) * found.shape[1]) // width
    picture = slots[::-1][np.ix_(y, x)]
    unknown = np.isnan(found).all(axis=0)[x]
    stripes = np.add.outer(np.arange(height), np.arange(width)) // 3 % 4
    picture[:, unknown] = np.select(
        [stripes == 0, stripes == 2], [HATCH_LIGHT, HATCH_DARK], BACKGROUND
    )[:, unknown]
    return picture


def grouped(
    distributions: Sequence[Distribution | None], columns: int
) -> list[Distribution | None]:
    """Return at most ``columns`` distributions, neighbours added up where there are more."""
    size = -(-len(distributions) // columns)
    if size == 1:
        return list(distributions)
    groups = [distributions[i : i + size] for i in range(0, len(distributions), size)]
    known = ([each for each in group if each is not None] for group in groups)
    return [merged(parts) if parts else None for parts in known]
