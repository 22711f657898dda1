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
            np.maximum(found, self._covered(_distance(start, end, height, width)), out=found)
        return found

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


def _distance(start: Point, end: Point, height: int, width: int) -> np.ndarray:
    """Return how far the middle of each pixel is from a straight line: float64 ``(H, W)``."""
    rows, columns = np.ogrid[:height, :width]
    right, down = end[0] - start[0], end[1] - start[1]
    from_x, from_y = columns + 0.5 - start[0], rows + 0.5 - start[1]
    length = right**2 + down**2
    along = np.clip((from_x * right + from_y * down) / length, 0, 1) if length else 0.0
    return np.hypot(from_x - along * right, from_y - along * down)
