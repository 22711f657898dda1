"""DistributionHistory: how the values of a layer are distributed, at every checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from bqplot import Image as ImageMark
from bqplot import Lines
from ipywidgets import HBox, Image, Layout, Widget
from traitlets import Bool, Enum

from convviz_widgets.instrument import (
    BIASES,
    OUTPUT_GRADIENTS,
    OUTPUTS,
    PRE_ACTIVATIONS,
    QUANTITIES,
    WEIGHT_GRADIENTS,
    WEIGHTS,
)
from convviz_widgets.state import Selection
from convviz_widgets.tensors import COLORS, PERCENTILES, SEQUENTIAL, Distribution, palette
from convviz_widgets.views.checkpoint_axis import checkpoint_at, draw_cursor, mark_steps, span
from convviz_widgets.views.distribution_picture import (
    PART_OF,
    RANGES,
    WHOLE_RUN,
    Distributions,
    HeatMap,
    distributions_of,
    heat_map,
    value_limits,
)
from convviz_widgets.views.history_view import HistoryView
from convviz_widgets.views.option_controls import choice, line, switch
from convviz_widgets.views.plot import CURVES, Plot, make_plot
from convviz_widgets.views.raster import EMPTY_PNG, Overlay
from convviz_widgets.views.text import ACCENT, QUIET, Text
from convviz_widgets.views.ticks import mark_values
from convviz_widgets.views.widget_tree import close_tree

HEAT_MAP, BANDS = "heat map", "percentile bands"

LABELS = {
    WEIGHTS: "weights",
    BIASES: "biases",
    PRE_ACTIVATIONS: "pre-activations (inputs)",
    OUTPUTS: "post-activations (outputs)",
    OUTPUT_GRADIENTS: "gradients by the outputs",
    WEIGHT_GRADIENTS: "gradients by the weights",
}

BAND_OPACITIES = (0.15, 0.2, 0.3, 0.45)
"""Of the bands from minimum and maximum inwards."""

NORMAL = CURVES[0]
"""Colour of the Normal that is laid over the histogram."""

SCALE_TOP, SCALE_STEPS = 40, 40
"""Place of the scale of colours from the top of the plot, and the number of its colours."""

LABEL_HEIGHT = 11
"""Pixels from one label of a percentile to the next, at least."""


@dataclass(frozen=True, eq=False)
class DistributionPicture:
    """All checkpoints on one axis of values, and the one that the clock shows."""

    data: Distributions
    index: int
    heat: HeatMap
    levels: np.ndarray
    """Percentiles (checkpoints, 9); NaN where nothing has been measured."""

    @property
    def here(self) -> Distribution | None:
        """The distribution at the clock's step."""
        return self.data.columns[self.index]


