"""ClassCells: the square of a confusion matrix on the screen, a cell for each pair of classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from convviz_widgets.measure.confusion import Cell
from convviz_widgets.tensors import (
    BACKGROUND,
    SEQUENTIAL,
    Box,
    Limits,
    normalize,
    palette,
    palette_png,
    quantize,
    rgb_png,
)
from convviz_widgets.tensors.mosaic import reduce_blocks

SIDE = 300
"""Pixels of the square, at most."""

ROOMY = 18
"""Pixels of a cell from which on its count is written into it."""

LINED = 5
"""Pixels of a cell from which on a line is left free beside it."""


@dataclass(frozen=True)
class ClassCells:
    """Where the cells of K × K classes lie.

    A cell is a square of `enlarge` pixels, or a pixel stands for a block of `reduce` × `reduce`.
    """

    classes: int

    @property
    def enlarge(self) -> int:
        """Pixels of a cell."""
        return max(1, SIDE // max(1, self.classes))

    @property
    def reduce(self) -> int:
        """Classes that one pixel stands for, in both directions."""
        return -(-self.classes // SIDE)

    @property
    def count(self) -> int:
        """Cells in a row."""
        return -(-self.classes // self.reduce)

    @property
    def size(self) -> int:
        """Pixels of the square."""
        return self.count * self.enlarge

    def cell_at(self, x: int, y: int) -> Cell | None:
        """Return the cell at a pixel."""
        row, column = y // self.enlarge, x // self.enlarge
        inside = 0 <= row < self.count and 0 <= column < self.count
        return self.cell(row, column) if inside else None

    def cell(self, row: int, column: int) -> Cell:
        """Return the classes that a cell of the square stands for."""
        return self._classes(row), self._classes(column)

    def place(self, cell: Cell) -> tuple[int, int]:
        """Return row and column of the square in which a cell begins."""
        return cell[0].start // self.reduce, cell[1].start // self.reduce

    def box(self, cell: Cell) -> Box:
        """Return the rectangle of a cell, large enough to be seen."""
        row, column = self.place(cell)
        side = max(self.enlarge, 6)
        shift = (side - self.enlarge) // 2
        x, y = column * self.enlarge - shift, row * self.enlarge - shift
        last = self.size - side
        return Box(min(max(0, x), last), min(max(0, y), last), side, side)

    def paint(self, values: np.ndarray, counts: np.ndarray, high: float) -> bytes:
        """Return the picture of values (K, K) from 0 to ``high``; NaN is left transparent.

        The counts are written into cells that have room for them.
        """
        shown = reduce_blocks(np.nan_to_num(values, nan=0.0)[None], self.reduce)  # (1, c, c)
        slots = quantize(normalize(shown, Limits(0.0, high or 1.0, False)))[0]
        known = reduce_blocks(np.isfinite(values)[None].astype(np.uint8), self.reduce)[0]
        slots[known == 0] = BACKGROUND
        pixels = slots.repeat(self.enlarge, axis=0).repeat(self.enlarge, axis=1)
        if self.enlarge >= LINED:
            pixels[self.enlarge - 1 :: self.enlarge] = BACKGROUND
            pixels[:, self.enlarge - 1 :: self.enlarge] = BACKGROUND
        colours = palette(SEQUENTIAL[0])
        if self.enlarge < ROOMY:
            return palette_png(pixels, colours)
        return rgb_png(self._written(colours[pixels], counts))

    def _written(self, pixels: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return the picture with a count in every cell that is not empty and has room."""
        picture = Image.fromarray(pixels)
        draw = ImageDraw.Draw(picture)
        for row, column in np.argwhere(counts):
            text, middle = str(counts[row, column]), self.enlarge // 2
            if _font().getlength(text) > self.enlarge - 3:
                continue
            x, y = column * self.enlarge + middle, row * self.enlarge + middle
            red, green, blue, _ = pixels[row * self.enlarge, column * self.enlarge].tolist()
            is_light = 0.3 * red + 0.6 * green + 0.1 * blue > 128
            draw.text((x, y), text, "#000000" if is_light else "#ffffff", _font(), anchor="mm")
        return np.asarray(picture)

    def _classes(self, place: int) -> range:
        start = place * self.reduce
        return range(start, min(start + self.reduce, self.classes))


@cache
def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=10)
