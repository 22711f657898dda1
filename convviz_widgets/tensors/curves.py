"""Curves smoothed like TensorBoard's and thinned to the screen; `DepthSlope` of layers' norms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convviz_widgets.errors import InputError

SMOOTHING = 0.9
"""Weight of what came before, in the curves that are judged and in those that are shown."""

BLOCK = 256
"""Points that are smoothed by one matrix product; between blocks one number is carried over."""


def smooth(values: np.ndarray, weight: float = SMOOTHING) -> np.ndarray:
    """Return the debiased exponential moving average, as TensorBoard shows it.

    ``s_t = Σ_k weight^k x_{t-k} / Σ_k weight^k`` over the finite values so far: causal, so that
    later steps never change what stands. Values that are NaN or infinite stay as they are.

    Parameters
    ----------
    values : (n,).
    weight : 0 (as it is) up to, but not including, 1.

    Returns
    -------
    numpy.ndarray
        float64 (n,).
    """
    if not 0 <= weight < 1:
        raise InputError(f"smoothing {weight} is out of range; expected 0 up to, not including, 1")
    result = np.array(values, dtype=np.float64)
    finite = np.isfinite(result)
    points = result[finite]
    result[finite] = _average(points, weight) / -np.expm1(_log(weight) * _ranks(len(points)))
    return result


def _log(weight: float) -> float:
    return float(np.log(weight)) if weight > 0 else -np.inf


def _ranks(count: int) -> np.ndarray:
    return np.arange(1, count + 1, dtype=np.float64)


def _average(points: np.ndarray, weight: float) -> np.ndarray:
    """Return ``a_t = weight·a_{t-1} + (1 - weight)·x_t`` from zero, block by block."""
    blocks = -(-len(points) // BLOCK)
    padded = np.zeros((blocks, BLOCK))
    padded.reshape(-1)[: len(points)] = points
    ages = np.subtract.outer(np.arange(BLOCK), np.arange(BLOCK))
    kernel = np.where(ages >= 0, (1 - weight) * weight ** np.maximum(ages, 0), 0.0)
    averages = padded @ kernel.T  # (blocks, BLOCK), each from zero
    fading = weight ** _ranks(BLOCK)
    for block in range(1, blocks):
        averages[block] += fading * averages[block - 1, -1]
    return averages.reshape(-1)[: len(points)]


def thin(positions: np.ndarray, values: np.ndarray, columns: int) -> np.ndarray:
    """Return which points of a curve to draw, so that it looks the same on ``columns`` pixels.

    Of the points in each column the first, the last, the lowest and the highest are kept: no
    spike is lost, however narrow. NaN are kept where a column has nothing else.

    Parameters
    ----------
    positions, values : (n,), positions ascending.

    Returns
    -------
    numpy.ndarray
        int64, ascending, at most ``4 * columns`` of them (all n where that is fewer).
    """
    count = len(positions)
    if columns < 1:
        raise InputError(f"{columns} columns do not fit; expected 1 or more")
    if count <= 4 * columns:
        return np.arange(count)
    span = float(positions[-1] - positions[0]) or 1.0
    column = np.minimum((positions - positions[0]) / span * columns, columns - 1).astype(np.int64)
    starts = np.flatnonzero(np.r_[True, column[1:] != column[:-1]])
    ends = np.r_[starts[1:], count] - 1
    low, high = _extremes(values, starts)
    return np.unique(np.concatenate([starts, ends, low, high]))


def _extremes(values: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the index of the lowest and of the highest value from each start to the next."""
    known = np.isfinite(values)
    order = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(values)]))
    found = []
    for sign, worst in ((1, np.inf), (-1, np.inf)):
        signed = np.where(known, sign * values, worst)
        best = np.minimum.reduceat(signed, starts)
        hits = np.flatnonzero(signed == best[order])
        first = np.searchsorted(order[hits], np.arange(len(starts)))
        found.append(hits[first])
    return found[0], found[1]


@dataclass(frozen=True)
class DepthSlope:
    """The line through log10 of the norms of layers in depth order, input first."""

    slope: float
    """Decades a layer; positive: the norm shrinks towards the input. NaN for fewer than two."""
    start: float
    """Height of the line at layer 0, in decades."""
    layers: int
    """How many layers there are, those left out included."""
    used: int
    """How many have a norm that is finite and above zero."""

    @property
    def total(self) -> float:
        """Decades from the first layer to the last, along the line."""
        return self.slope * (self.layers - 1)


def depth_slope(norms: Sequence[float]) -> DepthSlope:
    """Fit the line by least squares; layers of norm zero, or not finite, are left out.

    Those keep their place in depth, so that the others stay as far apart as they are. Measured on
    layers with weights: about 0 for a sound network, 0.4 for PyTorch's default initialisation with
    ReLU, 0.9 with sigmoids [Glorot & Bengio 2010; He et al. 2015].
    """
    places = [i for i, norm in enumerate(norms) if math.isfinite(norm) and norm > 0]
    if len(places) < 2:
        return DepthSlope(math.nan, math.nan, len(norms), len(places))
    decades = np.log10([norms[i] for i in places])
    slope, start = np.polyfit(places, decades, 1)
    return DepthSlope(float(slope), float(start), len(norms), len(places))
