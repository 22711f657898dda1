"""Which points lie inside a polygon, such as one drawn around them."""

from __future__ import annotations

import numpy as np
from matplotlib.path import Path


def inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Tell which points (n, 2) lie inside the closed polygon (m, 2), by the even-odd rule.

    A point on a side may lie inside or outside. Points that are not finite lie outside, and a
    polygon of fewer than three corners holds nothing.
    """
    return Path(polygon).contains_points(points)
