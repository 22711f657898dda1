"""Levels: the even steps that values keep to when their pictures had 8 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST = 256
"""Levels of an 8-bit picture."""

FEWEST = 32
"""Distinct values below which a coarser step could pass for the true one."""

TOLERANCE = 0.05
"""How far from its level a value may lie, in steps: 32-bit rounding moves it by 0.001 or so."""


@dataclass(frozen=True)
class Levels:
    """Even steps on which the values of a channel lie.

    Attributes
    ----------
    step : from one level to the next.
    low : the lowest value.
    count : distinct values.
    """

    step: float
    low: float
    count: int

    @property
    def std(self) -> float:
        """The std that was divided by, if pictures in [0, 1] had 255 steps."""
        return 1 / (255 * self.step)


def levels_of(values: np.ndarray) -> Levels | None:
    """Return the levels of distinct values, None where they are too many, too few or uneven.

    Parameters
    ----------
    values : finite, distinct, ascending.
    """
    if not FEWEST <= len(values) <= MOST:
        return None
    exact = values.astype(np.float64)
    smallest = float(np.diff(exact).min())
    # One difference carries the rounding of two values; the whole range hardly any.
    span = float(exact[-1] - exact[0])
    steps = round(span / smallest)
    if steps >= MOST:
        return None
    step = span / steps
    places = (exact - exact[0]) / step
    if np.abs(places - places.round()).max() > TOLERANCE:
        return None
    return Levels(step, float(exact[0]), len(values))
