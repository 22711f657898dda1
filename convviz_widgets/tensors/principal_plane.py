"""The principal plane: where codes lie on the two axes along which they vary most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class PrincipalPlane:
    """Codes on their first two principal components.

    Attributes
    ----------
    positions : float64 (n, 2), centred; of a single code, or a single number, zero where there is
        no second axis.
    shares : of the total variance, along each axis; NaN when all codes are the same.
    """

    positions: np.ndarray
    shares: tuple[float, float]


def principal_plane(codes: np.ndarray) -> PrincipalPlane:
    """Project codes (n, C), all finite, onto their first two principal components.

    The directions come from the smaller of the two matrices of inner products, so that 5,000
    codes of 64 numbers take milliseconds. Each axis points to where its largest loading, by
    magnitude, is positive: the same codes always give the same plane.
    """
    centred = np.asarray(codes, np.float64)
    centred = centred - centred.mean(axis=0)
    largest = np.abs(centred).max(initial=0.0)
    if not largest:
        return PrincipalPlane(np.zeros((len(centred), 2)), (np.nan, np.nan))
    scaled = centred / largest  # the squares of large numbers would overflow
    axes = _axes(scaled)  # (≤ 2, C)
    positions = np.zeros((len(centred), 2))
    positions[:, : len(axes)] = scaled @ axes.T
    first, second = (positions**2).sum(axis=0) / (scaled**2).sum()
    return PrincipalPlane(positions * largest, (float(first), float(second)))


def _axes(centred: np.ndarray) -> np.ndarray:
    """Return up to two directions of unit length, that of most variance first."""
    count, size = centred.shape
    if size <= count:
        _, vectors = np.linalg.eigh(centred.T @ centred)
        axes = vectors[:, ::-1][:, :2].T
    else:
        _, vectors = np.linalg.eigh(centred @ centred.T)
        axes = vectors[:, ::-1][:, :2].T @ centred
        lengths = np.linalg.norm(axes, axis=1, keepdims=True)
        axes = np.divide(axes, lengths, out=np.zeros_like(axes), where=lengths > 1e-9 * lengths[0])
    strongest = np.abs(axes).argmax(axis=1)
    return axes * np.where(axes[np.arange(len(axes)), strongest] < 0, -1, 1)[:, None]
