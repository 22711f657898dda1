"""Brush: which pixels of a small picture a stroke covers, and how much of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
        points
            At least one; they are joined by straight lines.
        height, width
            Of the picture, in pixels.

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
