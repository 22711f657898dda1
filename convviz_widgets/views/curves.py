"""Curves of a plot: how a metric becomes two lines, thinned to the pixels that there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from bqplot import Lines

from convviz_widgets.record import Pair, Series
from convviz_widgets.tensors import smooth, thin
from convviz_widgets.views.plot import Plot, colour_of


@dataclass(frozen=True)
class Curve:
    """One metric as it is drawn: thinned to the pixels, raw and smoothed."""

    tag: str
    colour: str
    dashed: bool
    """Whether it was measured on held-out data, and its partner on training data is solid."""
    steps: np.ndarray
    raw: np.ndarray
    smoothed_steps: np.ndarray
    smoothed: np.ndarray
    points: int
    """How many points it was drawn from."""


def whole_span(
    metrics: Mapping[str, Series], tags: Sequence[str], steps: Sequence[int]
) -> tuple[float, float]:
    """Return the first and the last step of the curves and of the checkpoints."""
    ends = [end for tag in tags for end in (metrics[tag].steps[:1], metrics[tag].steps[-1:])]
    known = np.concatenate([*ends, np.asarray(steps, dtype=np.int64)])
    return float(known.min()), float(known.max())


def looks_of(metrics: Mapping[str, Series], pairs: Sequence[Pair]) -> dict[str, tuple[str, bool]]:
    """Return colour and dashes of each metric: partners share a colour, held-out data is dashed.

    They depend on all metrics, not on those shown, so that no curve changes its colour.
    """
    partners = {pair.validation: pair.training for pair in pairs}
    first = [pair.training for pair in pairs]
    solid = [*first, *(tag for tag in metrics if tag not in partners and tag not in first)]
    return {tag: (colour_of(partners.get(tag, tag), solid), tag in partners) for tag in metrics}


def spacing(series: Series) -> float:
    """Return the steps between two points of a metric, in the middle; endless for a single one."""
    gaps = np.diff(series.steps)
    return float(np.median(gaps[gaps > 0])) if bool((gaps > 0).any()) else np.inf


def make_curve(
    tag: str,
    look: tuple[str, bool],
    series: Series,
    smoothing: float,
    span: tuple[float, float],
    columns: int,
    densest: float,
) -> Curve:
    """Return the part of a metric within ``span``, thinned to ``columns`` pixels.

    ``densest`` is the spacing of the metric with the most points: all of them are smoothed over as
    many steps as that one. Over as many points, a loss that is evaluated now and then would lag
    behind that of the training, and the gap would look like overfitting.
    """
    ratio = spacing(series) / densest
    averaged = smooth(series.values, smoothing**ratio if np.isfinite(ratio) else 0.0)
    start, end = np.searchsorted(series.steps, span)
    # One point on either side, so that the line reaches the edges of the plot.
    part = slice(max(0, start - 1), end + 1)
    steps = series.steps[part]
    raw, smoothed = (thin(steps, values[part], columns) for values in (series.values, averaged))
    return Curve(
        tag,
        *look,
        steps[raw],
        series.values[part][raw],
        steps[smoothed],
        averaged[part][smoothed],
        len(steps),
    )


def marks_of(curve: Curve, plot: Plot) -> tuple[Lines, Lines]:
    """Return the lines of a curve: faint as recorded, strong smoothed; without their points."""
    look = {
        "x": np.zeros(1),
        "y": np.zeros(1),
        "scales": {"x": plot.x, "y": plot.y},
        "colors": [curve.colour],
        "line_style": "dashed" if curve.dashed else "solid",
    }
    return Lines(opacities=[0.3], stroke_width=1, **look), Lines(stroke_width=2, **look)


def move(marks: tuple[Lines, Lines], curve: Curve) -> None:
    """Give the lines of a curve its points."""
    faint, strong = marks
    with faint.hold_sync():
        faint.x, faint.y = curve.steps, curve.raw
    with strong.hold_sync():
        strong.x, strong.y = curve.smoothed_steps, curve.smoothed


def heights(curves: Sequence[Curve], logarithmic: bool) -> tuple[float, float]:
    """Return the lowest and the highest value that can be drawn, with a little room."""
    values = np.concatenate([np.empty(0), *(curve.raw for curve in curves)])
    values = values[np.isfinite(values) & ((values > 0) | (not logarithmic))]
    if not values.size:
        return np.nan, np.nan
    low, high = float(values.min()), float(values.max())
    if logarithmic:
        return low / 1.1, high * 1.1
    room = 0.04 * (high - low)
    return low - room, high + room
