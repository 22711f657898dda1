"""The two plots of DistributionHistory: all checkpoints, and beside them the one of the clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from bqplot import Image as ImageMark
from bqplot import Mark
from ipywidgets import HBox, Image, Layout

from convviz_widgets.checkpoints import label_at
from convviz_widgets.errors import InputError
from convviz_widgets.measure import PRE_ACTIVATIONS, Measurement
from convviz_widgets.tensors import (
    COLORS,
    PERCENTILES,
    SEQUENTIAL,
    Distribution,
    common_edges,
    grouped,
    log_limits,
    paint_shares,
    palette,
    palette_png,
    shares,
)
from convviz_widgets.widgets import close_tree
from convviz_widgets.widgets.plot import (
    CURVES,
    CheckpointPlot,
    as_lines,
    count_end,
    draw_frame,
    make_plot,
    send,
    span,
)
from convviz_widgets.widgets.raster import EMPTY_PNG, Shapes
from convviz_widgets.widgets.text import ACCENT, QUIET

WIDTH, SIDE_WIDTH, HEIGHT = 416, 150, 300
"""Sizes of the plot of all checkpoints and of the histogram, in pixels."""

MARGIN = {"top": 10, "bottom": 44, "left": 56, "right": 46}

SIDE_MARGIN = {"top": 10, "bottom": 44, "left": 6, "right": 14}

BESIDE_TICKS = 3

COLUMNS = WIDTH - MARGIN["left"] - MARGIN["right"]

ROWS = HEIGHT - MARGIN["top"] - MARGIN["bottom"]
"""Pixels of the heat map."""

BAND_OPACITIES = (0.15, 0.2, 0.3, 0.45)
"""Opacities of the bands, from minimum and maximum inwards."""

FILLED = {"fill_colors": [ACCENT], "colors": [ACCENT]}
"""Style of the bands and of the histogram."""

NORMAL = CURVES[0]
"""Colour of the Normal that is laid over the histogram."""

LABEL_HEIGHT = 11
"""Pixels from one label of a percentile to the next, at least."""

SCALE_TOP, SCALE_STEPS, SCALE_STEP = 40, 40, 3
"""Place of the scale of colours from the top, the number of its colours, the pixels of each."""

WHOLE_RUN, MIDDLE, THIS_STEP = "whole run", "middle 99 %", "this step"

RANGES = (WHOLE_RUN, MIDDLE, THIS_STEP)

FEWEST_ROWS = 24
"""Rows of values that a heat map has at least."""


class DistributionPlots(CheckpointPlot):
    """All checkpoints, and beside them the one of the clock; a click picks a checkpoint.

    Parameters
    ----------
    picked
        Called with the checkpoint that is clicked.
    pointed
        Called with what is under the pointer, in words.

    Attributes
    ----------
    plot : that of all checkpoints.
    beside : the histogram of one, on the same axis of values.
    widget : both, as they stand in the page.
    normal : the curve that may be laid over the histogram.
    """

    name: ClassVar[str] = "distribution of the values over the checkpoints"
    margin: ClassVar[Mapping[str, int]] = MARGIN

    def __init__(self, picked: Callable[[int], Any], pointed: Callable[[str], Any]) -> None:
        super().__init__(WIDTH, HEIGHT, picked, pointed)
        self.beside = make_plot(SIDE_WIDTH, HEIGHT, "values a row", "", margin=SIDE_MARGIN)
        across, up = self.beside.figure.axes
        across.num_ticks, across.tick_format, up.visible = BESIDE_TICKS, ".2~s", False
        self.beside.figure.layout.margin = "0"
        self._bars = self.beside.new_line(fill="inside", stroke_width=0.0, **FILLED)
        self.normal = self.beside.new_line(colors=[NORMAL], stroke_width=2)
        self.beside.figure.marks = [self._bars, self.normal]
        self.widget = HBox(
            [self.overlay, self.beside.figure], layout=Layout(overflow="hidden", flex="0 0 auto")
        )
        self._picture: DistributionPicture | None = None

    def marks(self) -> list[Mark]:
        """Return the heat map, the bands and the median."""
        scales = {"x": self.plot.x, "y": self.plot.y}
        self._image = ImageMark(image=Image(value=EMPTY_PNG, format="png"), scales=scales)
        band = {"y": np.zeros((2, 1)), "fill": "between", "stroke_width": 0.5, **FILLED}
        self._bands = [
            self.plot.new_line(fill_opacities=[opacity], **band) for opacity in BAND_OPACITIES
        ]
        self._median = self.plot.new_line(colors=[ACCENT])
        return [self._image, *self._bands, self._median]

    def show(self, picture: DistributionPicture, bands: bool, normal: bool) -> None:
        """Send a picture: as bands of percentiles or as a heat map, with a Normal or without."""
        self._picture = picture
        ends = float(picture.edges[0]), float(picture.edges[-1])
        self.set_axes(picture.data.steps, ends)
        self._show_heat_map(picture, ends, visible=not bands)
        self._show_bands(picture, visible=bands)
        self._show_histogram(picture, ends, normal)
        self.overlay.paint(partial(self._annotate, picture=picture, bands=bands))

    @property
    def heat_map(self) -> bytes:
        """The picture of all checkpoints, a column each: a PNG file."""
        return bytes(self._image.image.value)

    def words_of(self, index: int, y: int) -> str | None:
        """Say how many values lie in the row at a pixel; None where there is none."""
        assert self._picture is not None
        data, edges = self._picture.data, self._picture.edges
        row, here = self._row_at(y, len(edges) - 1), data.columns[index]
        if here is None or row is None:
            return None
        count = float(here.counted(edges[row : row + 2])[0])
        return (
            f"{label_at(data.steps, index)}, {edges[row]:.3g} to {edges[row + 1]:.3g}: "
            f"{count:,.0f} of {here.n:,} values ({percent(count / max(1, here.n))})"
        )

    def _row_at(self, y: int, count: int) -> int | None:
        """Return the row, counted from below, that a pixel belongs to; None outside."""
        share = self.plot.share_up(y)
        return int(share * count) if 0 <= share < 1 else None

    def _show_heat_map(
        self, picture: DistributionPicture, ends: tuple[float, float], visible: bool
    ) -> None:
        before = self._image.image
        with self._image.hold_sync():
            self._image.visible = visible
            self._image.x, self._image.y = span(len(picture.data.columns)), ends
            self._image.image = Image(value=picture.png, format="png")
        close_tree(before)

    def _show_bands(self, picture: DistributionPicture, visible: bool) -> None:
        measured = ~np.isnan(picture.levels[:, 0])
        x, levels = np.flatnonzero(measured).astype(float), picture.levels[measured].T
        for depth, mark in enumerate([*self._bands, self._median]):
            pair = levels[[depth, -1 - depth]] if depth < len(self._bands) else levels[depth]
            with mark.hold_sync():
                send(mark, *as_lines(x, pair))
                mark.visible = visible

    def _show_histogram(
        self, picture: DistributionPicture, ends: tuple[float, float], normal: bool
    ) -> None:
        here, edges = picture.here, picture.edges
        counts = np.zeros(len(edges) - 1) if here is None else here.counted(edges)
        self.beside.show((0.0, count_end(float(counts.max()), BESIDE_TICKS - 1)), ends)
        send(self._bars, np.concatenate([[0.0], np.repeat(counts, 2), [0.0]]), np.repeat(edges, 2))
        with self.normal.hold_sync():
            self.normal.visible = False
            if normal and here is not None and here.moments.std > 0:
                send(self.normal, *normal_curve(here, edges))

    def _annotate(self, shapes: Shapes, picture: DistributionPicture, bands: bool) -> None:
        """Draw the cursor, and beside the plot what its colours mean."""
        draw_frame(shapes, self.plot, picture.index)
        shapes.font, shapes.fill_style = "10px sans-serif", QUIET
        left = WIDTH - MARGIN["right"]
        if bands:
            self._label_bands(shapes, left + 4, picture.levels)
        else:
            _draw_scale(shapes, left + 5, picture.limits)

    def _label_bands(self, shapes: Shapes, left: float, levels: np.ndarray) -> None:
        """Name the percentiles where they end, at the last checkpoint that has been measured."""
        top, bottom = self.plot.top_and_bottom
        places = self.plot.to_row(levels[~np.isnan(levels[:, 0])][-1])
        for level, y in zip(PERCENTILES, separated(places, top, bottom), strict=True):
            shapes.fill_text(f"{level:g} %", left, y + 3)


def percent(share: float) -> str:
    """Return a share in percent, with two digits that count."""
    tiny = 0 < share < 1e-5
    if share >= 0.995:
        return "100 %"
    shown = f"{100 * share:.0e}".replace("e-0", "e-") if tiny else f"{100 * share:.2g}"
    return f"{shown} %"


def normal_curve(here: Distribution, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return counts a row, and values, of a Normal with the same number, mean and spread."""
    values = np.linspace(edges[0], edges[-1], 200)
    distance = (values - here.moments.mean) / here.moments.std
    density = np.exp(-0.5 * distance**2) / (here.moments.std * np.sqrt(2 * np.pi))
    return here.finite * (edges[1] - edges[0]) * density, values


