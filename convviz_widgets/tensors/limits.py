"""Limits: which value is drawn darkest, which brightest, and where the others lie between."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from convviz_widgets.errors import InputError
from convviz_widgets.tensors.display import Numbers, as_real

FLOAT32_SAFE = (1e-30, 1e30)
"""Spans of limits between which float32 neither overflows nor loses its small numbers."""


@dataclass(frozen=True)
class Limits:
    """The values at the two ends of a colour scale.

    ``signed`` marks a scale whose middle means zero: there a constant is drawn in the middle
    colour, on any other scale in the lowest.
    """

    low: float
    high: float
    signed: bool = False

    def __post_init__(self) -> None:
        if not -math.inf < self.low <= self.high < math.inf:  # false for NaN, too
            raise InputError(
                f"limits ({self.low}, {self.high}) do not fit; expected finite low <= high"
            )

    @property
    def constant(self) -> bool:
        """Whether both ends are the same value, so that no scale exists."""
        return self.low == self.high


Rule = Callable[[np.ndarray], Limits]
"""How limits are found in values: one of the functions below."""


def zero_anchored_limits(values: Numbers) -> Limits:
    """Return limits from zero to the largest value (from the smallest, where that is negative).

    For activations after a rectifier: zero is the lowest colour, in every map of the layer.
    Non-finite values do not count; without any finite value the limits are (0, 0).
    """
    low, high = _extremes(values)
    return Limits(min(low, 0.0), max(high, 0.0))


def symmetric_limits(values: Numbers, percentile: float = 100.0) -> Limits:
    """Return limits -m and m, so that zero lies in the middle.

    m is the given percentile (0 to 100) of the magnitudes of the finite values. Where that is
    zero although values differ from zero (sparse maps), m is the largest magnitude.
    """
    if not 0 <= percentile <= 100:
        raise InputError(f"percentile {percentile} is out of range; expected 0 to 100")
    low, high = _extremes(values)
    bound = abs(max(-low, high))
    if percentile < 100 and bound > 0:
        array = as_real(values)
        magnitudes = np.abs(array[np.isfinite(array)])
        bound = float(np.percentile(magnitudes, percentile)) or bound
    return Limits(0.0 - bound, bound, signed=True)  # a plain minus would make -0 of 0


def full_limits(values: Numbers) -> Limits:
    """Return the smallest and the largest finite value; (0, 0) where there is none."""
    return Limits(*_extremes(values))


def channel_limits(values: Numbers, rule: Rule) -> tuple[Limits, ...]:
    """Return the limits of each channel of `values` (C, ...), found by `rule`."""
    array = as_real(values)
    if array.ndim == 0:
        raise InputError("a single number has no channels; expected an array of shape (C, ...)")
    return tuple(rule(channel) for channel in array)


def normalize(values: Numbers, limits: Limits | Sequence[Limits]) -> np.ndarray:
    """Return where each value lies between its limits.

    Parameters
    ----------
    values : of any shape; (C, ...) with limits per channel.
    limits : one for all, or C of them, one for each channel.

    Returns
    -------
    numpy.ndarray
        float32, same shape, in [0, 1]. Values beyond the limits, infinities included, are 0 or 1;
        NaN stays NaN; a constant is 0, on a signed scale 0.5.
    """
    array = as_real(values)
    low, high, resting = _ends(array, limits)
    constant = low == high
    if array.dtype != np.float32 or not _safe(low, high):
        # In double precision, and in units of the largest limit: high - low cannot overflow.
        largest = np.where(constant, 1.0, np.maximum(np.abs(low), np.abs(high)))
        array = np.asarray(array / largest)
        low, high = low / largest, high / largest
    span = np.where(constant, 1.0, high - low)
    result = np.empty_like(array)
    with np.errstate(over="ignore", invalid="ignore"):  # infinities and NaN are expected here
        np.subtract(array, low.astype(array.dtype), out=result)
        np.divide(result, span.astype(array.dtype), out=result)  # m / 2m is exactly 0.5
    np.clip(result, 0, 1, out=result)
    if constant.any():
        np.copyto(result, resting, where=constant & ~np.isnan(result), casting="same_kind")
    return result.astype(np.float32, copy=False)


def _ends(
    array: np.ndarray, limits: Limits | Sequence[Limits]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return low, high and where a constant is drawn: 0-d, or (C, 1, ...) per channel."""
    if isinstance(limits, Limits):
        shape: tuple[int, ...] = ()
        limits = (limits,)
    elif array.ndim and len(limits) == len(array):
        shape = (len(limits),) + (1,) * (array.ndim - 1)
    else:
        raise InputError(
            f"{len(limits)} limits do not fit values of shape {array.shape}; "
            "expected one for each channel (C, ...)"
        )
    ends = np.array([(each.low, each.high, each.signed / 2) for each in limits], np.float64)
    low, high, resting = ends.reshape(-1, 3).T
    return low.reshape(shape), high.reshape(shape), resting.reshape(shape)


def _safe(low: np.ndarray, high: np.ndarray) -> bool:
    """Return whether float32 neither overflows nor loses small numbers between these limits."""
    least, most = FLOAT32_SAFE
    largest = np.maximum(np.abs(low), np.abs(high))
    with np.errstate(over="ignore"):
        span = high - low
    return bool(((span == 0) | (span >= least) & (span <= most) & (largest <= most)).all())


def _extremes(values: Numbers) -> tuple[float, float]:
    """Return the smallest and the largest finite value; (0.0, 0.0) where there is none."""
    array = as_real(values)
    if array.size == 0:
        return 0.0, 0.0
    low, high = float(array.min()), float(array.max())  # NaN wins both
    if np.isfinite(low) and np.isfinite(high):
        return low, high
    finite = array[np.isfinite(array)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
