"""The plot of an embedding: points under a canvas for pointer, keys, lasso and highlights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
from ipywidgets import HTML, Image, Layout

from convviz_widgets.images import ImageSet
from convviz_widgets.state.embeddings import Embedding, Viewport
from convviz_widgets.tensors import rgb_png
from convviz_widgets.tensors.strokes import PointGroup, inside, paint_points
from convviz_widgets.widgets.drawing import DrawingOverlay
from convviz_widgets.widgets.plot import CURVES
from convviz_widgets.widgets.raster import EMPTY_PNG
from convviz_widgets.widgets.text import ACCENT, QUIET, escaped
from convviz_widgets.widgets.thumbnails import class_name

REACH = 14
"""Pixels from a point within which the pointer means it."""

PRESS = 6
"""Pixels that the pointer may move in a click; more is a lasso."""

REPAINT = 0.03
"""Seconds from one picture of the lasso to the next: pointer events are not merged."""


class EmbeddingPlot:
    """Images as points in a square of constant size; what lies beyond it stands at its edge.

    Parameters
    ----------
    side
        Side of the square, in pixels.
    picked
        Called with the image whose point is clicked, or that an arrow key leads to.
    pointed
        Called with the image under the pointer, or None, when that changes.
    surrounded
        Called with the images inside the line that has been drawn.

    Attributes
    ----------
    overlay
        The canvas above the points: to be clicked on, or drawn around them, in code.
    """

    def __init__(
        self,
        side: int,
        *,
        picked: Callable[[int], Any],
        pointed: Callable[[int | None], Any],
        surrounded: Callable[[list[int]], Any],
    ) -> None:
        self._image = Image(value=EMPTY_PNG, format="png")
        self._picked, self._pointed, self._surrounded = picked, pointed, surrounded
        self._frame = Viewport(0.0, 0.0, 1.0)
        self._points = PlottedPoints(side)
        self._chosen: tuple[int, ...] = ()
        self._selected: int | None = None
        self._trail = np.zeros((0, 2))
        self._hovered: int | None = None
        self._line: list[tuple[int, int]] = []
        self._pressed = False
        self._painted = 0.0
        self.overlay = DrawingOverlay(self._image)
        self.overlay.resize(side, side)
        self.overlay.on_click(self._press)
        self.overlay.on_move(self._move, self._leave)
        self.overlay.on_release(self._release)
        self.overlay.on_arrow(self._arrow)

    @property
    def png(self) -> bytes:
        """The file of the picture of the points."""
        return bytes(self._image.value)

    @property
    def places(self) -> np.ndarray:
        """Where the points are, (n, 2): across and down; NaN for one that has no place."""
        return self._points.places

    # -- show ---------------------------------------------------------------------------------

    def show(self, found: Embedding) -> int:
        """Send the points; return how many lie outside the frame."""
        frame = self._frame = found.frame
        places = to_pixels(found.positions, frame, self._points.side)
        points = PlottedPoints(self._points.side, found.images, found.labels, places)
        if not points.look_like(self._points):
            self._points = points
            self._image.value = self._points.png(self._chosen)
        away = np.abs(found.positions - [frame.x, frame.y])
        return int((away > EDGE * frame.half).any(axis=1).sum())

    def choose(self, images: Sequence[int]) -> None:
        """Let the points of these images stand out against the others; of none: all alike."""
        before, self._chosen = self._chosen, tuple(images)
        if self._chosen != before:
            self._image.value = self._points.png(self._chosen)

    def highlight(self, selected: int, trail: np.ndarray) -> None:
        """Mark the selected image and its way: (k, 2), where it is at the other checkpoints."""
        self._selected, self._trail = selected, trail
        self._paint()

    def _paint(self) -> None:
        self._painted = perf_counter()
        self.overlay.paint(self._draw)

    def _draw(self, canvas: Any) -> None:
        side = self._points.side
        canvas.line_width, canvas.stroke_style = 1, QUIET
        canvas.stroke_rect(0.5, 0.5, side - 1, side - 1)
        canvas.stroke_style = canvas.fill_style = ACCENT
        if len(self._trail) > 1:
            canvas.stroke_lines(to_pixels(self._trail, self._frame, side))
        selected, hovered = map(self._points.point_of, (self._selected, self._hovered))
        if selected is not None:
            canvas.line_width = 3
            canvas.stroke_circle(*selected, 8)
        if hovered is not None:
            canvas.line_width, canvas.stroke_style = 2, QUIET
            canvas.stroke_circle(*hovered, 8)
        if len(self._line) > 1:
            canvas.line_width, canvas.stroke_style = 2, ACCENT
            canvas.stroke_lines([*self._line, self._line[0]])

    # -- pointer and keys ---------------------------------------------------------------------

    def _press(self, x: int, y: int) -> None:
        self._pressed, self._line = True, [(x, y)]

    def _move(self, x: int, y: int) -> None:
        if self._pressed:
            self._line.append((x, y))
            if perf_counter() - self._painted > REPAINT:
                self._paint()
        else:
            self._hover(self._points.nearest(x, y))

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
            nearest = self._points.nearest(*line[0])
            if nearest is not None:
                self._picked(nearest)
        else:
            self._surrounded(self._points.inside(line))
        self._paint()

    def _hover(self, image: int | None) -> None:
        if image != self._hovered:
            self._hovered = image
            self._paint()
            self._pointed(image)

    def _arrow(self, dx: int, dy: int) -> None:
        following = self._points.towards(dx, dy, self._selected)
        if following is not None:
            self._picked(following)


OPACITY, FADED = 0.85, 0.15
"""Opacity of points, and of those that are not among the chosen."""

RADII = (1000, 3.6), (2500, 2.7), (math.inf, 2.0)
"""Radius of the points in pixels, up to so many of them."""

EDGE = 0.985
"""Points that lie outside are drawn this far from the middle to the edge."""


def to_pixels(positions: np.ndarray, frame: Viewport, side: int) -> np.ndarray:
    """Return where positions (n, 2) are drawn: across and down, those outside at the edge."""
    low = np.array([frame.x, frame.y]) - frame.half
    share = ((positions - low) / (2 * frame.half)).clip((1 - EDGE) / 2, (1 + EDGE) / 2)
    return np.stack([share[:, 0], 1 - share[:, 1]], axis=1) * side


@dataclass(frozen=True, eq=False)
class PlottedPoints:
    """Images as points of a square.

    Attributes
    ----------
    side : side of the square, in pixels.
    images, labels : the number of each image, and its class; -1 without one.
    places : (n, 2), across and down; NaN for one that has no place.
    """

    side: int
    images: tuple[int, ...] = ()
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    places: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))

    def look_like(self, other: PlottedPoints) -> bool:
        """Tell whether the picture of other points is the same."""
        return (
            self.images == other.images
            and np.array_equal(self.labels, other.labels)
            and np.array_equal(self.places, other.places, equal_nan=True)
        )

    def png(self, chosen: Sequence[int]) -> bytes:
        """Return the file of the picture; the chosen images stand out, if there are some."""
        radius = next(size for most, size in RADII if len(self.images) <= most)
        return rgb_png(paint_points(self.side, self._groups(chosen), radius))

    def _groups(self, chosen: Sequence[int]) -> list[PointGroup]:
        """Return the points by their markers, those that stand back first."""
        stands_out = np.isin(self.images, chosen) if chosen else np.ones(len(self.images), bool)
        return [
            _alike(marker, self.places[alike], opacity)
            for is_chosen, opacity in ((False, FADED), (True, OPACITY))
            for marker, rows in rows_by_marker(self.labels).items()
            if len(alike := rows[stands_out[rows] == is_chosen])
        ]

    def point_of(self, image: int | None) -> tuple[float, float] | None:
        """Return where an image is; None for one that is not on the plot."""
        if image is None or image not in self.images:
            return None
        x, y = self.places[self.images.index(image)]
        return (float(x), float(y)) if math.isfinite(x + y) else None

    def nearest(self, x: float, y: float) -> int | None:
        """Return the image that a pixel means."""
        away = np.hypot(*(self.places - [x, y]).T)
        if not np.isfinite(away).any():
            return None
        row = int(np.nanargmin(away))
        return self.images[row] if away[row] <= REACH else None

    def towards(self, dx: int, dy: int, image: int | None) -> int | None:
        """Return the image nearest to another one, within 45° of the way that an arrow points."""
        here = self.point_of(image) or (self.side / 2,) * 2
        way = self.places - here  # (n, 2)
        along, across = way @ [dx, dy], np.abs(way @ [dy, dx])
        away = np.where((along > 0) & (across <= along), np.hypot(*way.T), np.inf)
        return self.images[int(away.argmin())] if np.isfinite(away).any() else None

    def inside(self, line: np.ndarray) -> list[int]:
        """Return the images inside a closed line (k, 2)."""
        return [self.images[row] for row in np.flatnonzero(inside(self.places, line))]


Marker = tuple[str, str]
"""Colour and shape of a point."""

GLYPHS = {"circle": "●", "square": "■", "triangle": "▲", "diamond": "◆"}
"""Shapes of points, and the same in a line of text."""


def marker_of(label: int) -> Marker:
    """Return the marker of a class: the colours first, then the same in another shape.

    After 28 classes they begin anew. Images without a label (-1) are grey.
    """
    if label < 0:
        return QUIET, "circle"
    shapes = tuple(GLYPHS)
    return CURVES[label % len(CURVES)], shapes[label // len(CURVES) % len(shapes)]


def rows_by_marker(labels: np.ndarray) -> dict[Marker, np.ndarray]:
    """Return the rows of each marker that occurs among labels (n,)."""
    found: dict[Marker, list[np.ndarray]] = {}
    for label in np.unique(labels):
        found.setdefault(marker_of(int(label)), []).append(np.flatnonzero(labels == label))
    return {marker: np.sort(np.concatenate(rows)) for marker, rows in found.items()}


def _alike(marker: Marker, places: np.ndarray, opacity: float) -> PointGroup:
    colour, shape = marker
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return PointGroup(places, (red, green, blue), shape, opacity)


def label_name(images: ImageSet, label: int) -> str:
    """Return what the class of a label is called; -1 is no label."""
    return "no label" if label < 0 else class_name(images, label)


class PointLegend(HTML):
    """The classes with their points, in a box of constant size that scrolls."""

    def __init__(self, width: int, height: int) -> None:
        still = Layout(width=f"{width}px", height=f"{height}px", flex="0 0 auto", margin="0")
        still.overflow = "auto"
        super().__init__(layout=still)
        self.add_class("cvw-quiet")

    def show(self, labels: np.ndarray, images: ImageSet) -> None:
        """List the classes of labels (n,), each with how many there are."""
        present, counts = np.unique(labels, return_counts=True)
        rows = zip(present.tolist(), counts.tolist(), strict=True)
        self.value = "".join(_row(*marker_of(k), label_name(images, k), n) for k, n in rows)


def _row(colour: str, shape: str, name: str, count: int) -> str:
    glyph = f'<span style="color:{colour}" aria-hidden="true">{GLYPHS[shape]}</span>'
    return (
        '<div style="white-space:nowrap;line-height:17px;overflow:hidden;text-overflow:ellipsis">'
        f"{glyph} {escaped(name)} ({count:,})</div>"
    )