def separated(places: Sequence[float], top: float, bottom: float) -> list[float]:
    """Move labels, given from the bottom up in pixels, apart, so that none covers another."""
    free = [min(max(place, top), bottom) for place in places]
    for i in range(1, len(free)):
        free[i] = min(free[i], free[i - 1] - LABEL_HEIGHT)
    free[-1] = max(free[-1], top)
    for i in range(len(free) - 2, -1, -1):
        free[i] = max(free[i], free[i + 1] + LABEL_HEIGHT)
    return free


def _draw_scale(shapes: Shapes, left: float, limits: tuple[float, float]) -> None:
    shapes.fill_text(percent(limits[1]), left, SCALE_TOP - 5)
    shapes.fill_text(percent(limits[0]), left, SCALE_TOP + SCALE_STEP * SCALE_STEPS + 11)
    colours = palette(SEQUENTIAL[0])[np.linspace(COLORS - 1, 0, SCALE_STEPS).astype(int)]
    for i, (red, green, blue, _) in enumerate(colours.tolist()):
        shapes.fill_style = f"rgb({red}, {green}, {blue})"
        shapes.fill_rect(left, SCALE_TOP + SCALE_STEP * i, 9, SCALE_STEP)


@dataclass(frozen=True, eq=False)
class Distributions:
    """One quantity of one layer at every checkpoint; None where it has not been measured."""

    layer: str
    quantity: str
    steps: tuple[int, ...]
    columns: tuple[Distribution | None, ...]
    images: int
    """How many images the values come from; 0 for weights and biases."""
    instead_of: str = ""
    """The selected layer, where that has no such quantity."""

    @property
    def known(self) -> list[Distribution]:
        """The distributions that have been measured and hold a finite value."""
        return [each for each in self.columns if each is not None and each.finite]


