"""TrainingCurves: loss, accuracy and every other metric of a run, with the clock as cursor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

import numpy as np
from bqplot import Lines
from ipywidgets import HBox, Layout, SelectMultiple, Widget
from ipywidgets import Text as SearchBox
from traitlets import Bool, Float, Tuple, Unicode, validate

from convviz_widgets.errors import InputError
from convviz_widgets.record import Pair, Run, Series
from convviz_widgets.state import ModelState, Selection
from convviz_widgets.state.examination import refuse_other_kinds
from convviz_widgets.tensors import SMOOTHING, smooth, thin
from convviz_widgets.widgets import View, close_tree
from convviz_widgets.widgets.controls import (
    choice,
    icon_button,
    legend_entry,
    line,
    move_clock,
    named,
    switch,
)
from convviz_widgets.widgets.plot import (
    Plot,
    colour_of,
    draw_line,
    empty_frame,
    make_plot,
    send,
    with_room,
)
from convviz_widgets.widgets.raster import Overlay
from convviz_widgets.widgets.text import QUIET, Text
from convviz_widgets.widgets.view import ViewOptions

SMOOTHINGS = (0.0, 0.6, SMOOTHING, 0.99)

CLICK = 4
"""Pixels that the pointer may move between press and release, and still it was a click."""


@dataclass(frozen=True)
class ShownCurves:
    """All curves, the part of the axis that is shown, and the cursor."""

    curves: tuple[Curve, ...]
    span: tuple[float, float]
    step: int
    marked: int | None
    """The step of a finding."""


class TrainingCurvesOptions(ViewOptions, total=False):
    """Options of `TrainingCurves`."""

    tags: Sequence[str]
    quantity: str
    smoothing: float
    logarithmic: bool


class TrainingCurves(View):
    """Metrics of a run over its steps. The cursor is the clock: a click moves it.

    Parameters
    ----------
    run
        The `Run` whose metrics are shown; it is refreshed together with the state.

    Attributes
    ----------
    curves : what is drawn; None before the first time.
    plot, overlay : made when there is something to draw: the axes with their lines, and the canvas
        above them, to be clicked on or dragged over in code.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as directory:
    ...     with cvw.Recorder(model, directory) as recorder:
    ...         for loss in (0.9, 0.5, 0.4):
    ...             recorder.step(**{"loss/train": loss, "accuracy/train": 1 - loss})
    ...     view = cvw.TrainingCurves(state, run=cvw.Run(directory))
    >>> [curve.tag for curve in view.curves]
    ['loss/train']
    >>> view.control("Metrics to show").value = ["accuracy/train"]
    >>> view.plot.labels, len(view.plot.lines)  # as recorded, and smoothed
    (('step', 'value'), 2)
    """

    title: ClassVar[str] = "Training curves"
    depends: ClassVar[frozenset[str]] = frozenset({"step", "revision"})
    instant: ClassVar[bool] = True
    frame: ClassVar[tuple[int, int]] = (566, 260)

    tags = Tuple(help="Metrics to show; empty: those named after the quantity.").tag(option=True)
    quantity = Unicode("loss", help="What the metrics shown at first have in their names.").tag(
        option=True
    )
    smoothing = Float(SMOOTHING, help="TensorBoard's smoothing, 0 up to 1.").tag(option=True)
    logarithmic = Bool(False, help="Logarithmic values.").tag(option=True)

    def __init__(
        self, state: ModelState, *, run: Run | None = None, **options: Unpack[TrainingCurvesOptions]
    ) -> None:
        self.refuse_others(state)
        refuse_other_kinds(None, run, None)
        self.run = run
        self._span: tuple[float, float] | None = None
        self._marked: tuple[int | None, float | None] = None, None
        if run is not None:
            state.attach(run)
        super().__init__(state, **options)

    @validate("smoothing")
    def _checked_smoothing(self, proposal: Any) -> float:
        smooth(np.empty(0), proposal.value)
        return float(proposal.value)

    def build(self) -> Sequence[Widget]:
        """Return switches, the plot's frame, and the list of metrics with its filter."""
        self._reset = icon_button(self, "expand", "show all steps", self.show_all_steps)
        options = [(f"{value:g}", value) for value in SMOOTHINGS]
        controls = line(
            choice(self, "smoothing", "Smoothing", options, 150),
            switch(self, "logarithmic", "log scale", 100),
            self._reset,
            Text("drag to zoom, click to move the clock", "quiet"),
        )
        box = SearchBox(placeholder="filter metrics", layout=Layout(width="200px"))
        self._filter = named(box, "Filter metrics by name")
        self._list = named(SelectMultiple(rows=4, layout=Layout(width="340px")), "Metrics to show")
        self._list.add_class("cvw-mono")
        self._filter.observe(lambda _change: self.redraw(), names="value")
        self._list.observe(self._chosen, names="value")
        self._legend = HBox(layout=Layout(overflow="hidden", flex="0 0 auto", min_height="22px"))
        self._place = empty_frame(*self.frame)
        self._metric_plot: MetricPlot | None = None
        self.plot: Plot | None = None
        self.overlay: Overlay | None = None
        self.curves: tuple[Curve, ...] | None = None
        self._prepared: tuple[tuple[Any, ...], tuple[Curve, ...]] | None = None
        return [controls, self._legend, self._place, HBox([self._filter, self._list])]

    @property
    def figure(self) -> Overlay | None:
        """What stands in the page; None while there is nothing to draw, or nobody looks."""
        return next(iter(self._place.children), None)

    # -- compute ------------------------------------------------------------------------------

    def compute(self, selection: Selection) -> ShownCurves:
        """Return the curves, thinned to the width of the plot.

        Raises
        ------
        InputError
            Without a run, or for a run without metrics.
        """
        metrics = self._metrics()
        chosen = self.shown_tags()
        span = self._span or whole_span(metrics, chosen, self.state.steps)
        step, threshold = self._marked
        wanted = (selection.revision, chosen, span, threshold, self.smoothing, self.logarithmic)
        if self._prepared is None or self._prepared[0] != wanted:
            looks = looks_of(metrics, self.run.pairs if self.run else ())
            densest = min((spacing(metrics[tag]) for tag in chosen), default=1.0)
            alike = (self.smoothing, span, self.frame[0], densest, self.logarithmic)
            curves = tuple(make_curve(tag, looks[tag], metrics[tag], *alike) for tag in chosen)
            self._prepared = wanted, (*curves, *level(threshold, span))
        return ShownCurves(self._prepared[1], span, selection.step, step)

    def shown_tags(self) -> tuple[str, ...]:
        """Return the metrics that are shown: those chosen, else those named after the quantity."""
        known = self._metrics()
        chosen = tuple(tag for tag in self.tags if tag in known)
        return chosen or tuple(tag for tag in known if self.quantity in tag.lower())

    def _metrics(self) -> Mapping[str, Series]:
        if self.run is None:
            raise InputError("no run to show: pass run=convviz_widgets.Run(directory)")
        if not self.run.metrics:
            raise InputError("this run has no metrics yet; they appear when the first is recorded")
        return self.run.metrics

    # -- draw ---------------------------------------------------------------------------------

    def draw(self, result: ShownCurves) -> None:
        """Send the curves, the list and the cursor."""
        self._fill_list()
        for part in (self._place, self._legend):
            part.layout.display = "" if result.curves else "none"
        if not result.curves:
            self.curves = ()
            self._figure_frames.empty(self._place)
            self.say(_what_would_fill_it(self.quantity, tuple(self._metrics())))
            return
        if self._metric_plot is None:
            self._metric_plot = self._make_plot()
        self.reveal(self._place, self._metric_plot.overlay)
        if result.curves is not self.curves:
            self.curves = result.curves
            self._metric_plot.show(result.curves, result.span)
        self._metric_plot.mark(result)
        self.say(_caption(result, self.smoothing, self._span is not None))

    def _make_plot(self) -> MetricPlot:
        plot = MetricPlot(
            *self.frame, self.logarithmic, self._legend, zoomed=self._zoom, picked=self._go_to
        )
        self.plot, self.overlay = plot.plot, (overlay := plot.overlay)
        overlay.before, overlay.after, overlay.hold = self._reset, self._filter, self.state.hold
        overlay.on_arrow(lambda dx, _dy: move_clock(self, dx))
        return plot

    def _fill_list(self) -> None:
        words = self._filter.value.lower().split()
        found = [tag for tag in self._metrics() if all(word in tag.lower() for word in words)]
        if tuple(found) != self._list.options:
            self._list.options = found
        self._list.value = tuple(tag for tag in self.shown_tags() if tag in found)

    def _option_changed(self, change: Any) -> None:
        if change.name == "tags":
            self._marked = None, None
        if change.name == "logarithmic" and self._metric_plot is not None:
            self._figure_frames.close()  # another kind of scale needs another figure
            self._metric_plot = self.plot = self.overlay = self.curves = None
        super()._option_changed(change)

    def show_all_steps(self) -> None:
        """Leave the part of the run that was zoomed to."""
        if self._span is not None:
            self._zoom(None)

    def point_out(self, step: int | None, threshold: float | None = None) -> None:
        """Mark a step, between checkpoints too, and a value, until other metrics are shown."""
        self._marked = step, threshold
        self.redraw()

    # -- what the user does -------------------------------------------------------------------

    def _chosen(self, change: Any) -> None:
        if not self.state.publishing_here():
            hidden = [tag for tag in self.shown_tags() if tag not in self._list.options]
            self.tags = (*hidden, *change.new)

    def _go_to(self, step: float) -> None:
        nearest = int(np.abs(np.asarray(self.state.steps) - step).argmin())
        self.state.select(checkpoint=nearest)

    def _zoom(self, span: tuple[float, float] | None) -> None:
        self._span = span
        self.redraw()


