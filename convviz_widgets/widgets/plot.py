"""Plots whose pixels the kernel knows: Plot, PointedPlot, CheckpointPlot, their axes and frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from bqplot import Axis, Figure, LinearScale, Lines, LogScale, Mark
from ipywidgets import Layout, VBox, Widget

from convviz_widgets.state import number_at, unit_of
from convviz_widgets.widgets.raster import Overlay, Shapes
from convviz_widgets.widgets.text import ACCENT, QUIET, cut_in_the_middle, readable

MARGIN = {"top": 10, "bottom": 44, "left": 62, "right": 24}
"""Pixels around the plotting area: room for ticks and labels."""

LETTER = 8
"""Pixels that a letter of a tick takes, with its share of the gap to the next tick."""

COMPACT = {"top": 8, "bottom": 40, "left": 50, "right": 14}
"""Pixels around the plotting area of a low plot."""

CURVES = ("#3d8fd1", "#e08a00", "#2a9d6f", "#c0679f", "#7a6fd0", "#5d9cb0", "#9a8f2d")
"""Colours of curves that can be told apart on white and on black, by most colour-blind too
(after Okabe and Ito, lightened)."""

DASH = 0.3
"""Half the width of the curve of a single checkpoint, in places."""

FRAMED = 8
"""Pixels of a place from which on a frame around it leaves its middle free."""


@dataclass
class Plot:
    """A figure with one axis across and one up, and the place of its values on the screen."""

    width: int
    height: int
    x: LinearScale
    y: LinearScale | LogScale
    figure: Figure
    margin: Mapping[str, int] = field(default_factory=lambda: MARGIN)

    @property
    def lines(self) -> tuple[Mark, ...]:
        """What is drawn: the marks that are visible, those below first."""
        return tuple(mark for mark in self.figure.marks if mark.visible)

    @property
    def labels(self) -> tuple[str, str]:
        """What the axis across and the one up measure."""
        across, up = self.figure.axes
        return across.label, up.label

    @property
    def columns(self) -> int:
        """Pixels across the plotting area."""
        return self.width - self.margin["left"] - self.margin["right"]

    @property
    def top_and_bottom(self) -> tuple[int, int]:
        """First and last row of pixels of the plotting area."""
        return self.margin["top"], self.height - self.margin["bottom"]

    def to_pixel(self, value: float) -> float | None:
        """Return where ``value`` lies across, in pixels; None if it is out of sight."""
        low, high = self.x.min, self.x.max
        if low is None or high is None or not low <= value <= high:
            return None
        share = (value - low) / (high - low) if high > low else 0.5
        return float(self.margin["left"] + share * self.columns)

    def to_row(self, values: Any) -> Any:
        """Return how far down values lie, in pixels, whether in sight or not."""
        top, bottom = self.top_and_bottom
        return bottom - (values - self.y.min) / (self.y.max - self.y.min) * (bottom - top)

    def share_up(self, row: float) -> float:
        """Return where a row of pixels lies: 0 at the bottom of the plotting area, 1 at its top."""
        top, bottom = self.top_and_bottom
        return (bottom - row) / (bottom - top)

    def to_value(self, pixel: float) -> float:
        """Return the value across that a pixel stands for, kept within the axis."""
        share = min(1.0, max(0.0, (pixel - self.margin["left"]) / self.columns))
        return float(self.x.min + share * (self.x.max - self.x.min))

    def new_line(self, **style: Any) -> Lines:
        """Return a line on these axes, hidden until `send` gives it points."""
        scales = {"x": self.x, "y": self.y}
        empty = {"x": np.zeros(1), "y": np.zeros(1), "scales": scales, "visible": False}
        return Lines(**(empty | style))

    def show(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        """Set the ends of both axes; ends that are the same are moved apart."""
        for scale, ends in self.ends(x, y).items():
            with scale.hold_sync():
                scale.min, scale.max = ends["min"], ends["max"]

    def ends(
        self, x: tuple[float, float], y: tuple[float, float]
    ) -> dict[Widget, dict[str, float]]:
        """Return what `show` sets; touches no widget."""
        found = {}
        for scale, (low, high) in ((self.x, x), (self.y, y)):
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                low, high = apart(low, high, isinstance(scale, LogScale))
            found[scale] = {"min": low, "max": high}
        return found


class PointedPlot:
    """A `Plot` below a pane that reports clicks and the pointer.

    A subclass says what it shows, what a click means, and what lies under the pointer. What a user
    does to it can be done in code, as on an `Overlay`: `click`, `point_at`, `leave`, `press`.

    Parameters
    ----------
    plot
        An empty plot.
    pointed
        Called with what is under the pointer, in words.

    Attributes
    ----------
    plot : the plot, with the lines that it shows.
    overlay : the widget that stands in the page.
    """

    name: ClassVar[str] = "plot"
    """What it shows, for who cannot see it."""

    def __init__(self, plot: Plot, pointed: Callable[[str], Any]) -> None:
        self.plot, self._pointed = plot, pointed
        self.overlay = overlay = Overlay(plot.figure, self.name)
        overlay.resize(plot.width, plot.height)
        overlay.on_click(self.pick_at)
        overlay.on_move(self._moved, lambda: pointed(""))
        self.click, self.point_at = overlay.click, overlay.point_at
        self.leave, self.press = overlay.leave, overlay.press

    def pick_at(self, x: int, y: int) -> None:
        """Do what a click on a pixel means."""
        raise NotImplementedError

    def words_at(self, x: int, y: int) -> str | None:
        """Say what lies at a pixel; None while there is nothing to see."""
        raise NotImplementedError

    def _moved(self, x: int, y: int) -> None:
        words = self.words_at(x, y)
        if words is not None:
            self._pointed(words)


def apart(low: float, high: float, logarithmic: bool) -> tuple[float, float]:
    """Return ends that have a distance, for data that are all the same, or none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return (0.1, 1.0) if logarithmic else (0.0, 1.0)
    return (low / 2, low * 2) if logarithmic else (low - 0.5, high + 0.5)


