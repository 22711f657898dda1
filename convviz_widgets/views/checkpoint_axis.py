"""The axis of checkpoints: one place for each, evenly spaced, labelled with the steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convviz_widgets.views.plot import Plot
from convviz_widgets.views.text import ACCENT
from convviz_widgets.views.ticks import label_ticks, whole_numbers

DASH = 0.3
"""Half the width of the curve of a single checkpoint, in places."""

NARROW = 8
"""Pixels of a place below which a frame would cover what it frames."""


def mark_steps(plot: Plot, steps: Sequence[int]) -> None:
    """Label the axis across with the steps of some of the checkpoints.

    Where the checkpoints are not evenly spaced in training, it says that they are here.
    """
    axis = plot.figure.axes[0]
    axis.label = axis_label(steps)
    indices = whole_numbers(0, len(steps) - 1)
    labels = {str(index): f"{steps[index]:,}" for index in indices}
    label_ticks(axis, indices, labels)


def axis_label(steps: Sequence[int]) -> str:
    """Return what the axis measures, in words.

    The last checkpoint may come early: a training ends where it ends.

    >>> axis_label([0, 100, 200, 230])
    'step'
    >>> axis_label([0, 1, 10, 100])
    'step (not to scale)'
    """
    gaps = np.diff(steps)
    is_even = (gaps[:-1] == gaps[:1]).all() and (gaps[-1:] <= gaps[:1]).all()
    return "step" if is_even else "step (not to scale)"


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


def checkpoint_at(plot: Plot, pixel: int, count: int) -> int:
    """Return the checkpoint whose place a pixel lies in, or the nearest one."""
    return min(count - 1, max(0, round(plot.to_value(pixel))))


def draw_frame(canvas: Any, plot: Plot, index: int) -> None:
    """Draw a frame around the place of a checkpoint, a line where the place is narrow."""
    low, high = plot.to_pixel(index - 0.5), plot.to_pixel(index + 0.5)
    if low is None or high is None or high - low < NARROW:
        draw_line(canvas, plot, index)
        return
    top, bottom = plot.top_and_bottom
    canvas.stroke_style, canvas.line_width = ACCENT, 2
    canvas.stroke_rect(low, top, high - low, bottom - top)


def draw_line(canvas: Any, plot: Plot, index: int) -> None:
    """Draw a line through the place of a checkpoint, or of anything else on the axis."""
    x = plot.to_pixel(index)
    if x is not None:
        top, bottom = plot.top_and_bottom
        canvas.stroke_style, canvas.line_width = ACCENT, 2
        canvas.stroke_line(x, top, x, bottom)
