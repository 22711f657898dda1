"""A histogram as bars: counted in torch, so that only the counts travel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from bqplot import Axis, Bars, Figure, LinearScale
from ipywidgets import Box, Layout, Widget

from convviz_widgets.state import Selection
from convviz_widgets.tensors import Histogram, Limits
from convviz_widgets.widgets.text import ACCENT, QUIET
from convviz_widgets.widgets.view import View, close_tree

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

    @property
    def counts(self) -> np.ndarray:
        """How many values there are in each bar that is seen.

        >>> int(cvw.WeightHistogram(state).counts.sum()) == state.weight().numel()
        True
        """
        return np.zeros(0) if self._bars is None else np.asarray(self._bars.y)

    @property
    def figure(self) -> Figure | None:
        """The figure in the page; None while the view is hidden."""
        return next(iter(self._frame.children), None)

    def compute(self, selection: Selection) -> Counted:
        """Return what is to be drawn."""
        return self.count(selection)

    def draw(self, result: Counted) -> None:
        """Send positions and counts of the bars."""
        if self._bars is None:
            self._make_figure()  # when first shown: a hidden figure is never measured right
        assert self._bars is not None
        histogram = result.histogram
        with self._x.hold_sync():
            self._x.min, self._x.max = float(histogram.edges[0]), float(histogram.edges[-1])
        self._y.max = _axis_end(int(histogram.counts.max(initial=0)))
        with self._bars.hold_sync():
            self._bars.x, self._bars.y = histogram.centers, histogram.counts.astype(float)
        self._x_axis.label = result.quantity
        self.say(result.caption)
        self._place_figure()

    def close(self) -> None:
        """Close the figure as well, which is not below the view while it is hidden."""
        if getattr(self, "_bars", None) is not None:  # a view that was refused has none
            close_tree(self._figure)
        super().close()

    def _shown(self, change: Any) -> None:
        super()._shown(change)
        self._place_figure()

    def _place_figure(self) -> None:
        """Keep the figure in its frame only while the view is visible.

        In a hidden tab a figure has no size; one that is made there, when the page is reloaded,
        stays blank for ever.
        """
        placed = () if self._bars is None or not self.visible else (self._figure,)
        if self._frame.children != placed:
            self._frame.children = placed

    def _make_figure(self) -> None:
        self._x, self._y = LinearScale(allow_padding=False), LinearScale(min=0.0)
        scales = {"x": self._x, "y": self._y}
        self._bars = Bars(x=np.zeros(1), y=np.zeros(1), scales=scales, colors=[ACCENT])
        line = {"num_ticks": TICKS + 1, "grid_lines": "none", "label_color": QUIET}
        self._x_axis = Axis(scale=self._x, tick_format=".3~g", label_offset="32px", **line)
        y_axis = Axis(
            scale=self._y,
            side="left",
            label="count",
            tick_format=".3~s",
            label_offset="44px",
            **line,
        )
        width, height = self.frame
        self._figure = Figure(
            marks=[self._bars],
            axes=[self._x_axis, y_axis],
            animation_duration=0,
            fig_margin={"top": 10, "bottom": 44, "left": 58, "right": 20},
            background_style={"fill": "transparent"},
            padding_x=0.0,
            padding_y=0.0,
            layout=Layout(width=f"{width}px", height=f"{height}px", min_width="0"),
        )


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
