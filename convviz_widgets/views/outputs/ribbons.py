"""Ribbons: the probabilities of a few classes over the checkpoints, stacked."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from bqplot import Lines
from ipywidgets import HTML, Layout

from convviz_widgets.widgets.plot import (
    CURVES,
    Plot,
    PointedPlot,
    as_lines,
    checkpoint_at,
    draw_line,
    make_plot,
    mark_steps,
    mark_values,
    span,
)
from convviz_widgets.widgets.text import ACCENT

MARGIN = {"top": 8, "bottom": 40, "left": 50, "right": 14}

MOST = 6
"""Classes that have a ribbon: they can be told apart, and their names fit."""


@dataclass(frozen=True, eq=False)
class Ribbons:
    """Probabilities of some classes at every checkpoint.

    Attributes
    ----------
    steps : of the checkpoints (T).
    names : of the classes, the lowest ribbon first.
    shares : (classes, T); NaN where they are not known.
    truth : which of them is the true class; None: none, or it is not known.
    index : the checkpoint of the clock.
    """

    steps: tuple[int, ...]
    names: tuple[str, ...]
    shares: np.ndarray
    truth: int | None
    index: int

    def looks_like(self, other: Ribbons) -> bool:
        """Tell whether the picture is the same, wherever the clock is."""
        mine, theirs = ((ribbons.steps, ribbons.names, ribbons.truth) for ribbons in (self, other))
        return mine == theirs and np.array_equal(self.shares, other.shares, equal_nan=True)

    @property
    def colours(self) -> list[str]:
        """Colour of each class: the accent for the true one."""
        plain = iter(CURVES)
        return [ACCENT if i == self.truth else next(plain) for i in range(len(self.names))]

    @property
    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Checkpoints that are known, and the upper edges there, down to zero: (classes + 1, t)."""
        known = np.isfinite(self.shares).all(axis=0)
        stacked = np.cumsum(self.shares[:, known], axis=0)[::-1]
        return np.flatnonzero(known).astype(float), np.vstack([stacked, np.zeros(known.sum())])

    def at(self, index: int, height: float) -> str:
        """Say what lies at a checkpoint and a probability from 0 to 1, counted from below."""
        step, shares = f"step {self.steps[index]:,}", self.shares[:, index]
        if not np.isfinite(shares).all():
            return f"{step}: not known"
        place = int(np.searchsorted(np.cumsum(shares), height))
        if place == len(shares):
            return f"{step} · all other classes {max(0.0, 1 - shares.sum()):.1%}"
        return f"{step} · {self.names[place]} {shares[place]:.1%}"


def chosen_classes(shares: np.ndarray, always: Sequence[int]) -> list[int]:
    """Return the classes that get a ribbon: those asked for, then the most probable on average.

    Parameters
    ----------
    shares : (K, T), NaN where not known.
    always : classes to be among them, the first ones first.
    """
    known = shares[:, np.isfinite(shares).all(axis=0)]
    order = np.argsort(-known.mean(axis=1), kind="stable") if known.size else range(len(shares))
    return list(dict.fromkeys([*always, *map(int, order)]))[:MOST]


class RibbonPlot(PointedPlot):
    """The plot of some `Ribbons`, with a cursor at the clock, and the names of their colours.

    Parameters
    ----------
    width, height
        Of the whole plot in pixels.
    picked
        Called with the checkpoint that is clicked.
    pointed
        Called with what is under the pointer, in words.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        picked: Callable[[int], Any],
        pointed: Callable[[str], Any],
    ) -> None:
        super().__init__(make_plot(width, height, "step", "probability", margin=MARGIN), pointed)
        self.plot.figure.axes[1].label_offset = "38px"
        self._areas = Lines(
            x=np.zeros(1),
            y=np.zeros((2, 1)),
            fill="between",
            scales={"x": self.plot.x, "y": self.plot.y},
            stroke_width=1,
        )
        self.plot.figure.marks = [self._areas]
        self._ribbons: Ribbons | None = None
        self._picked = picked

    def show(self, ribbons: Ribbons) -> None:
        """Send the cursor, and the ribbons if they are other ones."""
        before, self._ribbons = self._ribbons, ribbons
        if before is None or not ribbons.looks_like(before):
            self._show_areas(ribbons)
        self.overlay.paint(partial(_draw_cursor, plot=self.plot, index=ribbons.index))

    def _show_areas(self, ribbons: Ribbons) -> None:
        self.plot.show(span(len(ribbons.steps)), (0.0, 1.0))
        mark_steps(self.plot, ribbons.steps)
        mark_values(self.plot)
        x, edges = ribbons.edges
        with self._areas.hold_sync():
            self._areas.visible = bool(x.size)
            if x.size:
                colours = ribbons.colours[::-1]
                self._areas.x, self._areas.y = as_lines(x, edges)
                self._areas.colors = [*colours, colours[-1]]
                self._areas.fill_colors = [*colours, "transparent"]
                self._areas.fill_opacities = [0.75] * len(colours) + [0.0]

    def pick_at(self, x: int, y: int) -> None:
        """Pick the checkpoint at a pixel."""
        if self._ribbons is not None:
            self._picked(checkpoint_at(self.plot, x, len(self._ribbons.steps)))

    def words_at(self, x: int, y: int) -> str | None:
        """Say which class lies at a pixel, and how probable it is; None while there is none."""
        if self._ribbons is None:
            return None
        top, bottom = self.plot.top_and_bottom
        index = checkpoint_at(self.plot, x, len(self._ribbons.steps))
        return self._ribbons.at(index, (bottom - y) / (bottom - top))


def _draw_cursor(canvas: Any, plot: Plot, index: int) -> None:
    """Draw the line with a light edge, so that it shows on a ribbon of its colour, too."""
    x = plot.to_pixel(index)
    if x is not None:
        top, bottom = plot.top_and_bottom
        canvas.stroke_style, canvas.line_width = "#ffffff", 5
        canvas.stroke_line(x, top, x, bottom)
    draw_line(canvas, plot, index)


class RibbonNames(HTML):
    """The names of the ribbons beside their colours, in two lines of constant height."""

    def __init__(self) -> None:
        super().__init__(layout=Layout(height="42px", flex="0 0 auto", overflow="hidden"))

    def show(self, ribbons: Ribbons) -> None:
        """Write them, escaped."""
        self.value = '<div style="display:flex;flex-wrap:wrap;gap:0 14px">' + "".join(
            f'<span style="font-size:12px;line-height:20px;white-space:nowrap;max-width:170px;'
            f'overflow:hidden;text-overflow:ellipsis;color:var(--jp-ui-font-color1,#222)">'
            f'<span style="color:{colour}">■</span> {html.escape(name)}'
            f"{' ✓' if place == ribbons.truth else ''}</span>"
            for place, (name, colour) in enumerate(zip(ribbons.names, ribbons.colours, strict=True))
        )
