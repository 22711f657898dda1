"""A confusion matrix on the screen: a cell for each pair of classes, between their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ipywidgets import HTML, Layout, VBox
from ipywidgets import Box as Row
from PIL import Image, ImageDraw

from convviz_widgets.measure.confusion import Cell
from convviz_widgets.tensors import (
    BACKGROUND,
    SEQUENTIAL,
    Box,
    Limits,
    Mosaic,
    normalize,
    palette,
    palette_png,
    quantize,
    rgb_png,
)
from convviz_widgets.tensors.mosaic import reduce_blocks
from convviz_widgets.widgets.raster import TileRaster
from convviz_widgets.widgets.text import escaped, picture_font

SIDE = 300
"""Pixels of the square, at most."""

ROOMY = 18
"""Pixels of a cell from which on its count is written into it."""

LINED = 5
"""Pixels of a cell from which on a line is left free beside it."""

LEGIBLE = 12
"""Pixels of a cell from which on a name fits beside it."""

NAMED = 6
"""Pixels of a cell from which on it is a tile with a name; smaller ones are parts of a picture."""

LABELS = 84
"""Pixels beside the square for the names of the true classes."""

ABOVE = 74
"""Pixels above the square for the names of the answers."""

STYLE = (
    "position:absolute;font-size:11px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;"
    "color:var(--jp-ui-font-color1,#222)"
)


@dataclass(frozen=True)
class CellGrid:
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
        return max(1, -(-self.classes // SIDE))

    @property
    def count(self) -> int:
        """Cells in a row."""
        return -(-self.classes // self.reduce)

    @property
    def size(self) -> int:
        """Pixels of the square."""
        return self.count * self.enlarge

    @property
    def mosaic(self) -> Mosaic:
        """The cells as tiles."""
        return Mosaic(self.count**2, 1, 1, columns=self.count, enlarge=self.enlarge, gap=0)

    @property
    def is_named(self) -> bool:
        """Whether each cell is large enough to be a tile with a name."""
        return self.enlarge >= NAMED

    @property
    def cells(self) -> list[Cell]:
        """All cells, row by row."""
        places = range(self.count)
        return [self.cell(row, column) for row in places for column in places]

    def cell_at(self, x: int, y: int) -> Cell | None:
        """Return the cell at a pixel."""
        row, column = y // self.enlarge, x // self.enlarge
        inside = 0 <= row < self.count and 0 <= column < self.count
        return self.cell(row, column) if inside else None

    def cell(self, row: int, column: int) -> Cell:
        """Return the classes that a cell of the square stands for."""
        return self._classes(row), self._classes(column)

    def cell_of(self, truth: int, answer: int) -> Cell:
        """Return the cell in which images of a class that get an answer are counted."""
        return self.cell(truth // self.reduce, answer // self.reduce)

    def beside(self, cell: Cell, dx: int, dy: int) -> Cell | None:
        """Return the cell so many columns and rows on, if there is one."""
        row, column = self.place(cell)
        inside = 0 <= row + dy < self.count and 0 <= column + dx < self.count
        return self.cell(row + dy, column + dx) if inside else None

    def place(self, cell: Cell) -> tuple[int, int]:
        """Return row and column of the square in which a cell begins."""
        return cell[0].start // self.reduce, cell[1].start // self.reduce

    def box(self, cell: Cell) -> Box:
        """Return the rectangle of a cell, large enough to be seen."""
        row, column = self.place(cell)
        side = max(self.enlarge, NAMED)
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
        return rgb_png(with_counts(colours[pixels], counts, self.enlarge))

    def _classes(self, place: int) -> range:
        start = place * self.reduce
        return range(start, min(start + self.reduce, self.classes))


def with_counts(pixels: np.ndarray, counts: np.ndarray, side: int) -> np.ndarray:
    """Return a picture of cells with a count in each that is not empty and has room.

    ``pixels`` is uint8 (height, width, 4), ``counts`` (K, K), and ``side`` the pixels of a cell.
    """
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    for row, column in np.argwhere(counts):
        text, middle = str(counts[row, column]), side // 2
        if picture_font().getlength(text) > side - 3:
            continue
        x, y = column * side + middle, row * side + middle
        red, green, blue, _ = pixels[row * side, column * side].tolist()
        is_light = 0.3 * red + 0.6 * green + 0.1 * blue > 128
        ink = "#000000" if is_light else "#ffffff"
        draw.text((x, y), text, ink, picture_font(), anchor="mm")
    return np.asarray(picture)


class NamedMatrix:
    """The picture of a confusion matrix, with the true classes beside it and the answers above.

    Parameters
    ----------
    chosen
        Called with the cell that is clicked, or led to by the arrow keys.
    pointed
        Called with the cell under the pointer, None for none.

    Attributes
    ----------
    raster, row_names, column_names : the picture, and the names beside and above it.
    box : all of them, as they stand in the page.
    """

    def __init__(
        self,
        chosen: Callable[[Cell], Any],
        pointed: Callable[[Cell | None], Any],
    ) -> None:
        self._chosen = chosen
        self._grid = CellGrid(0)
        self._cell: Cell | None = None
        self.raster = TileRaster(
            SIDE, SIDE, picked=self._pick, moved=lambda _by: None, label="confusion matrix"
        )
        self.raster.on_move(lambda x, y: pointed(self._grid.cell_at(x, y)), lambda: pointed(None))
        self.raster.on_arrow(self._arrow)
        self.column_names = HTML(layout=Layout(height=f"{ABOVE}px", flex="0 0 auto", margin="0"))
        self.row_names = HTML(
            layout=Layout(width=f"{LABELS}px", height=f"{SIDE}px", flex="0 0 auto", margin="0")
        )
        row = Row([self.row_names, self.raster], layout=still())
        self.box = VBox([self.column_names, row], layout=still(width=f"{LABELS + SIDE}px"))

    def show(
        self,
        grid: CellGrid,
        png: bytes,
        cell: Cell,
        names: Sequence[str],
        in_words: Callable[[Cell], str],
        alt: str,
    ) -> None:
        """Show a picture with one cell framed, and the names of all classes.

        ``in_words`` says what a cell is, and ``alt`` what the picture is, to a screen reader.
        """
        self._grid, self._cell = grid, cell
        row, column = grid.place(cell)
        said = tuple(map(in_words, grid.cells)) if grid.is_named else ()
        with self.raster.hold_sync():
            self.raster.tiled = grid.is_named
            self.raster.highlight(*(() if grid.is_named else (grid.box(cell),)))
            self.raster.show_tiles(
                png,
                grid.mosaic,
                row * grid.count + column if grid.is_named else None,
                names=said,
                alt=alt,
            )
        self.column_names.value = names_above(names, grid)
        self.row_names.value = names_beside(names, grid)

    def _pick(self, place: int) -> None:
        self._choose(self._grid.cell(*divmod(place, self._grid.count)))

    def _choose(self, cell: Cell | None) -> None:
        if cell is not None:
            self._chosen(cell)

    def _arrow(self, dx: int, dy: int) -> None:
        if self._cell is not None:
            self._choose(self._grid.beside(self._cell, dx, dy))


def still(**more: str) -> Layout:
    """Return a layout of constant size; one for each box, which changes its own."""
    return Layout(flex="0 0 auto", overflow="hidden", **more)


def names_beside(names: Sequence[str], grid: CellGrid) -> str:
    """Return the names of the rows as HTML, escaped; none where the cells are too small."""
    names = names if grid.enlarge >= LEGIBLE else ()
    side = grid.enlarge
    lines = "".join(
        f'<div style="{STYLE};top:{place * side}px;height:{side}px;line-height:{side}px;'
        f'right:6px;width:{LABELS - 8}px;text-align:right">{escaped(name)}</div>'
        for place, name in enumerate(names)
    )
    return f'<div style="position:relative;width:{LABELS}px;height:{SIDE}px">{lines}</div>'


def names_above(names: Sequence[str], grid: CellGrid) -> str:
    """Return the names of the columns as HTML, upright, escaped, and what the axes mean."""
    names = names if grid.enlarge >= LEGIBLE else ()
    side = grid.enlarge
    lines = "".join(
        f'<div style="{STYLE};left:{LABELS + place * side}px;width:{side}px;line-height:{side}px;'
        f'bottom:4px;height:{ABOVE - 8}px;writing-mode:vertical-rl;transform:rotate(180deg)">'
        f"{escaped(name)}</div>"
        for place, name in enumerate(names)
    )
    corner = (
        f'<div style="{STYLE};left:0;bottom:2px;width:{LABELS - 4}px;white-space:normal;'
        f'line-height:14px">answered →<br>true class ↓</div>'
    )
    size = f"position:relative;width:{LABELS + SIDE}px;height:{ABOVE}px"
    return f'<div style="{size}">{corner}{lines}</div>'
