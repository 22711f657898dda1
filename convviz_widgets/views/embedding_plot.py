"""The plot of an embedding: points under a canvas for pointer, keys, lasso and highlights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from bqplot import Scatter

from convviz_widgets.state.embedding import Frame
from convviz_widgets.tensors.polygon import inside
from convviz_widgets.views.plot import make_plot
from convviz_widgets.views.point_looks import Look, rows_by_look
from convviz_widgets.views.raster import Overlay
from convviz_widgets.views.text import ACCENT, QUIET

MARGIN = {"top": 6, "bottom": 6, "left": 6, "right": 6}

REACH = 14
"""Pixels from a point within which the pointer means it."""

PRESS = 6
"""Pixels that the pointer may move in a click; more is a lasso."""

REPAINT = 0.03
"""Seconds from one picture of the lasso to the next: pointer events are not merged."""

EDGE = 0.985
"""Where points that lie outside are drawn: so far from the middle to the edge."""

FADED = 0.12
"""Opacity of points that are not among the chosen."""

SIZES = (1000, 40), (2500, 22), (math.inf, 12)
"""Up to how many points, and their area in pixels."""


@dataclass(frozen=True, eq=False)
class Highlights:
    """What the canvas shows above the points, in rows of the embedding."""

    selected: int | None = None
    trail: np.ndarray | None = None
    """(k, 2), where the selected image is at all checkpoints that are known."""


class EmbeddingPlot:
    """Points in a square of constant size; what lies beyond it stands at its edge.

    Parameters
    ----------
    side
        Of the square, in pixels.
    picked
        Called with the row of the point that is clicked, or that an arrow key leads to.
    pointed
        Called with the row of the point under the pointer, or None, when that changes.
    surrounded
        Called with the rows inside the line that has been drawn.
    """

    def __init__(
        self,
        side: int,
        *,
        picked: Callable[[int], Any],
        pointed: Callable[[int | None], Any],
        surrounded: Callable[[np.ndarray], Any],
    ) -> None:
        self._plot = make_plot(side, side, "", "", margin=MARGIN)
        self._plot.figure.axes = []  # the axes have neither unit nor meaning of their own
        self._picked, self._pointed, self._surrounded = picked, pointed, surrounded
        self._marks: dict[Look, Scatter] = {}
        self._rows: dict[Look, np.ndarray] = {}
        self._shown = np.zeros((0, 2)), np.zeros(0, np.int64)  # positions, labels
        self._pixels = np.zeros((0, 2))
        self._framed = Frame(0.0, 0.0, 1.0)
        self._highlights = Highlights()
        self._hovered: int | None = None
        self._line: list[tuple[int, int]] = []
        self._pressed = False
        self._painted = 0.0
        self.overlay = Overlay(self._plot.figure)
        self.overlay.resize(side, side)
        self.overlay.on_click(self._press)
        self.overlay.on_move(self._move, self._leave)
        self.overlay.on_release(self._release)
        self.overlay.on_arrow(self._arrow)

    # -- show ---------------------------------------------------------------------------------

    def show(self, positions: np.ndarray, labels: np.ndarray, frame: Frame) -> int:
        """Send points (n, 2), NaN for none; return how many lie outside the frame."""
        middle, edge = np.array([frame.x, frame.y]), EDGE * frame.half
        drawn = np.clip(positions, middle - edge, middle + edge)
        ends = tuple((at - frame.half, at + frame.half) for at in (frame.x, frame.y))
        if frame != self._framed:
            self._framed = frame
            self._plot.show(*ends)
        if not _equal(self._shown, shown := (drawn, labels)):
            self._send(drawn, labels)
            self._pixels = self._to_pixels(drawn)
            self._shown = shown
        return int((np.abs(positions - middle) > edge).any(axis=1).sum())

    def choose(self, rows: np.ndarray | None) -> None:
        """Let these points stand out against the others; None: all alike."""
        for look, mark in self._marks.items():
            chosen = None if rows is None else np.flatnonzero(np.isin(self._rows[look], rows))
            unlike = {} if rows is None else {"opacity": str(FADED)}
            with mark.hold_sync():
                mark.unselected_style = unlike
                # An empty list would count as none being chosen, and all would stand out.
                mark.selected = None if chosen is None else (chosen if len(chosen) else [10**9])

    def highlight(self, highlights: Highlights) -> None:
        """Mark the selected image and where it is at the other checkpoints."""
        self._highlights = highlights
        self._paint()

    def _send(self, drawn: np.ndarray, labels: np.ndarray) -> None:
        there = np.flatnonzero(np.isfinite(drawn).all(axis=1))
        self._rows = {look: there[rows] for look, rows in rows_by_look(labels[there]).items()}
        size = next(area for most, area in SIZES if len(labels) <= most)
        if self._marks.keys() != self._rows.keys():
            before = list(self._marks.values())
            self._marks = {look: self._mark(look) for look in self._rows}
            self._plot.figure.marks = list(self._marks.values())
            for mark in before:
                mark.close()
        for look, mark in self._marks.items():
            points = drawn[self._rows[look]]
            # A single one would lose its axis on the way.
            x, y = points.T if len(points) > 1 else points.repeat(2, axis=0).T
            with mark.hold_sync():
                mark.x, mark.y, mark.default_size = x, y, size

    def _mark(self, look: Look) -> Scatter:
        colour, shape = look
        return Scatter(
            x=np.zeros(1),
            y=np.zeros(1),
            scales={"x": self._plot.x, "y": self._plot.y},
            colors=[colour],
            marker=shape,
            stroke_width=0,
            opacities=[0.85],
        )

    # -- the canvas above the points ----------------------------------------------------------

    def _to_pixels(self, positions: np.ndarray) -> np.ndarray:
        top, bottom = self._plot.top_and_bottom
        left, frame = self._plot.margin["left"], self._framed
        low = np.array([frame.x, frame.y]) - frame.half
        share = ((positions - low) / (2 * frame.half)).clip((1 - EDGE) / 2, (1 + EDGE) / 2)
        across = left + share[:, 0] * self._plot.columns
        return np.stack([across, bottom - share[:, 1] * (bottom - top)], axis=1)

    def _paint(self) -> None:
        self._painted = perf_counter()
        self.overlay.paint(self._draw)

    def _draw(self, canvas: Any) -> None:
        side = self._plot.width
        canvas.line_width, canvas.stroke_style = 1, QUIET
        canvas.stroke_rect(0.5, 0.5, side - 1, side - 1)
        canvas.stroke_style = canvas.fill_style = ACCENT
        trail = self._highlights.trail
        if trail is not None and len(trail) > 1:
            canvas.stroke_lines(self._to_pixels(trail))
        selected = self._pixel(self._highlights.selected)
        if selected is not None:
            canvas.line_width = 3
            canvas.stroke_circle(*selected, 8)
        hovered = self._pixel(self._hovered)
        if hovered is not None:
            canvas.line_width, canvas.stroke_style = 2, QUIET
            canvas.stroke_circle(*hovered, 8)
        if len(self._line) > 1:
            canvas.line_width, canvas.stroke_style = 2, ACCENT
            canvas.stroke_lines([*self._line, self._line[0]])

    def _pixel(self, row: int | None) -> tuple[float, float] | None:
        if row is None or row >= len(self._pixels) or not np.isfinite(self._pixels[row]).all():
            return None
        x, y = self._pixels[row]
        return float(x), float(y)

    # -- pointer and keys ---------------------------------------------------------------------

    def _nearest(self, x: float, y: float) -> int | None:
        away = np.hypot(*(self._pixels - [x, y]).T)
        if not np.isfinite(away).any():
            return None
        nearest = int(np.nanargmin(away))
        return nearest if away[nearest] <= REACH else None

    def _press(self, x: int, y: int) -> None:
        self._pressed, self._line = True, [(x, y)]

    def _move(self, x: int, y: int) -> None:
        if self._pressed:
            self._line.append((x, y))
            if perf_counter() - self._painted > REPAINT:
                self._paint()
        else:
            self._hover(self._nearest(x, y))

    def _leave(self) -> None:
        if self._pressed:
            self._finish()
        self._hover(None)

    def _release(self, x: int, y: int) -> None:
        if self._pressed:
            self._line.append((x, y))
            self._finish()

    def _finish(self) -> None:
        line, self._line, self._pressed = np.array(self._line), [], False
        if np.ptp(line, axis=0).max() <= PRESS:
            nearest = self._nearest(*line[0])
            if nearest is not None:
                self._picked(nearest)
        else:
            self._surrounded(np.flatnonzero(inside(self._pixels, line)))
        self._paint()

    def _hover(self, row: int | None) -> None:
        if row != self._hovered:
            self._hovered = row
            self._paint()
            self._pointed(row)

    def _arrow(self, dx: int, dy: int) -> None:
        """Go to the nearest point within 45° of the way that the arrow points."""
        here = self._pixel(self._highlights.selected) or (self._plot.width / 2,) * 2
        way = self._pixels - here  # (n, 2)
        along, across = way @ [dx, dy], np.abs(way @ [dy, dx])
        away = np.where((along > 0) & (across <= along), np.hypot(*way.T), np.inf)
        if np.isfinite(away).any():
            self._picked(int(away.argmin()))


def _equal(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))