class DistributionHistory(HistoryView):
    """The distribution of weights, biases, activations or gradients of the selected layer.

    On the left every checkpoint is a column: of a heat map, or of bands between TensorBoard's
    percentiles. On the right is the histogram at the clock's step, on the same axis of values. A
    click on a column moves the clock. Exact zeros are counted in words, for their bar would dwarf
    all others.

    The counts are exact: every value is in the one of up to 4,096 bins that it lies in, and the
    rows on the screen are made of whole bins. Percentiles are off by less than one bin.
    """

    title: ClassVar[str] = "Distribution over training"
    caption_lines: ClassVar[int] = 5
    depends: ClassVar[frozenset[str]] = frozenset({"key", "checkpoint", "layer", "revision"})
    frame: ClassVar[tuple[int, int]] = (416, 300)
    side: ClassVar[int] = 150
    """Width of the histogram; it is as high as the frame."""

    quantity = Enum(QUANTITIES, WEIGHTS, help="Which values of the layer.").tag(option=True)
    show = Enum((HEAT_MAP, BANDS), HEAT_MAP, help="How all checkpoints are shown.").tag(option=True)
    values = Enum(RANGES, WHOLE_RUN, help="Ends of the axis of values.").tag(option=True)
    normal = Bool(False, help="Lay a Normal of the same mean and spread over the histogram.").tag(
        option=True
    )

    def parts(self) -> tuple[str, ...]:
        """Return the part that the quantity belongs to."""
        return (PART_OF[self.quantity],)

    def controls(self) -> Sequence[Widget]:
        """Return quantity, picture, axis and overlay."""
        named = [(label, name) for name, label in LABELS.items()]
        return [
            line(
                choice(self, "quantity", "Of", named, 200),
                choice(self, "show", "as", (HEAT_MAP, BANDS), 150),
                choice(self, "values", "axis", RANGES, 128),
                switch(self, "normal", "Normal", 72),
            )
        ]

    def figures(self) -> Sequence[Widget]:
        """Return the frame of the two plots, and the line that follows the pointer."""
        size = Layout(width="566px", height=f"{self.frame[1]}px", flex="0 0 auto")
        size.overflow = "hidden"
        self._frame = HBox(layout=size)
        self._plot: Plot | None = None
        self._seen: DistributionPicture | None = None
        self._pointed = Text(kind="quiet")
        return [self._frame, self._pointed]

    # -- compute ------------------------------------------------------------------------------

    def picture(self, selection: Selection) -> DistributionPicture | None:
        """Return all checkpoints of the selected layer, as far as they have been measured."""
        data = distributions_of(
            self.state.history.all(*self.parts()),
            self.state.steps,
            [info.name for info in self.state.layers],
            selection.layer,
            self.quantity,
        )
        if data is None or not data.known:
            return None
        limits = value_limits(data, self.values, selection.checkpoint)
        top, bottom = 10, self.frame[1] - 44
        heat = heat_map(data, limits, bottom - top, self._columns())
        unknown = np.full(len(PERCENTILES), np.nan)
        levels = [unknown if each is None else each.percentiles() for each in data.columns]
        return DistributionPicture(data, selection.checkpoint, heat, np.array(levels))

    def _columns(self) -> int:
        return self.frame[0] - MARGIN["left"] - MARGIN["right"]

    # -- draw ---------------------------------------------------------------------------------

    def draw_picture(self, picture: DistributionPicture) -> None:
        """Send both plots, the cursor and the caption."""
        self._seen = picture
        plot = self._plots()
        ends = float(picture.heat.edges[0]), float(picture.heat.edges[-1])
        count = len(picture.data.columns)
        plot.show(span(count), ends)
        mark_steps(plot, picture.data.steps)
        mark_values(plot)
        self._show_heat_map(picture, ends)
        self._show_bands(picture)
        self._show_histogram(picture, ends)
        self._overlay.paint(lambda canvas: self._annotate(canvas, picture))
        self.say(_caption(picture, self.show, self.normal, self.values))

    def _plots(self) -> Plot:
        if self._plot is None:
            self._plot = make_plot(*self.frame, "step", "", margin=MARGIN)
            self._side = make_plot(self.side, self.frame[1], "values a row", "", margin=SIDE)
            self._side.figure.layout.margin = "0"
            self._side.figure.axes[1].visible = False
            self._side.figure.axes[0].num_ticks = 3
            self._side.figure.axes[0].tick_format = ".2~s"
            self._make_marks(self._plot, self._side)
            self._overlay = Overlay(self._plot.figure, leave_to=None)
            self._overlay.resize(*self.frame)
            self._overlay.on_click(self._clicked)
            self._overlay.on_move(self._moved, lambda: self._pointed.show(""))
            self._overlay.on_arrow(self._arrow)
            self._frame.children = [self._overlay, self._side.figure]
        return self._plot

    def _make_marks(self, plot: Plot, side: Plot) -> None:
        scales = {"x": plot.x, "y": plot.y}
        nothing = Image(value=EMPTY_PNG, format="png")
        self._image = ImageMark(image=nothing, scales=scales)
        self._bands = [
            Lines(
                x=[0.0],
                y=[[0.0], [0.0]],
                scales=scales,
                colors=[ACCENT],
                fill="between",
                fill_colors=[ACCENT],
                fill_opacities=[opacity],
                stroke_width=0.5,
                visible=False,
            )
            for opacity in BAND_OPACITIES
        ]
        self._median = Lines(x=[0.0], y=[0.0], scales=scales, colors=[ACCENT], visible=False)
        plot.figure.marks = [self._image, *self._bands, self._median]
        scales = {"x": side.x, "y": side.y}
        self._bars = Lines(
            x=[0.0],
            y=[0.0],
            scales=scales,
            colors=[ACCENT],
            stroke_width=0.0,
            fill="inside",
            close_path=True,
            fill_colors=[ACCENT],
        )
        self._curve = Lines(x=[0.0], y=[0.0], scales=scales, colors=[NORMAL], stroke_width=2)
        side.figure.marks = [self._bars, self._curve]

    def _show_heat_map(self, picture: DistributionPicture, ends: tuple[float, float]) -> None:
        self._image.visible = self.show == HEAT_MAP
        before = self._image.image
        with self._image.hold_sync():
            self._image.x, self._image.y = span(len(picture.data.columns)), ends
            self._image.image = Image(value=picture.heat.png, format="png")
        close_tree(before)

    def _show_bands(self, picture: DistributionPicture) -> None:
        measured = ~np.isnan(picture.levels[:, 0])
        x, levels = np.flatnonzero(measured).astype(float), picture.levels[measured].T
        for depth, mark in enumerate([*self._bands, self._median]):
            pair = levels[[depth, -1 - depth]] if depth < len(self._bands) else levels[depth]
            with mark.hold_sync():
                mark.visible = self.show == BANDS
                mark.x, mark.y = x, pair

    def _show_histogram(self, picture: DistributionPicture, ends: tuple[float, float]) -> None:
        here, edges = picture.here, picture.heat.edges
        counts = np.zeros(len(edges) - 1) if here is None else here.counted(edges)
        self._side.show((0.0, max(1.0, 1.05 * counts.max())), ends)
        with self._bars.hold_sync():
            self._bars.x = np.concatenate([[0.0], np.repeat(counts, 2), [0.0]])
            self._bars.y = np.repeat(edges, 2)
        self._curve.visible = self.normal and here is not None and here.moments.std > 0
        if self._curve.visible and here is not None:
            with self._curve.hold_sync():
                self._curve.x, self._curve.y = _normal(here, edges)

    def _annotate(self, canvas: Any, picture: DistributionPicture) -> None:
        """Draw the cursor, and beside the bands what they are."""
        assert self._plot is not None
        draw_cursor(canvas, self._plot, picture.index)
        canvas.font, canvas.fill_style = "10px sans-serif", QUIET
        if self.show == BANDS:
            self._label_bands(canvas, picture)
        else:
            _draw_scale(canvas, self.frame[0] - MARGIN["right"] + 8, picture.heat.limits)

    def _label_bands(self, canvas: Any, picture: DistributionPicture) -> None:
        assert self._plot is not None
        measured = picture.levels[~np.isnan(picture.levels[:, 0])]
        right = self.frame[0] - MARGIN["right"] + 4
        top, bottom = self._plot.top_and_bottom
        places = [_pixel_up(self._plot, float(value)) for value in measured[-1]]
        for level, y in zip(PERCENTILES, _apart(places, top, bottom), strict=True):
            canvas.fill_text(f"{level:g} %", right, y + 3)

    # -- what the user does -------------------------------------------------------------------

    def _clicked(self, x: int, _y: int) -> None:
        if self._plot is not None:
            index = checkpoint_at(self._plot, x, len(self.state.steps))
            self.guarded(lambda: self.state.select(checkpoint=index))

    def _arrow(self, dx: int, _dy: int) -> None:
        moved = self.state.selection.checkpoint + dx
        if 0 <= moved < len(self.state.steps):
            self.state.select(checkpoint=moved)

    def _moved(self, x: int, y: int) -> None:
        picture = self._seen
        if picture is None or self._plot is None:
            return
        index = checkpoint_at(self._plot, x, len(picture.data.columns))
        top, bottom = self._plot.top_and_bottom
        edges = picture.heat.edges
        row = int((bottom - y) / (bottom - top) * (len(edges) - 1))
        here = picture.data.columns[index]
        if here is None or not 0 <= row < len(edges) - 1:
            return
        count = float(here.counted(edges[row : row + 2])[0])
        self._pointed.show(
            f"step {picture.data.steps[index]:,}, {edges[row]:.3g} to {edges[row + 1]:.3g}: "
            f"{count:,.0f} of {here.n:,} values ({count / max(1, here.n):.2%})"
        )


