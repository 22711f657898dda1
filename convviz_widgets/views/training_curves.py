"""TrainingCurves: loss, accuracy and every other metric of a run, with the clock as cursor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Unpack

import numpy as np
from ipywidgets import HBox, Layout, SelectMultiple, Widget
from ipywidgets import Text as SearchBox
from traitlets import Bool, Float, Tuple, Unicode, validate

from convviz_widgets.errors import InputError
from convviz_widgets.record import AXES, Run, Series
from convviz_widgets.state import LogSteps, ModelState, Selection, log_steps
from convviz_widgets.state.examination import refuse_other_kinds
from convviz_widgets.tensors import SMOOTHING, smooth
from convviz_widgets.views.metric_plot import (
    Curve,
    MetricPlot,
    ShownCurves,
    level,
    looks_of,
    make_curve,
    spacing,
    whole_span,
)
from convviz_widgets.widgets import View
from convviz_widgets.widgets.controls import (
    choice,
    icon_button,
    line,
    list_options,
    move_clock,
    named,
    switch,
)
from convviz_widgets.widgets.plot import Plot, empty_frame
from convviz_widgets.widgets.raster import Overlay
from convviz_widgets.widgets.text import Text
from convviz_widgets.widgets.view import ViewOptions

SMOOTHINGS = (0.0, 0.6, SMOOTHING, 0.99)


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
    marked : step of the log, between checkpoints too, and threshold of a finding; none for other
        metrics.
    plot, overlay : made when there is something to draw: the axes with their lines, and the pane
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
        self.marked: tuple[float | None, float | None] = None, None
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
        self._listed: list[str] = []
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
        known = log_steps(self.state.steps, self.run)
        places = [place for place in known.places if place is not None]
        span = self._span or whole_span(metrics, chosen, places)
        step, threshold = self.marked
        wanted = (selection.revision, chosen, span, threshold, self.smoothing, self.logarithmic)
        if self._prepared is None or self._prepared[0] != wanted:
            looks = looks_of(metrics, self.run.pairs if self.run else ())
            densest = min((spacing(metrics[tag]) for tag in chosen), default=1.0)
            alike = (self.smoothing, span, self.frame[0], densest, self.logarithmic)
            curves = tuple(make_curve(tag, looks[tag], metrics[tag], *alike) for tag in chosen)
            self._prepared = wanted, (*curves, *level(threshold, span))
        cursor = known.places[selection.checkpoint]
        lines = {} if self.run is None else self.run.left_out
        left_out = [lines[tag] for tag in chosen if tag in lines]
        return ShownCurves(
            self._prepared[1], span, cursor, step, _about_cursor(known, selection, cursor), left_out
        )

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
        axis = self.run.axis if self.run else "step"
        self.say(_caption(result, axis, self.smoothing, self._span is not None))

    def _make_plot(self) -> MetricPlot:
        plot = MetricPlot(
            *self.frame,
            self.logarithmic,
            self._legend,
            axis=AXES[self.run.axis if self.run else "step"],
            zoomed=self._zoom,
            picked=self._go_to,
        )
        self.plot, self.overlay = plot.plot, (overlay := plot.overlay)
        overlay.on_arrow(lambda dx, _dy: move_clock(self, dx))
        return plot

    def _fill_list(self) -> None:
        words = self._filter.value.lower().split()
        found = [tag for tag in self._metrics() if all(word in tag.lower() for word in words)]
        self._listed = found
        list_options(self._list, [(tag, tag) for tag in found])
        self._list.value = tuple(tag for tag in self.shown_tags() if tag in found)

    def _option_changed(self, change: Any) -> None:
        if change.name == "tags":
            self.marked = None, None
        if change.name == "logarithmic" and self._metric_plot is not None:
            self._figure_frames.close()  # another kind of scale needs another figure
            self._metric_plot = self.plot = self.overlay = self.curves = None
        super()._option_changed(change)

    def show_all_steps(self) -> None:
        """Leave the part of the run that was zoomed to."""
        if self._span is not None:
            self._zoom(None)

    # -- what the user does -------------------------------------------------------------------

    def _chosen(self, change: Any) -> None:
        if not self.state.publishing_here():
            hidden = [tag for tag in self.shown_tags() if tag not in self._listed]
            self.tags = (*hidden, *change.new)

    def _go_to(self, step: float) -> None:
        nearest = log_steps(self.state.steps, self.run).nearest(step)
        if nearest is not None:
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


def _about_cursor(known: LogSteps, selection: Selection, cursor: float | None) -> str:
    """Say which checkpoint the cursor stands at, or why there is none."""
    name = selection.label
    if cursor is None:
        return known.problem or f"no cursor: where {name} stands in the log is not known"
    at = "" if name == f"step {cursor:,.0f}" else f" at step {cursor:,.6g} of the log"
    how = f" ({known.how})" * bool(known.how)
    return " · ".join(filter(None, [f"cursor: {name}{at}{how}", known.problem]))


def _caption(drawing: ShownCurves, axis: str, smoothing: float, zoomed: bool) -> str:
    low, high = drawing.span
    unit = "steps" if axis == "step" else AXES[axis]
    counts = ", ".join(
        f"{each.tag} n = {each.points:,}{each.not_drawn}"
        for each in drawing.curves
        if each.points is not None
    )
    part = "part of the run: " if zoomed else ""
    return (
        f"{part}{unit} {low:,.0f} to {high:,.0f} · {counts} · faint: as recorded, strong: smoothed "
        f"{smoothing:g} (debiased exponential, "
        f"over as many steps in all) · {drawing.about_cursor}"
        f"{'' if drawing.marked is None else f', grey: step {drawing.marked:,} of the finding'}"
        f"{''.join(f' · {line}' for line in drawing.left_out)}"
    )
