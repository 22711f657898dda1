"""Hatching: diagonal stripes over the tiles in which there is nothing to see."""

from __future__ import annotations

import numpy as np

from convviz_widgets.tensors.colormap import HATCH_DARK, HATCH_LIGHT, SPECIAL_COLORS

PERIOD = 8
"""Screen pixels from stripe to stripe: three stripes at least in a tile of 24."""
STRIPES = {HATCH_LIGHT: (0, 1), HATCH_DARK: (2, 3)}
"""Slot of each stripe, and which of the diagonals of a period it covers."""


def hatch(tiles: np.ndarray, chosen: np.ndarray) -> None:
    """Draw stripes over the chosen tiles, in place.

    Parameters
    ----------
    tiles
        uint8 (rows, columns, height, width) colour slots, or (..., 4) RGBA, in screen pixels.
    chosen
        bool (rows, columns).
    """
    row, column = (index[:, np.newaxis] for index in np.nonzero(chosen))
    height, width = tiles.shape[2:4]
    diagonal = np.add.outer(np.arange(height), np.arange(width)) % PERIOD
    for slot, part in STRIPES.items():
        y, x = np.nonzero(np.isin(diagonal, part))
        tiles[row, column, y, x] = slot if tiles.ndim == 4 else SPECIAL_COLORS[slot]
