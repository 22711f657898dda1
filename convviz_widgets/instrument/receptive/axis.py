"""How the positions along one dimension of a tensor see one axis of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

_NOTHING = (np.iinfo(np.int64).max // 2, np.iinfo(np.int64).min // 2)


@dataclass(frozen=True)
class Window:
    """A window that slides evenly: position p covers start + p·jump to that + extent.

    It does not stop at the border of the image: there it covers padding.
    """

    jump: int = 1
    start: int = 0
    extent: int = 1

    def slid(self, kernel: int, stride: int, padding: int, dilation: int = 1) -> Window:
        """Return the window of a kernel that slides over these positions."""
        return Window(
            self.jump * stride,
            self.start - padding * self.jump,
            self.extent + (kernel - 1) * dilation * self.jump,
        )

    def hull(self, other: Window | None) -> Window | None:
        """Return the window around both; None where they do not slide together."""
        if other is None or other.jump != self.jump:
            return None
        start = min(self.start, other.start)
        end = max(self.start + self.extent, other.start + other.extent)
        return Window(self.jump, start, end - start)


@dataclass(frozen=True, eq=False)
class Axis:
    """One image axis, as seen along one dimension of a tensor.

    Attributes
    ----------
    dim : the tensor's dimension; None where the tensor has none for this axis, then n is 1.
    low, high : int64 (n,), the pixels from low to below high that position p sees, inside the
        image; high < low where it sees none.
    window : the same without the image's border, where it slides evenly.
    """

    dim: int | None
    low: np.ndarray
    high: np.ndarray
    window: Window | None = None

    @classmethod
    def of_pixels(cls, dim: int, size: int) -> Axis:
        """Return the axis of the image itself."""
        pixels = np.arange(size)
        return cls(dim, pixels, pixels + 1, Window())

    def at(self, dim: int | None) -> Axis:
        """Return the same axis along another dimension."""
        return replace(self, dim=dim)

    def taken(self, sources: np.ndarray, window: Window | None = None) -> Axis:
        """Return the axis of positions that each see several of these.

        Parameters
        ----------
        sources : int (m, k), the k positions that new position p sees; those out of range are
            padding.
        window : of the new axis.
        """
        size = len(self.low)
        inside = (sources >= 0) & (sources < size)
        sources = sources.clip(0, size - 1)
        low = np.where(inside, self.low[sources], _NOTHING[0]).min(1, initial=_NOTHING[0])
        high = np.where(inside, self.high[sources], _NOTHING[1]).max(1, initial=_NOTHING[1])
        return Axis(self.dim, low, high, window)

    def slid(self, count: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> Axis:
        """Return the axis after a kernel that slides over it to ``count`` positions."""
        taps = np.arange(count)[:, None] * stride - padding + np.arange(kernel) * dilation
        window = self.window.slid(kernel, stride, padding, dilation) if self.window else None
        return self.taken(taps, window)

    def picked(self, positions: Sequence[int]) -> Axis:
        """Return the axis of some of the positions, in the order given."""
        jump = _even_step(positions)
        window = self.window.slid(1, jump, -positions[0]) if self.window and jump else None
        return self.taken(np.array(positions, dtype=np.int64).reshape(-1, 1), window)

    def whole(self) -> Axis:
        """Return the axis of one position that sees what all of these see."""
        return Axis(None, self.low.min(keepdims=True), self.high.max(keepdims=True))

    def mixed(self) -> Axis:
        """Return the axis where every position sees what all of these see."""
        low, high = np.full_like(self.low, self.low.min()), np.full_like(self.high, self.high.max())
        return Axis(self.dim, low, high)

    def hull(self, other: Axis) -> Axis:
        """Return the axis of positions that see what both see, at the same position."""
        if self.dim != other.dim and None not in (self.dim, other.dim):
            return self.whole().hull(other.whole())
        window = self.window.hull(other.window) if self.window else None
        dim = other.dim if self.dim is None else self.dim
        return Axis(dim, np.minimum(self.low, other.low), np.maximum(self.high, other.high), window)


def _even_step(positions: Sequence[int]) -> int:
    """Return how far apart the positions are; 0 where that differs or they run backwards."""
    steps = set(np.diff(positions).tolist())
    if len(steps) > 1 or not len(positions):
        return 0
    return max(0, steps.pop()) if steps else 1
