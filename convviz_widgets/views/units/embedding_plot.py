"""The plot of an embedding: points under a canvas for pointer, keys, lasso and highlights."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from ipywidgets import HTML, Image, Layout

from convviz_widgets.state.embeddings import Frame
from convviz_widgets.tensors import rgb_png
from convviz_widgets.tensors.strokes import Points, inside, paint_points
from convviz_widgets.widgets.plot import CURVES
from convviz_widgets.widgets.raster import EMPTY_PNG, Overlay
from convviz_widgets.widgets.text import ACCENT, QUIET

REACH = 14
"""Pixels from a point within which the pointer means it."""

PRESS = 6
"""Pixels that the pointer may move in a click; more is a lasso."""

REPAINT = 0.03
"""Seconds from one picture of the lasso to the next: pointer events are not merged."""

EDGE = 0.985
"""Where points that lie outside are drawn: so far from the middle to the edge."""

OPACITY, FADED = 0.85, 0.15
"""Of points, and of those that are not among the chosen."""

RADII = (1000, 3.6), (2500, 2.7), (math.inf, 2.0)
"""Up to how many points, and how large they are, in pixels."""

GLYPHS = {"circle": "●", "square": "■", "triangle": "▲", "diamond": "◆"}
"""Shapes of points, and the same in a line of text."""

UNLABELLED: Look = (QUIET, "circle")


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

    Attributes
    ----------
    overlay
        The canvas above the points: to be clicked on, or drawn around them, in code.
    places : (n, 2)
        Where the points are on it, across and down; NaN for one that has no place.
    """

    def __init__(
        self,
        side: int,
        *,
        picked: Callable[[int], Any],
        pointed: Callable[[int | None], Any],
        surrounded: Callable[[np.ndarray], Any],
    ) -> None:
        self._side = side
        self._image = Image(value=EMPTY_PNG, format="png")
        self._picked, self._pointed, self._surrounded = picked, pointed, surrounded
        self._labels = np.zeros(0, np.int64)
        self._chosen: np.ndarray | None = None
        self.places = np.zeros((0, 2))
        self._framed = Frame(0.0, 0.0, 1.0)
        self._highlights = Highlights()
        self._hovered: int | None = None
        self._line: list[tuple[int, int]] = []
        self._pressed = False
        self._painted = 0.0
        self.overlay = Overlay(self._image)
        self.overlay.resize(side, side)
        self.overlay.on_click(self._press)
        self.overlay.on_move(self._move, self._leave)
        self.overlay.on_release(self._release)
        self.overlay.on_arrow(self._arrow)

    @property
    def png(self) -> bytes:
        """The file of the picture of the points."""
        return bytes(self._image.value)

    # -- show ---------------------------------------------------------------------------------

    def show(self, positions: np.ndarray, labels: np.ndarray, frame: Frame) -> int:
        """Send points (n, 2), NaN for none; return how many lie outside the frame."""
        middle, edge = np.array([frame.x, frame.y]), EDGE * frame.half
        self._framed = frame
        pixels = self._to_pixels(positions)
        if not (_same(pixels, self.places) and _same(labels, self._labels)):
            self.places, self._labels = pixels, labels
            self._send()
        return int((np.abs(positions - middle) > edge).any(axis=1).sum())

    def choose(self, rows: np.ndarray | None) -> None:
        """Let these points stand out against the others; None: all alike."""
        before, self._chosen = self._chosen, rows
        if not _same(before, rows):
            self._send()

    def highlight(self, highlights: Highlights) -> None:
        """Mark the selected image and where it is at the other checkpoints."""
        self._highlights = highlights
        self._paint()

    def _send(self) -> None:
        labels = self._labels
        radius = next(size for most, size in RADII if len(labels) <= most)
        self._image.value = rgb_png(paint_points(self._side, self._groups(), radius))

    def _groups(self) -> list[Points]:
        """Return the points by their looks, those that stand back first."""
        rows = rows_by_look(self._labels)
        if self._chosen is None:
            return [self._group(look, rows[look], OPACITY) for look in rows]
        return [
            self._group(look, rows[look][np.isin(rows[look], self._chosen, invert=back)], opacity)
            for back, opacity in ((True, FADED), (False, OPACITY))
            for look in rows
        ]

    def _group(self, look: Look, rows: np.ndarray, opacity: float) -> Points:
        colour, shape = look
        red, green, blue = bytes.fromhex(colour.removeprefix("#"))
        return Points(self.places[rows], (red, green, blue), shape, opacity)

    # -- the canvas above the points ----------------------------------------------------------

    def _to_pixels(self, positions: np.ndarray) -> np.ndarray:
        """Return where positions (n, 2) are drawn: across and down, those outside at the edge."""
        frame = self._framed
        low = np.array([frame.x, frame.y]) - frame.half
        share = ((positions - low) / (2 * frame.half)).clip((1 - EDGE) / 2, (1 + EDGE) / 2)
        return np.stack([share[:, 0], 1 - share[:, 1]], axis=1) * self._side

    def _paint(self) -> None:
        self._painted = perf_counter()
        self.overlay.paint(self._draw)

    def _draw(self, canvas: Any) -> None:
        side = self._side
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
        if row is None or row >= len(self.places) or not np.isfinite(self.places[row]).all():
            return None
        x, y = self.places[row]
        return float(x), float(y)

    # -- pointer and keys ---------------------------------------------------------------------

    def _nearest(self, x: float, y: float) -> int | None:
        away = np.hypot(*(self.places - [x, y]).T)
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
            self._surrounded(np.flatnonzero(inside(self.places, line)))
        self._paint()

    def _hover(self, row: int | None) -> None:
        if row != self._hovered:
            self._hovered = row
            self._paint()
            self._pointed(row)

    def _arrow(self, dx: int, dy: int) -> None:
        """Go to the nearest point within 45° of the way that the arrow points."""
        here = self._pixel(self._highlights.selected) or (self._side / 2,) * 2
        way = self.places - here  # (n, 2)
        along, across = way @ [dx, dy], np.abs(way @ [dy, dx])
        away = np.where((along > 0) & (across <= along), np.hypot(*way.T), np.inf)
        if np.isfinite(away).any():
            self._picked(int(away.argmin()))


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other, equal_nan=True)