def _what_would_fill_it(quantity: str, known: Sequence[str]) -> str:
    """Say which metric a plot without curves waits for, and what can be shown meanwhile."""
    more = f" and {len(known) - 3} more" if len(known) > 3 else ""
    return (
        f"nothing to draw yet: no metric of this run has {quantity!r} in its name. One that is "
        f"logged under such a name appears here by itself; the list below shows any other "
        f"({', '.join(known[:3])}{more})"
    )


def _caption(drawing: ShownCurves, smoothing: float, zoomed: bool) -> str:
    low, high = drawing.span
    counts = ", ".join(
        f"{each.tag} n = {each.points:,}{each.not_drawn}"
        for each in drawing.curves
        if each.points is not None
    )
    part = "part of the run: " if zoomed else ""
    return (
        f"{part}steps {low:,.0f} to {high:,.0f} · {counts} · faint: as recorded, strong: smoothed "
        f"{smoothing:g} (debiased exponential, "
        f"over as many steps in all) · cursor: step {drawing.step:,}"
        f"{'' if drawing.marked is None else f', grey: step {drawing.marked:,} of the finding'}"
    )


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
        zoomed: Callable[[tuple[float, float]], Any],
        picked: Callable[[float], Any],
    ) -> None:
        self.plot = make_plot(width, height, "step", "value", logarithmic=logarithmic)
        self.overlay = Overlay(self.plot.figure)
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

        def draw(canvas: Any) -> None:
            if shown.marked is not None:
                draw_line(canvas, self.plot, shown.marked, QUIET)
            draw_line(canvas, self.plot, shown.step)

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