def with_room(values: np.ndarray, logarithmic: bool = False) -> tuple[float, float]:
    """Return the lowest and the highest value that can be drawn, with a little room."""
    values = values[np.isfinite(values) & ((values > 0) | (not logarithmic))]
    if not values.size:
        return math.nan, math.nan
    low, high = float(values.min()), float(values.max())
    if logarithmic:
        return low / 1.1, high * 1.1
    room = 0.04 * (high - low)
    return low - room, high + room


def make_plot(
    width: int,
    height: int,
    x_label: str,
    y_label: str,
    *,
    logarithmic: bool = False,
    margin: Mapping[str, int] = MARGIN,
    linear: type[LinearScale] = LinearScale,
) -> Plot:
    """Return an empty plot; ticks are few enough not to collide."""
    x = linear(min=0.0, max=1.0, allow_padding=False)
    y = LogScale(min=0.1, max=1.0) if logarithmic else linear(min=0.0, max=1.0, allow_padding=False)
    style: dict[str, Any] = {"grid_lines": "none", "label_color": QUIET}
    across = Axis(
        scale=x, label=x_label, num_ticks=5, tick_format=",.0f", label_offset="32px", **style
    )
    up = Axis(scale=y, side="left", label=y_label, tick_format=".3~g", label_offset="46px", **style)
    if not logarithmic:
        up.num_ticks = 5
    figure = Figure(
        marks=[],
        axes=[across, up],
        animation_duration=0,
        fig_margin=dict(margin),
        background_style={"fill": "transparent"},
        padding_x=0.0,
        padding_y=0.0,
        min_aspect_ratio=0.01,
        max_aspect_ratio=100.0,
        layout=Layout(width=f"{width}px", height=f"{height}px", min_width="0"),
    )
    return Plot(width, height, x, y, figure, margin)


class CheckpointPlot(PointedPlot):
    """A `PointedPlot` with a place across for each checkpoint, which a click picks.

    A subclass makes its marks, and says what lies at a checkpoint.

    Parameters
    ----------
    width, height
        Size of the whole plot in pixels.
    picked
        Called with the checkpoint that is clicked.
    pointed
        Called with what is under the pointer, in words.

    Attributes
    ----------
    steps : those of the checkpoints; none before anything is shown.
    """

    label: ClassVar[str] = ""
    """What the upright axis measures."""
    margin: ClassVar[Mapping[str, int]] = COMPACT

    def __init__(
        self, width: int, height: int, picked: Callable[..., Any], pointed: Callable[[str], Any]
    ) -> None:
        super().__init__(make_plot(width, height, "step", self.label, margin=self.margin), pointed)
        self.plot.figure.axes[1].label_offset = "38px"
        self.plot.figure.marks = self.marks()
        self.steps: tuple[int, ...] = ()
        self._picked = picked

    def marks(self) -> list[Mark]:
        """Return the marks, still empty, those below first."""
        raise NotImplementedError

    def set_axes(
        self,
        steps: tuple[int, ...],
        limits: tuple[float, float],
        mark: Callable[[Plot], None] | None = None,
    ) -> None:
        """Show these steps across and ``limits`` up, whose ticks ``mark`` writes."""
        self.steps = steps
        self.plot.show(span(len(steps)), limits)
        mark_steps(self.plot, steps)
        (mark or mark_values)(self.plot)

    def checkpoint_at(self, x: int) -> int:
        """Return the checkpoint whose place a pixel across lies in, or the nearest one."""
        return min(len(self.steps) - 1, max(0, round(self.plot.to_value(x))))

    def pick_at(self, x: int, y: int) -> None:
        """Pick the checkpoint at a pixel."""
        if self.steps:
            self._picked(self.checkpoint_at(x))

    def words_at(self, x: int, y: int) -> str | None:
        """Say what lies at a pixel; None while there is nothing to see."""
        return self.words_of(self.checkpoint_at(x), y) if self.steps else None

    def words_of(self, index: int, y: int) -> str | None:
        """Say what lies at a checkpoint, ``y`` pixels from the top; None for nothing."""
        raise NotImplementedError