Look = tuple[str, str]
"""Colour and shape."""


def look_of(label: int) -> Look:
    """Return the look of a class: the colours first, then the same in another shape.

    After 28 classes they begin anew. Images without a label (-1) are grey.
    """
    if label < 0:
        return UNLABELLED
    shapes = tuple(GLYPHS)
    return CURVES[label % len(CURVES)], shapes[label // len(CURVES) % len(shapes)]


def class_name(label: int, names: Sequence[str] | None) -> str:
    """Return what a class is called."""
    if label < 0:
        return "no label"
    return names[label] if names is not None and label < len(names) else f"class {label}"


def rows_by_look(labels: np.ndarray) -> dict[Look, np.ndarray]:
    """Return the rows of each look that occurs among labels (n,)."""
    found: dict[Look, list[np.ndarray]] = {}
    for label in np.unique(labels):
        found.setdefault(look_of(int(label)), []).append(np.flatnonzero(labels == label))
    return {look: np.sort(np.concatenate(rows)) for look, rows in found.items()}


class PointLegend(HTML):
    """The classes with their points, in a box of constant size that scrolls."""

    def __init__(self, width: int, height: int) -> None:
        still = Layout(width=f"{width}px", height=f"{height}px", flex="0 0 auto", margin="0")
        still.overflow = "auto"
        super().__init__(layout=still)
        self.add_class("cvw-quiet")

    def show(self, labels: np.ndarray, names: Sequence[str] | None) -> None:
        """List the classes of labels (n,), each with how many there are."""
        present, counts = np.unique(labels, return_counts=True)
        rows = zip(present.tolist(), counts.tolist(), strict=True)
        self.value = "".join(_row(*look_of(k), class_name(k, names), n) for k, n in rows)


def _row(colour: str, shape: str, name: str, count: int) -> str:
    glyph = f'<span style="color:{colour}" aria-hidden="true">{GLYPHS[shape]}</span>'
    return (
        '<div style="white-space:nowrap;line-height:17px;overflow:hidden;text-overflow:ellipsis">'
        f"{glyph} {html.escape(name)} ({count:,})</div>"
    )
