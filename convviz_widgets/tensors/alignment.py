"""Alignment: one set of points turned onto another, so that what still moves has moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Aligned:
    """Points in units of their own spread, turned or mirrored onto others.

    Attributes
    ----------
    positions : float64 (n, 2), centred, of mean square length 1; NaN where the points are, zero
        when all points are the same.
    agreement : 1 when turning, mirroring, shifting and scaling leaves no difference, 0 when the
        points have nothing to do with the others; its square is 1 − the disparity of
        ``scipy.spatial.procrustes``. NaN when either has no spread.
    spread : of the points, root mean square distance from their centre.
    """

    positions: np.ndarray
    agreement: float
    spread: float


def align(points: np.ndarray, others: np.ndarray) -> Aligned:
    """Turn ``points`` (n, 2) onto ``others`` (n, 2), row by row, by a Procrustes analysis.

    Both are centred and scaled to the same spread; then comes the rotation or reflection with the
    least sum of squared distances [Schönemann, Psychometrika 1966]. Rows that are not finite in
    either take no part.
    """
    common = np.isfinite(points).all(axis=1) & np.isfinite(others).all(axis=1)
    centre, spread = _centre_and_spread(points[common])
    their_centre, their_spread = _centre_and_spread(others[common])
    own = (points - centre) / (spread or 1.0)
    if not (spread and their_spread):
        return Aligned(own, np.nan, spread)
    theirs = (others[common] - their_centre) / their_spread
    left, strengths, right = np.linalg.svd(own[common].T @ theirs)
    agreement = float(strengths.sum() / common.sum())
    return Aligned(own @ (left @ right), agreement, spread)


def _centre_and_spread(points: np.ndarray) -> tuple[np.ndarray, float]:
    if not len(points):
        return np.zeros(points.shape[1]), 0.0
    centre = points.mean(axis=0)
    spread = float(np.sqrt(((points - centre) ** 2).sum(axis=1).mean()))
    # What rounding leaves of equal points is no spread.
    return centre, spread if spread > 1e-12 * np.abs(points).max() else 0.0
