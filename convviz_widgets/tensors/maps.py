"""Statistics of maps and tensors: sparsity, concentration, constant maps, moments, `energy_box`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convviz_widgets.errors import InputError
from convviz_widgets.tensors.display import Numbers, as_real, finite_and_odd
from convviz_widgets.tensors.distribution import moments

BLOCK = 1 << 16
"""Positions of maps at a time: their sorted doubles stay in the cache of the processor."""


def sparsity(maps: Numbers) -> np.ndarray:
    """Return the share of exact zeros in each map, meant for maps after the nonlinearity.

    Parameters
    ----------
    maps : (C, H, W), or (C, ...) in general; of a fully connected layer (C,).

    Returns
    -------
    numpy.ndarray
        float64 (C,) in [0, 1]; NaN for maps without positions.

    Notes
    -----
    Activations get "sparse and local" in training: CS231n, "Understanding and Visualizing
    Convolutional Neural Networks".
    """
    rows = _rows(maps)
    with np.errstate(invalid="ignore"):  # 0 zeros of 0 positions
        return np.divide((rows == 0).sum(axis=1), rows.shape[1])


def concentration(maps: Numbers) -> np.ndarray:
    """Return the smallest share of positions that holds half of each map's mass (sum of |v|).

    Small: the map is local. 0.5: it is the same everywhere.

    Parameters
    ----------
    maps : (C, H, W), or (C, ...) in general.

    Returns
    -------
    numpy.ndarray
        float64 (C,) in (0, 1]; NaN for maps that are all zero, hold a non-finite value or have no
        positions, so that they are left out of a mean (`numpy.nanmean`).

    Notes
    -----
    Measures the "local" of CS231n, "Understanding and Visualizing Convolutional Neural Networks".
    """
    rows = _rows(maps)
    positions = rows.shape[1]
    if positions == 0:
        return np.full(len(rows), np.nan)
    few = max(1, BLOCK // positions)
    return np.concatenate(
        [_half_mass(rows[start : start + few]) for start in range(0, len(rows), few)]
        or [np.zeros(0)]
    )


def _half_mass(rows: np.ndarray) -> np.ndarray:
    """Return the smallest share of positions that holds half of each row's mass."""
    rising = np.sort(np.abs(rows), axis=1)  # NaN last
    peaks = rising[:, -1].astype(np.float64)
    useful = np.isfinite(peaks) & (peaks > 0)
    share = np.full(len(rows), np.nan)
    running = np.cumsum(rising[useful, ::-1] * _unit(peaks[useful])[:, np.newaxis], axis=1)
    share[useful] = ((running < running[:, -1:] / 2).sum(axis=1) + 1) / rows.shape[1]
    return share


def constant_maps(maps: Numbers) -> np.ndarray:
    """Return which maps show nothing because they are the same everywhere: bool (C,).

    They are hatched: on any colour scale such a map could pass for an even answer. A map of a
    single position (a unit of a fully connected layer) counts only where it is zero; one with a
    NaN never does, since the NaN is to be seen.
    """
    rows = _rows(maps)
    if rows.shape[1] == 0:
        return np.zeros(len(rows), bool)
    if rows.shape[1] == 1:
        return rows[:, 0] == 0
    return rows.min(axis=1) == rows.max(axis=1)


@dataclass(frozen=True)
class Summary:
    """What a distribution is like: moments of its finite values (NaN where undefined)."""

    n: int
    """Number of all values."""
    mean: float
    std: float
    """Standard deviation of these values, not an estimate for others: divided by their number."""
    min: float
    max: float
    skew: float
    """Third standardised moment, 0 for a Normal."""
    kurtosis: float
    """Fourth standardised moment minus 3, 0 for a Normal."""
    zeros: float
    """Share of exact zeros among all values."""
    non_finite: int
    """Number of NaN and infinite values."""


def summary(values: Numbers) -> Summary:
    """Return the moments and shares of values of any shape, computed in double precision.

    Skew and kurtosis are the plain moment ratios g1 and g2 (`scipy.stats.skew`, `kurtosis`);
    NaN for constant values.
    """
    array = as_real(values).reshape(-1)
    finite, odd = finite_and_odd(array)
    nan = float("nan")
    mean = std = low = high = skew = kurtosis = nan
    if finite.size:
        low, high = float(finite.min()), float(finite.max())
        mean, std, skew, kurtosis = _moments(finite, low, high)
    return Summary(
        n=array.size,
        mean=mean,
        std=std,
        min=low,
        max=high,
        skew=skew,
        kurtosis=kurtosis,
        zeros=float(np.mean(array == 0)) if array.size else nan,
        non_finite=odd.size,
    )


def _moments(finite: np.ndarray, low: float, high: float) -> tuple[float, float, float, float]:
    """Return mean, std, skew and excess kurtosis."""
    if low == high:
        return low, 0.0, float("nan"), float("nan")
    unit = float(_unit(max(abs(low), abs(high))))
    found = moments(finite * np.float64(unit))
    return found.mean / unit, found.std / unit, found.skew, found.kurtosis


def _unit(largest: float | np.ndarray) -> np.ndarray:
    """Return the factors that bring values to about 1, so that no sum or power overflows.

    A power of two, so that no digit is lost, and a double, so that products are.
    """
    exponents = np.frexp(largest)[1]
    return np.ldexp(np.float64(1.0), -np.maximum(exponents, -1000))


def _rows(maps: Numbers) -> np.ndarray:
    """Return maps (C, ...) as (C, positions)."""
    array = as_real(maps)
    if array.ndim == 0:
        raise InputError("a single number is not a map; expected an array of shape (C, ...)")
    return array.reshape(len(array), int(np.prod(array.shape[1:])))


def energy_box(energy: np.ndarray, share: float = 0.9) -> tuple[int, int, int, int]:
    """Return a small box that holds a share of the sum of a map: top, left, bottom, right.

    It shrinks from the whole map: of its four border lines the one that holds least goes first,
    as long as enough is left.

    Parameters
    ----------
    energy : (H, W), not negative.
    share : above a half, up to 1.

    Returns
    -------
    tuple
        Rows top to below bottom, columns left to below right; the whole of a map of zeros.
    """
    top, left = 0, 0
    bottom, right = energy.shape
    spare = (1 - share) * float(energy.sum())
    if not energy.any():
        return top, left, bottom, right
    while True:
        lines = (
            energy[top, left:right],
            energy[bottom - 1, left:right],
            energy[top:bottom, left],
            energy[top:bottom, right - 1],
        )
        sums = [float(line.sum()) for line in lines]
        least = int(np.argmin(sums))
        spare -= sums[least]
        if spare < 0:
            return top, left, bottom, right
        top, bottom = top + (least == 0), bottom - (least == 1)
        left, right = left + (least == 2), right - (least == 3)
