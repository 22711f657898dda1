"""Strokes of a brush and points, as pixels of a picture; and which points a line encloses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from matplotlib.path import Path

from convviz_widgets.errors import InputError

Point = tuple[float, float]
"""Column and row, in pixels of the picture from its top left corner; 0.5, 0.5 is the middle of the
first pixel."""


@dataclass(frozen=True)
class Brush:
    """A round brush; a hard one covers whole pixels, a soft one fades towards its rim."""

    size: float
    """Diameter in pixels of the picture, 1 or more."""
    soft: bool = False

    def __post_init__(self) -> None:
        if not self.size >= 1:
            raise InputError(f"brush size {self.size}: expected 1 pixel or more")

    def coverage(self, points: list[Point], height: int, width: int) -> np.ndarray:
        """Return how much of each pixel a stroke through these points covers.

        Parameters
        ----------
        points : at least one; they are joined by straight lines.
        height, width : size of the picture, in pixels.

        Returns
        -------
        float32 ``(H, W)`` in [0, 1]; 0 where the brush does not reach, 1 under its middle.
        """
        track = points if self.soft else [_middle(point) for point in points]
        found = np.zeros((height, width), np.float32)
        for start, end in zip(track, track[1:] or track, strict=False):
            rows, columns = self._reached(start, end)
            distance = _distance(start, end, np.arange(height)[rows], np.arange(width)[columns])
            within = found[rows, columns]
            np.maximum(within, self._covered(distance), out=within)
        return found

    def _reached(self, start: Point, end: Point) -> tuple[slice, slice]:
        """Return the rows and columns outside of which a straight line covers nothing."""
        reach = self.size / 2 + 1
        columns, rows = (
            slice(max(0, int(min(pair) - reach)), max(0, int(max(pair) + reach) + 1))
            for pair in zip(start, end, strict=True)
        )
        return rows, columns

    def _covered(self, distance: np.ndarray) -> np.ndarray:
        """Return the share of each pixel at a distance (H, W) from the middle of the stroke."""
        radius = self.size / 2
        if not self.soft:
            return distance <= radius + 1e-6
        inner, outer = radius / 2, radius + 0.5
        return np.clip((outer - distance) / (outer - inner), 0, 1)


def _middle(point: Point) -> Point:
    """Return the middle of the pixel in which a point lies."""
    return np.floor(point[0]) + 0.5, np.floor(point[1]) + 0.5


def _distance(start: Point, end: Point, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return how far the middles of these pixels are from a straight line: ``(rows, columns)``."""
    right, down = end[0] - start[0], end[1] - start[1]
    from_x, from_y = columns + 0.5 - start[0], rows[:, np.newaxis] + 0.5 - start[1]
    length = right**2 + down**2
    along = np.clip((from_x * right + from_y * down) / length, 0, 1) if length else 0.0
    return np.hypot(from_x - along * right, from_y - along * down)


SHAPES = ("circle", "square", "triangle", "diamond")

SAMPLES = 8
"""Subpixels along each side of a pixel, for smooth edges."""


@dataclass(frozen=True, eq=False)
class PointGroup:
    """Points that look alike.

    Attributes
    ----------
    places : float (n, 2), across and down in pixels; those that are not finite are left out.
    colour : red, green, blue, 0 to 255.
    shape : one of `SHAPES`.
    opacity : 0 to 1, where points overlap too.
    """

    places: np.ndarray
    colour: tuple[int, int, int]
    shape: str
    opacity: float


def paint_points(side: int, groups: Sequence[PointGroup], radius: float) -> np.ndarray:
    """Return a square of points as uint8 RGBA (side, side, 4), later groups over earlier ones."""
    reach = _reach(radius)
    width = side + 2 * reach  # so that every stamp fits
    painted = np.zeros((width * width, 4), np.float32)  # colour times opacity, opacity
    for group in groups:
        cover = group.opacity * _cover(group, radius, reach, width)
        there = np.flatnonzero(cover)
        share = cover[there, None]
        above = np.append(np.array(group.colour, np.float32), 1) * share
        painted[there] = above + painted[there] * (1 - share)
    square = painted.reshape(width, width, 4)[reach:-reach, reach:-reach]
    opacity = square[..., 3:]
    colours = np.divide(
        square[..., :3], opacity, out=np.zeros_like(square[..., :3]), where=opacity > 0
    )
    return np.concatenate([colours, 255 * opacity], axis=2).round().astype(np.uint8)


def _cover(group: PointGroup, radius: float, reach: int, width: int) -> np.ndarray:
    """Return how much of each pixel some point covers, 0 to 1, (width²,)."""
    known = group.places[np.isfinite(group.places).all(axis=1)]
    column, row = np.floor(known).astype(np.int64).clip(0, width - 2 * reach - 1).T + reach
    centres = row * width + column
    cover = np.zeros(width * width, np.float32)
    stamp = _stamp(group.shape, radius)
    for down, across in np.argwhere(stamp > 0) - reach:
        at = centres + down * width + across
        cover[at] = np.maximum(cover[at], stamp[down + reach, across + reach])
    return cover


@cache
def _stamp(shape: str, radius: float) -> np.ndarray:
    """Return how much of each pixel around its centre a point covers, 0 to 1.

    All shapes have about the area of the circle.
    """
    reach = _reach(radius)
    count = 2 * reach + 1
    along = (np.arange(count * SAMPLES) + 0.5) / SAMPLES - count / 2
    x, y = along[None, :], along[:, None]
    inside = {
        "circle": x**2 + y**2 <= radius**2,
        "square": np.maximum(abs(x), abs(y)) <= 0.89 * radius,
        "triangle": (y <= radius) & (2 * abs(x) - y <= 1.5 * radius),
        "diamond": abs(x) + abs(y) <= 1.25 * radius,
    }[shape]
    return inside.reshape(count, SAMPLES, count, SAMPLES).mean(axis=(1, 3)).astype(np.float32)


def _reach(radius: float) -> int:
    """Return how many pixels beside its own a point may cover: the triangle's tip is far off."""
    return int(np.ceil(1.5 * radius))


def inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Tell which points (n, 2) lie inside the closed polygon (m, 2), by the even-odd rule.

    A point on a side may lie inside or outside. Points that are not finite lie outside, and a
    polygon of fewer than three corners holds nothing.
    """
    return Path(polygon).contains_points(points)