@dataclass(frozen=True, eq=False)
class DistributionPicture:
    """All checkpoints on one axis of values, and the one that the clock shows."""

    data: Distributions
    index: int
    """The checkpoint of the clock."""
    edges: np.ndarray
    """Edges of the rows."""
    png: bytes
    """The heat map."""
    limits: tuple[float, float]
    """Shares at the ends of its scale of colours."""
    group: int
    """Checkpoints in one of its columns."""
    levels: np.ndarray
    """Percentiles (checkpoints, 9); NaN where nothing has been measured."""

    @property
    def here(self) -> Distribution | None:
        """The distribution at the clock's step."""
        return self.data.columns[self.index]


def layer_with(quantity: str, layer: str, layers: Sequence[str], known: set[str]) -> str:
    """Return the layer whose values are shown when ``layer`` is selected.

    The layer itself, if it has any. Else, for pre-activations the next activation that runs; for
    everything else the last layer before it.

    Raises
    ------
    InputError
        When no layer has this quantity.
    """
    if layer in known:
        return layer
    place = layers.index(layer)
    before = [name for name in layers[:place] if name in known]
    after = [name for name in layers[place:] if name in known]
    if not before and not after:
        raise InputError(f"no layer of this model has {quantity}")
    nearest = [*after[:1], *before[-1:]] if quantity == PRE_ACTIVATIONS else [*before[-1:], *after]
    return nearest[0]


def distributions_of(
    measured: Sequence[Measurement | None],
    steps: tuple[int, ...],
    layers: Sequence[str],
    layer: str,
    quantity: str,
) -> Distributions | None:
    """Return one quantity of one layer at every checkpoint; None before the first is measured."""
    first = next((each for each in measured if each is not None), None)
    if first is None:
        return None
    known = {name for name, what in first.distributions if what == quantity}
    shown = layer_with(quantity, layer, layers, known)
    columns = tuple(
        None if each is None else each.distributions.get((shown, quantity)) for each in measured
    )
    instead = "" if shown == layer else layer
    return Distributions(shown, quantity, steps, columns, first.images, instead)


def value_limits(data: Distributions, shown_range: str, index: int) -> tuple[float, float]:
    """Return the ends of the axis of values; a constant gets an axis around it."""
    here = data.columns[index]
    if shown_range == THIS_STEP and here is not None and here.finite:
        low, high = here.low, here.high
    elif shown_range == MIDDLE:
        ends = np.array([each.percentiles((0.5, 99.5)) for each in data.known])
        low, high = ends[:, 0].min(), ends[:, 1].max()
    else:
        low, high = min(d.low for d in data.known), max(d.high for d in data.known)
    if low == high:
        room = abs(low) * 0.5 or 0.5
        low, high = low - room, high + room
    return float(low), float(high)


def distribution_picture(
    data: Distributions, index: int, shown_range: str, height: int, width: int
) -> DistributionPicture:
    """Return the picture in ``height`` × ``width`` pixels, with as many rows as n is worth."""
    rows = round(math.sqrt(min(each.finite for each in data.known)))
    limits = value_limits(data, shown_range, index)
    edges = common_edges(data.known, *limits, rows=min(height, max(FEWEST_ROWS, rows)))
    columns = grouped(data.columns, width)
    found = shares(columns, edges)
    colours = log_limits(found)
    unknown = np.full(len(PERCENTILES), np.nan)
    levels = [unknown if each is None else each.percentiles() for each in data.columns]
    return DistributionPicture(
        data,
        index,
        edges,
        palette_png(paint_shares(found, colours, height, width), palette(SEQUENTIAL[0])),
        colours,
        group=-(-len(data.columns) // len(columns)),
        levels=np.array(levels),
    )
