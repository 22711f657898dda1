"""The picture of firing rates: a row for each channel, a column for each checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convviz_widgets.sweep import Lifecycle
from convviz_widgets.tensors import BACKGROUND, HATCH_DARK, HATCH_LIGHT, Box, palette_png

GREYS = 200
"""Slots of the palette for firing rates from 0 to 1; the ill stand out from a grey ground."""

DEAD, DYING, DIED, BORN, REVIVED = range(GREYS, GREYS + 5)

COLOURS = {
    DEAD: (224, 49, 49),
    DYING: (245, 159, 0),
    DIED: (112, 72, 232),
    BORN: (47, 158, 68),
    REVIVED: (16, 152, 173),
    HATCH_DARK: (64, 64, 64),
    HATCH_LIGHT: (190, 190, 190),
}

GREY_ENDS = 90, 235
"""Of rates just above 0, and of 1: apart from a black and from a white page."""

MARGIN = 3
"""Pixels around the cells: the width of a highlight, which goes around what it marks."""

EDGE = 2
"""Pixels of the mark at the left edge of the cell in which something happened."""


def firing_palette() -> np.ndarray:
    """Return the colours of all slots: uint8 (256, 4) RGBA."""
    colours = np.zeros((256, 4), np.uint8)
    greys = np.linspace(*GREY_ENDS, GREYS).round().astype(np.uint8)
    colours[:GREYS] = np.stack([greys, greys, greys, np.full(GREYS, 255, np.uint8)], axis=1)
    for slot, colour in COLOURS.items():
        colours[slot] = (*colour, 255)
    return colours


@dataclass(frozen=True)
class Grid:
    """Where the cells lie: ``rows`` × ``columns`` of ``height`` × ``width`` pixels."""

    rows: int
    columns: int
    height: int
    width: int

    @classmethod
    def fit(cls, rows: int, columns: int, max_height: int, max_width: int) -> Grid:
        """Return the grid that fills a frame; cells have 3×4 pixels at least, 14×44 at most."""
        height, width = (max_height - 2 * MARGIN) // rows, (max_width - 2 * MARGIN) // columns
        return cls(rows, columns, min(14, max(3, height)), min(44, max(4, width)))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the picture in pixels."""
        return self.rows * self.height + 2 * MARGIN, self.columns * self.width + 2 * MARGIN

    def cell_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Return the row and the column at a pixel; None outside the cells."""
        row, column = int(y - MARGIN) // self.height, int(x - MARGIN) // self.width
        inside = 0 <= row < self.rows and 0 <= column < self.columns
        return (row, column) if inside and min(x, y) >= MARGIN else None

    def row(self, index: int) -> Box:
        """Return what lies around a row."""
        y = index * self.height
        return Box(0, y, self.shape[1], self.height + 2 * MARGIN)

    def column(self, index: int) -> Box:
        """Return what lies around a column."""
        x = index * self.width
        return Box(x, 0, self.width + 2 * MARGIN, self.shape[0])


def firing_png(life: Lifecycle, order: np.ndarray, grid: Grid) -> bytes:
    """Return the picture of a lifecycle as a PNG file.

    Parameters
    ----------
    order : int (C,), the channel of each row, the top one first.
    """
    return palette_png(paint_firing(life, order, grid), firing_palette())


def paint_firing(life: Lifecycle, order: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the slots of the picture: uint8 (height, width).

    A cell is grey by its firing rate, or has the colour of dead or dying. In the cell where a
    channel died, was born or revived, the left edge is marked. What is not known is hatched.
    """
    cells = np.nan_to_num(life.rates * (GREYS - 1)).round().astype(np.uint8)  # (C, T)
    cells[life.dead], cells[life.dying] = DEAD, DYING
    marked = cells.copy()
    for slot, happened in ((DIED, life.died), (BORN, life.born), (REVIVED, life.revived)):
        marked[happened] = slot
    edge = min(EDGE, grid.width // 2)
    painted = np.repeat(cells[order], grid.width, axis=1)  # (C, T*width)
    for x in range(edge):
        painted[:, x :: grid.width] = marked[order]
    picture = np.full(grid.shape, BACKGROUND, np.uint8)
    inside = picture[MARGIN:-MARGIN, MARGIN:-MARGIN]
    inside[:] = np.repeat(painted, grid.height, axis=0)
    if not life.known.all():
        unknown = np.repeat(np.repeat(~life.known[order], grid.width, 1), grid.height, 0)
        inside[unknown] = _stripes(inside.shape)[unknown]
    if grid.height >= 6:  # a gap keeps rows apart where there is room for it
        inside[grid.height - 1 :: grid.height] = BACKGROUND
    return picture


def _stripes(shape: tuple[int, ...]) -> np.ndarray:
    diagonal = np.add.outer(np.arange(shape[0]), np.arange(shape[1])) // 3 % 4
    return np.select([diagonal == 0, diagonal == 2], [HATCH_LIGHT, HATCH_DARK], BACKGROUND)
