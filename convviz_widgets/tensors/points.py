"""Points painted as pixels: thousands of them cost the page no more than one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

SHAPES = ("circle", "square", "triangle", "diamond")

SAMPLES = 8
"""Subpixels along each side of a pixel, for smooth edges."""


@dataclass(frozen=True, eq=False)
class Points:
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


def paint_points(side: int, groups: Sequence[Points], radius: float) -> np.ndarray:
    """Return a square of points as uint8 RGBA (side, side, 4), later groups over earlier ones."""
    reach = _reach(radius)
    width = side + 2 * reach  # so that every stamp fits
    painted = np.zeros((width * width, 4), np.float32)  # colour times opacity, opacity
    for group in groups:
        cover = group.opacity * _covered(group, radius, reach, width)
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


def _covered(group: Points, radius: float, reach: int, width: int) -> np.ndarray:
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
