"""A histogram as bars: counted in torch, so that only the counts travel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from bqplot import Axis, Bars, Figure, LinearScale
from ipywidgets import Box, Layout, Widget

from convviz_widgets.state import Selection
from convviz_widgets.tensors import Histogram, Limits
from convviz_widgets.views.base import View
from convviz_widgets.views.text import ACCENT


@dataclass(frozen=True)
class Counted:
    """A histogram with what its axes mean."""

    histogram: Histogram
    quantity: str
    """What is counted, with its unit."""
    caption: str


class HistogramView(View):
    """Show a `Histogram`; a subclass says of what."""

    frame: ClassVar[tuple[int, int]] = (292, 284)

    def count(self, selection: Selection) -> Counted:
        """Return the histogram."""
        raise NotImplementedError

    def controls(self) -> Sequence[Widget]:
        """Return the row of controls for the view's options."""
        return ()

    def build(self) -> Sequence[Widget]:
        """Return the controls and the frame that the figure will stand in."""
        self._bars: Bars | None = None
        width, height = self.frame
        size = {"width": f"{width}px", "height": f"{height}px"}
        self._frame = Box(layout=Layout(**size, flex="0 0 auto", overflow="hidden"))
        return [*self.controls(), self._frame]

    def compute(self, selection: Selection) -> Counted:
        """Return what is to be drawn."""
        return self.count(selection)

    def draw(self, result: Counted) -> None:
        """Send positions and counts of the bars."""
        if self._bars is None:
            self._make_figure()  # when first shown: a hidden figure is never measured right
        assert self._bars is not None
        edges, counts = result.histogram.edges, result.histogram.counts
        low, high = float(edges[0]), float(edges[-1])
        with self._x.hold_sync():
            self._x.min, self._x.max = low, high
        with self._y.hold_sync():
            self._y.min, self._y.max = 0.0, float(max(1, counts.max(initial=0))) * 1.05
        with self._bars.hold_sync():
            self._bars.x = (edges[:-1] + edges[1:]) / 2
            self._bars.y = counts.astype(float)
        self._x_axis.label = result.quantity
        self.say(result.caption)

    def _make_figure(self) -> None:
        self._x, self._y = LinearScale(allow_padding=False), LinearScale(min=0.0)
        self._bars = Bars(
            x=np.zeros(1),
            y=np.zeros(1),
            scales={"x": self._x, "y": self._y},
            colors=[ACCENT],
            padding=0.05,
        )
        self._x_axis = Axis(scale=self._x, num_ticks=4, label_offset="32px", grid_lines="none")
        y_axis = Axis(
            scale=self._y,
            side="left",
            label="count",
            num_ticks=4,
            label_offset="46px",
            tick_format="~s",
            grid_lines="none",
        )
        self._frame.children = [self._figure([self._x_axis, y_axis])]

    def _figure(self, axes: list[Any]) -> Figure:
        width, height = self.frame
        return Figure(
            marks=[self._bars],
            axes=axes,
            animation_duration=0,
            fig_margin={"top": 10, "bottom": 44, "left": 62, "right": 14},
            background_style={"fill": "transparent"},
            padding_x=0.0,
            padding_y=0.0,
            layout=Layout(width=f"{width}px", height=f"{height}px", min_width="0"),
        )


def widened(limits: Limits) -> Limits:
    """Return limits that have a width, for the axis of values that are all the same."""
    if not limits.constant:
        return limits
    margin = abs(limits.low) * 0.5 or 0.5
    return Limits(limits.low - margin, limits.high + margin)


def non_finite(counted: Histogram) -> str:
    """Say how many values are NaN or infinite, if any."""
    count = counted.nan + counted.positive_inf + counted.negative_inf
    return f" · {count:,} NaN or infinite, not drawn" if count else ""
