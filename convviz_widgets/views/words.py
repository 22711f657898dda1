"""Words for numbers: how captions say values, ranges and shares, NaN and infinity included."""

from __future__ import annotations

import math

import numpy as np


def in_words(value: float, digits: int = 4) -> str:
    """Return a number with so many digits; NaN and the infinities by their names."""
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    return f"{value:.{digits}g}"


def range_of(values: np.ndarray) -> str:
    """Say from where to where the finite values go, and how many are not finite."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return "no finite value" if values.size else "no value"
    return f"{finite.min():.3g} to {finite.max():.3g}{not_finite(values)}"


def not_finite(values: np.ndarray) -> str:
    """Say how many values are NaN or infinite, to follow something else; empty for none."""
    count = values.size - int(np.isfinite(values).sum())
    return f", {count:,} NaN or infinite" if count else ""