MARGIN = {"top": 10, "bottom": 44, "left": 56, "right": 46}
SIDE = {"top": 10, "bottom": 44, "left": 6, "right": 14}


def _draw_scale(canvas: Any, left: float, limits: tuple[float, float]) -> None:
    """Draw the scale of colours with the shares at its ends."""
    colours = palette(SEQUENTIAL[0])[np.linspace(0, COLORS - 1, SCALE_STEPS).astype(int)]
    for i, (red, green, blue, _) in enumerate(colours[::-1].tolist()):
        canvas.fill_style = f"rgb({red}, {green}, {blue})"
        canvas.fill_rect(left, SCALE_TOP + 3 * i, 9, 3)
    canvas.fill_style = QUIET
    canvas.fill_text(
        f"{limits[1]:.2%}" if limits[1] < 0.1 else f"{limits[1]:.0%}", left, SCALE_TOP - 5
    )
    canvas.fill_text(f"{limits[0]:.1g}", left, SCALE_TOP + 3 * SCALE_STEPS + 11)


def _normal(here: Distribution, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return counts a row and values of a Normal with the same number, mean and spread."""
    values = np.linspace(edges[0], edges[-1], 200)
    distance = (values - here.moments.mean) / here.moments.std
    density = np.exp(-0.5 * distance**2) / (here.moments.std * np.sqrt(2 * np.pi))
    return here.finite * (edges[1] - edges[0]) * density, values


def _pixel_up(plot: Plot, value: float) -> float:
    top, bottom = plot.top_and_bottom
    return bottom - (value - plot.y.min) / (plot.y.max - plot.y.min) * (bottom - top)


def _apart(places: Sequence[float], top: float, bottom: float) -> list[float]:
    """Move labels, given from the bottom up, apart, so that none covers another."""
    free = list(np.clip(places, top, bottom))
    for i in range(1, len(free)):
        free[i] = min(free[i], free[i - 1] - LABEL_HEIGHT)
    for i in range(len(free) - 1, -1, -1):
        lowest = top if i == len(free) - 1 else free[i + 1] + LABEL_HEIGHT
        free[i] = max(free[i], lowest)
    return free


def _caption(picture: DistributionPicture, show: str, normal: bool, values: str) -> str:
    data, heat, here = picture.data, picture.heat, picture.here
    step = f"step {data.steps[picture.index]:,}"
    name = f"{data.quantity} of {data.layer}"
    if data.instead_of:
        name += f" ({data.instead_of} has none)"
    if here is None:
        return f"{name} · {step}: not measured yet"
    m = here.moments
    source = f"{here.n:,} values of {data.images} images" if data.images else f"{here.n:,} values"
    parts = [
        f"{name} · {step} · n = {source}",
        f"mean {m.mean:.3g} · std {m.std:.3g} · skew {m.skew:.3g} · excess kurtosis "
        f"{m.kurtosis:.3g} · {here.low:.3g} to {here.high:.3g}",
        f"exact zeros {here.zeros:,} ({here.zeros / max(1, here.n):.0%}), not drawn · "
        f"NaN or infinite {here.non_finite:,}",
    ]
    inside = float(here.counted(heat.edges).sum()) + here.zeros
    outside = max(0.0, here.finite - inside)
    if outside >= 1:
        parts.append(f"outside the axis {outside:,.0f}")
    parts.append(f"a row {heat.edges[1] - heat.edges[0]:.3g}")
    if show == HEAT_MAP:
        low, high = heat.limits
        columns = "a column a checkpoint" if heat.group == 1 else f"{heat.group} a column"
        parts.append(
            f"{columns}; colour: share of its values in a row, log scale, {_percent(low)} to "
            f"{_percent(high)}"
        )
    else:
        parts.append(f"percentiles ± {here.width:.2g}, ±0.5, 1, 1.5 σ if Normal")
    if normal:
        parts.append("blue: Normal of this mean and std")
    return " · ".join(parts)
