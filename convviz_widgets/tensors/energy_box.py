"""The part of a map in which most of it lies."""

from __future__ import annotations

import numpy as np


def energy_box(energy: np.ndarray, share: float = 0.9) -> tuple[int, int, int, int]:
    """Return a small box that holds a share of the sum of a map: top, left, bottom, right.

    It shrinks from the whole map: of its four border lines the one that holds least goes first,
    as long as enough is left.

    Parameters
    ----------
    energy
        (H, W), not negative.
    share
        Above a half, up to 1.

    Returns
    -------
    tuple
        Rows top to below bottom, columns left to below right; the whole of a map of zeros.
    """
    top, left = 0, 0
    bottom, right = energy.shape
    spare = (1 - share) * float(energy.sum())
    if not energy.any():
        return top, left, bottom, right
    while True:
        lines = (
            energy[top, left:right],
            energy[bottom - 1, left:right],
            energy[top:bottom, left],
            energy[top:bottom, right - 1],
        )
        sums = [float(line.sum()) for line in lines]
        least = int(np.argmin(sums))
        spare -= sums[least]
        if spare < 0:
            return top, left, bottom, right
        top, bottom = top + (least == 0), bottom - (least == 1)
        left, right = left + (least == 2), right - (least == 3)