def empty_frame(width: int, height: int) -> VBox:
    """Return the box, of the size of a plot, in which the plot will stand once it is drawn."""
    size = {"width": f"{width}px", "height": f"{height}px"}
    return VBox(layout=Layout(**size, flex="0 0 auto", overflow="hidden"))


def colour_of(name: str, names: Sequence[str]) -> str:
    """Return the colour of a curve: the same as long as the names are."""
    return CURVES[list(names).index(name) % len(CURVES)]


def mark_steps(plot: Plot, steps: Sequence[int]) -> None:
    """Label the axis across with the steps of some of the checkpoints.

    Where the checkpoints are not evenly spaced in training, it says that they are here.
    """
    axis = plot.figure.axes[0]
    axis.label = axis_label(steps)
    indices = whole_numbers(0, len(steps) - 1)
    room = plot.columns // (LETTER * max(1, len(indices)))
    labels = {str(index): _tick(steps, index, room) for index in indices}
    label_ticks(axis, indices, labels)


def _tick(steps: Sequence[int], index: int, room: int) -> str:
    """Return what is written at a checkpoint's place; a number is never cut, a name may be."""
    said = number_at(steps, index)
    return said if said == f"{steps[index]:,}" else cut_in_the_middle(said, max(3, room))


def axis_label(steps: Sequence[int]) -> str:
    """Return what the axis measures, in words.

    The last checkpoint may come early: a training ends where it ends.

    >>> axis_label([0, 100, 200, 230]), axis_label(Steps([0, 1, 2], "epoch"))
    ('step', 'epoch')
    >>> axis_label([0, 1, 10, 100])
    'step (not to scale)'
    """
    unit = unit_of(steps)
    gaps = np.diff(steps)
    is_even = (gaps[:-1] == gaps[:1]).all() and (gaps[-1:] <= gaps[:1]).all()
    return unit if is_even else f"{unit} (not to scale)"


def span(count: int) -> tuple[float, float]:
    """Return the ends of the axis: half a place before the first and after the last."""
    return -0.5, count - 0.5


def as_lines(x: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return places and values (curves, checkpoints) as bqplot takes them.

    It drops axes of length one, so that the curves of a single checkpoint would turn into one
    curve; they become dashes instead.
    """
    if len(x) == 1:
        return np.array([x[0] - DASH, x[0] + DASH]), np.repeat(values, 2, axis=-1)
    return x, values


def finite_points(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the finite values of a row, and these values."""
    known = np.isfinite(row)
    return np.flatnonzero(known).astype(float), row[known]


def send(mark: Lines, x: np.ndarray, y: np.ndarray) -> None:
    """Give a line its points, unless it has them; a line without points is hidden."""
    pairs = ((mark.x, x), (mark.y, y))
    has_them = all(np.array_equal(old, new, equal_nan=True) for old, new in pairs)
    with mark.hold_sync():
        mark.visible = bool(len(x))
        if len(x) and not has_them:
            mark.x, mark.y = x, y


def draw_frame(shapes: Shapes, plot: Plot, index: int) -> None:
    """Draw a frame around the place of a checkpoint, a line where the place is narrow."""
    low, high = plot.to_pixel(index - 0.5), plot.to_pixel(index + 0.5)
    if low is None or high is None or high - low < FRAMED:
        draw_line(shapes, plot, index)
        return
    top, bottom = plot.top_and_bottom
    shapes.stroke_style, shapes.line_width = ACCENT, 2
    shapes.stroke_rect(low, top, high - low, bottom - top)


def draw_line(shapes: Shapes, plot: Plot, index: float, colour: str = ACCENT) -> None:
    """Draw a line through the place of a checkpoint, or of anything else on the axis."""
    x = plot.to_pixel(index)
    if x is not None:
        top, bottom = plot.top_and_bottom
        shapes.stroke_style, shapes.line_width = colour, 2
        shapes.stroke_line(x, top, x, bottom)


def round_numbers(low: float, high: float, at_most: int = 5) -> list[float]:
    """Return up to ``at_most`` multiples of 1, 2 or 5 times a power of ten from low to high."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return []
    # matplotlib's MaxNLocator counts bins, and rounds the range outward: ticks beyond the axis.
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


def count_end(count: float, parts: int) -> float:
    """Return where an axis of counts ends: a little above, and in equal parts of whole numbers."""
    return float(parts * max(1, math.ceil(1.05 * count / parts)))


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
    labels = {place: readable(label) for place, label in labels.items()}
    if axis.tick_labels != labels:
        axis.tick_labels = labels
        axis.tick_values = values
