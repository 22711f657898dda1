"""HistogramView: a histogram as bars, counted in torch, so that only the counts travel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from bqplot import Bars, Figure
from ipywidgets import Box, Layout, Widget

from convviz_widgets.tensors import Histogram, Limits
from convviz_widgets.widgets.plot import Plot, make_plot
from convviz_widgets.widgets.text import ACCENT
from convviz_widgets.widgets.view import View

MARGIN = {"top": 10, "bottom": 44, "left": 58, "right": 20}

TICKS = 3
"""Parts that the ticks divide an axis into."""


@dataclass(frozen=True)
class Counted:
    """A histogram with what its axes mean."""

    histogram: Histogram
    quantity: str
    """What is counted, with its unit."""
    caption: str


class HistogramView(View):
    """Show a `Histogram`; a subclass says of what.

    `counts` are the heights of its bars, `figure` is what is in the page while it is seen.
    """

    width: ClassVar[int] = 286
    frame: ClassVar[tuple[int, int]] = (284, 272)

    def build(self) -> Sequence[Widget]:
        """Return the controls and the frame that the figure will stand in."""
        self._plot: Plot | None = None
        width, height = self.frame
        size = {"width": f"{width}px", "height": f"{height}px"}
        self._frame = Box(layout=Layout(**size, flex="0 0 auto", overflow="hidden"))
        return [*self.controls(), self._frame]

    @property
    def counts(self) -> np.ndarray:
        """How many values there are in each bar that is seen.

        >>> int(cvw.WeightHistogram(state).counts.sum()) == state.weight().numel()
        True
        """
        return np.zeros(0) if self._plot is None else np.asarray(self._plot.figure.marks[0].y)

    @property
    def figure(self) -> Figure | None:
        """The figure in the page; None while the view is hidden."""
        return next(iter(self._frame.children), None)

    def draw(self, result: Counted) -> None:
        """Send positions and counts of the bars."""
        if self._plot is None:
            self._plot = self._make_plot()  # when first shown: a hidden figure has no size
        plot, histogram = self._plot, result.histogram
        ends = float(histogram.edges[0]), float(histogram.edges[-1])
        plot.show(ends, (0.0, _axis_end(int(histogram.counts.max(initial=0)))))
        (bars,) = plot.figure.marks
        with bars.hold_sync():
            bars.x, bars.y = histogram.centers, histogram.counts.astype(float)
        plot.figure.axes[0].label = result.quantity
        self.say(result.caption)
        self.reveal(self._frame, plot.figure)

    def _make_plot(self) -> Plot:
        plot = make_plot(*self.frame, "", "count", margin=MARGIN)
        across, up = plot.figure.axes
        across.tick_format, up.tick_format, up.label_offset = ".3~g", ".3~s", "44px"
        across.num_ticks = up.num_ticks = TICKS + 1
        scales = {"x": plot.x, "y": plot.y}
        plot.figure.marks = [Bars(x=np.zeros(1), y=np.zeros(1), scales=scales, colors=[ACCENT])]
        return plot


def _axis_end(count: int) -> float:
    """Return where an axis of counts ends: a little above, with whole numbers at the ticks."""
    return float(TICKS * max(1, math.ceil(1.05 * count / TICKS)))


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
