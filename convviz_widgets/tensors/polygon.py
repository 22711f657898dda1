"""Which points lie inside a polygon, such as one drawn around them."""

from __future__ import annotations

import numpy as np


def inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Tell which points (n, 2) lie inside the closed polygon (m, 2), by the even-odd rule.

    A polygon of fewer than three corners holds nothing.
    """
    held = np.zeros(len(points), bool)
    if len(polygon) < 3:
        return held
    x, y = points.T
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 <= y) != (y1 <= y)  # a ray to the right meets this side
        held ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return held
