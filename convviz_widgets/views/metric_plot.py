"""The plot of metrics over the steps of a run: thinned to its pixels, as recorded and smoothed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bqplot import Lines
from ipywidgets import HBox

from convviz_widgets.record import Pair, Series
from convviz_widgets.tensors import smooth, thin
from convviz_widgets.widgets import close_tree
from convviz_widgets.widgets.controls import legend_entry
from convviz_widgets.widgets.plot import colour_of, draw_line, make_plot, send, with_room
from convviz_widgets.widgets.raster import Overlay, Shapes
from convviz_widgets.widgets.text import QUIET

CLICK = 4
"""Pixels that the pointer may move between press and release, and still it was a click."""


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
    points: int | None
    """How many points it was drawn from; None for a threshold."""
    not_drawn: str
    """How many of them have no place in the plot, in brackets, and why; empty if all have."""

    @property
    def line_style(self) -> str:
        """Style of its lines: solid or dashed."""
        return "dashed" if self.dashed else "solid"


def level(value: float | None, span: tuple[float, float]) -> list[Curve]:
    """Return a threshold as a dashed line across, without points; none for None."""
    if value is None:
        return []
    ends, values = np.array(span), np.full(2, value)
    return [Curve(f"threshold {value:g}", QUIET, True, ends, values, ends, values, None, "")]


def whole_span(
    metrics: Mapping[str, Series], tags: Sequence[str], steps: Sequence[float]
) -> tuple[float, float]:
    """Return the first and the last step of the curves and of the checkpoints on their axis.

    Where there are none of either: 0 and 1.
    """
    ends = [end for tag in tags for end in (metrics[tag].steps[:1], metrics[tag].steps[-1:])]
    known = np.concatenate([*ends, np.asarray(steps, dtype=np.float64)])
    if not len(known):
        return 0.0, 1.0
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
    logarithmic: bool = False,
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
    steps, values = series.steps[part], series.values[part]
    raw, smoothed = (thin(steps, each, columns) for each in (values, averaged[part]))
    return Curve(
        tag,
        *look,
        steps[raw],
        values[raw],
        steps[smoothed],
        averaged[part][smoothed],
        len(steps),
        _not_drawn(values, logarithmic),
    )


def _not_drawn(values: np.ndarray, logarithmic: bool) -> str:
    finite = values[np.isfinite(values)]
    odd, low = len(values) - len(finite), int((finite <= 0).sum()) * logarithmic
    reasons = [f"{odd:,} not finite"] * (odd > 0)
    reasons += [f"{low:,} not positive on a log scale"] * (low > 0)
    return f" ({' and '.join(reasons)}, so not drawn)" if reasons else ""


class MetricPlot:
    """The plot of some `Curve`s over the steps of a run, with the clock's step as cursor.

    Parameters
    ----------
    width, height
        Size of the whole plot in pixels.
    logarithmic
        Whether the axis of values is logarithmic.
    legend
        The row to write the entries of the curves into.
    axis
        Label of the axis that the curves run over.
    zoomed
        Called with the first and the last step that the pointer is dragged over.
    picked
        Called with the step that is clicked.

    Attributes
    ----------
    plot : the axes with their lines.
    overlay : the widget that stands in the page.
    """

    def __init__(
        self,
        width: int,
        height: int,
        logarithmic: bool,
        legend: HBox,
        *,
        axis: str = "step",
        zoomed: Callable[[tuple[float, float]], Any],
        picked: Callable[[float], Any],
    ) -> None:
        self.plot = make_plot(width, height, axis, "value", logarithmic=logarithmic)
        self.overlay = Overlay(
            self.plot.figure, "metrics over the training, with a cursor at the clock"
        )
        self.overlay.resize(width, height)
        self.overlay.on_click(self._pressed)
        self.overlay.on_release(self._released)
        self._logarithmic, self._legend = logarithmic, legend
        self._zoomed, self._picked = zoomed, picked
        self._looks: tuple[tuple[str, str, bool], ...] = ()
        self._marks: list[tuple[Lines, Lines]] = []
        self._from = 0

    def show(self, curves: tuple[Curve, ...], span: tuple[float, float]) -> None:
        """Send the curves, and their legend if it is another one."""
        looks = tuple((curve.tag, curve.colour, curve.dashed) for curve in curves)
        if looks != self._looks:
            self._looks = looks
            self._make_lines(curves)
        for (faint, strong), curve in zip(self._marks, curves, strict=True):
            send(faint, curve.steps, curve.raw)
            send(strong, curve.smoothed_steps, curve.smoothed)
        values = np.concatenate([np.empty(0), *(curve.raw for curve in curves)])
        self.plot.show(span, with_room(values, self._logarithmic))

    def mark(self, shown: ShownCurves) -> None:
        """Draw the cursor, and the step of a finding."""

        def draw(shapes: Shapes) -> None:
            if shown.marked is not None:
                draw_line(shapes, self.plot, shown.marked, QUIET)
            if shown.cursor is not None:
                draw_line(shapes, self.plot, shown.cursor)

        self.overlay.paint(draw)

    def _make_lines(self, curves: tuple[Curve, ...]) -> None:
        for mark in self.plot.figure.marks:
            mark.close()  # alone: its scales are those of the axes
        for entry in self._legend.children:
            close_tree(entry)
        self._marks = [self._lines_of(curve) for curve in curves]
        self.plot.figure.marks = [mark for marks in self._marks for mark in marks]
        self._legend.children = [
            legend_entry(each.tag, each.colour, each.line_style) for each in curves
        ]

    def _lines_of(self, curve: Curve) -> tuple[Lines, Lines]:
        """Return the lines of a curve: faint as recorded, strong smoothed; without their points."""
        line, look = self.plot.new_line, {"colors": [curve.colour], "line_style": curve.line_style}
        return line(opacities=[0.3], stroke_width=1, **look), line(stroke_width=2, **look)

    def _pressed(self, x: int, _y: int) -> None:
        self._from = x

    def _released(self, x: int, _y: int) -> None:
        low, high = sorted((self._from, x))
        if high - low > CLICK:
            self._zoomed((self.plot.to_value(low), self.plot.to_value(high)))
        else:
            self._picked(self.plot.to_value(x))


@dataclass(frozen=True)
class ShownCurves:
    """All curves, the part of the axis that is shown, and the cursor."""

    curves: tuple[Curve, ...]
    span: tuple[float, float]
    cursor: float | None
    """Where the checkpoint stands on the axis; None where that is not known."""
    marked: float | None
    """The step of a finding."""
    about_cursor: str = ""
    """Which checkpoint the cursor stands at, or why there is none."""
    left_out: Sequence[str] = ()
    """One line for each metric of which points are missing."""
