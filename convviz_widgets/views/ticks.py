"""Ticks: the few round numbers that are written at an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bqplot import Axis

from convviz_widgets.views.plot import Plot


def round_numbers(low: float, high: float, at_most: int = 5) -> list[float]:
    """Return up to ``at_most`` multiples of 1, 2 or 5 times a power of ten from low to high."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return []
    power = 10.0 ** math.floor(math.log10((high - low) / at_most))
    for factor in (1, 2, 5, 10, 20, 50):
        step = factor * power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < at_most:
            return [k * step for k in range(first, last + 1)]
    return []


def whole_numbers(low: float, high: float, at_most: int = 5) -> list[int]:
    """Return up to ``at_most`` whole numbers from low to high, evenly spaced from zero."""
    first, last = math.ceil(low), math.floor(high)
    step = next(
        factor * 10**power
        for power in range(20)
        for factor in (1, 2, 5)
        if last // (factor * 10**power) - -(-first // (factor * 10**power)) < at_most
    )
    return list(range(-(-first // step) * step, last + 1, step))


def mark_values(plot: Plot) -> None:
    """Write round numbers at the upright axis."""
    axis = plot.figure.axes[1]
    axis.tick_format = ".3~g"
    axis.tick_values = round_numbers(plot.y.min, plot.y.max)


def mark_powers_of_ten(plot: Plot) -> None:
    """Write powers of ten at an upright axis of logarithms."""
    ticks = whole_numbers(plot.y.min, plot.y.max)
    label_ticks(plot.figure.axes[1], ticks, {str(tick): f"1e{tick}" for tick in ticks})


def label_ticks(axis: Axis, values: Sequence[int], labels: dict[str, str]) -> None:
    """Write labels at whole numbers of an axis.

    The labels are sent first, and by themselves: the page moves the ticks in a transition, which
    would end with the labels that it began with.
    """
    if axis.tick_labels != labels:
        axis.tick_labels = labels
        axis.tick_values = values
