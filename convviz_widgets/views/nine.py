"""Nine patches and nine reconstructions: where they lie, and the picture that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convviz_widgets.instrument import FieldBox
from convviz_widgets.tensors import Box, Limits, normalize, symmetric_limits, to_rgba
from convviz_widgets.tensors.blocks import reduce_blocks

COLUMNS = 3
TILE, GAP, LABEL = 88, 6, 20
"""Pixels on the screen: a side of a tile, between tiles, and of the line below each."""

BLOCK = COLUMNS * TILE + (COLUMNS - 1) * GAP
WIDTH, HEIGHT = 566, 3 * (TILE + LABEL)
RIGHT = WIDTH - BLOCK
"""Where the reconstructions begin."""

PERCENTILE = 99.5
"""Of |R|: the end of the scale of the reconstructions."""


@dataclass(frozen=True)
class Window:
    """The part of an image that a tile shows: rows top to below bottom, columns likewise.

    ``offset`` is what the border of the image cuts off above and to the left, ``size`` that of the
    full tile, so that the patches of one layer align.
    """

    top: int
    left: int
    bottom: int
    right: int
    offset: tuple[int, int]
    size: tuple[int, int]

    @classmethod
    def of(cls, box: FieldBox) -> Window:
        """Return the window onto a receptive field."""
        return cls(box.top, box.left, box.bottom, box.right, box.offset, box.size)

    @classmethod
    def whole(cls, height: int, width: int) -> Window:
        """Return the window onto a whole image."""
        return cls(0, 0, height, width, (0, 0), (height, width))

    def cut(self, picture: np.ndarray) -> np.ndarray:
        """Return the part of a picture (H, W, ...) that is seen."""
        return picture[self.top : self.bottom, self.left : self.right]

    @property
    def reduce(self) -> int:
        """Source pixels to a side of a pixel on the screen, 1 where it is enlarged."""
        return max(1, -(-max(self.size) // TILE))

    @property
    def enlarge(self) -> int:
        """Pixels on the screen to a side of a source pixel."""
        return max(1, TILE // max(self.size))


def place(slot: int, right: bool) -> tuple[int, int]:
    """Return x and y of a tile: of a patch, or of a reconstruction on the right."""
    row, column = divmod(slot, COLUMNS)
    return (RIGHT if right else 0) + column * (TILE + GAP), row * (TILE + LABEL)


def tile_at(x: int, y: int) -> int | None:
    """Return the slot of the tile, on either side, that a pixel lies in."""
    for slot in range(COLUMNS**2):
        for right in (False, True):
            left, top = place(slot, right)
            if left <= x < left + TILE and top <= y < top + TILE:
                return slot
    return None


def on_screen(box: tuple[int, int, int, int], window: Window, slot: int, right: bool) -> Box:
    """Return where a box (top, left, bottom, right) of an image lies in its tile."""
    x, y = _corner(window, slot, right)
    rows, columns = (box[i] - start for i, start in ((0, window.top), (1, window.left)))
    top, left, height, width = (
        value * window.enlarge // window.reduce
        for value in (
            window.offset[0] + rows,
            window.offset[1] + columns,
            box[2] - box[0],
            box[3] - box[1],
        )
    )
    return Box(x + left, y + top, max(4, width), max(4, height))


def painted(
    pictures: Sequence[np.ndarray | None],
    maps: Sequence[np.ndarray | None],
    windows: Sequence[Window],
    limits: Sequence[Limits],
) -> np.ndarray:
    """Return the picture of all tiles: uint8 (HEIGHT, WIDTH, 4), transparent where nothing is.

    Parameters
    ----------
    pictures
        uint8 (H, W, 3), whole images; None: cannot be read.
    maps
        float (C, H, W), whole reconstructions; None: there is nothing to show.
    windows
        The part of each that is shown.
    limits
        The scale of each reconstruction; zero is mid-grey.
    """
    canvas = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    for slot, (picture, map_, window, scale) in enumerate(
        zip(pictures, maps, windows, limits, strict=True)
    ):
        if picture is not None:
            _paste(canvas, _shrunk(window.cut(picture) / 255, window.reduce), window, slot, False)
        if map_ is not None:
            seen = np.moveaxis(window.cut(np.moveaxis(map_, 0, -1)), -1, 0)
            colours = np.moveaxis(normalize(reduce_blocks(seen, window.reduce, True), scale), 0, -1)
            _paste(canvas, colours, window, slot, True)
    return canvas


def limits_of(
    maps: Sequence[np.ndarray | None], windows: Sequence[Window], each: bool
) -> list[Limits]:
    """Return the scale of each reconstruction: symmetric, for all alike or for each its own.

    One for all colours, at the 99.5th percentile of the magnitudes that are shown.
    """
    shown = [
        np.zeros(0) if map_ is None else window.cut(np.moveaxis(map_, 0, -1)).ravel()
        for map_, window in zip(maps, windows, strict=True)
    ]
    if each:
        return [symmetric_limits(values, PERCENTILE) for values in shown]
    every = np.concatenate(shown) if shown else np.zeros(0)
    return [symmetric_limits(every, PERCENTILE)] * len(shown)


def as_rgb(map_: np.ndarray) -> np.ndarray:
    """Return a map (C, H, W) with three colours: grey is repeated, of more the first three."""
    return map_[:3] if len(map_) >= 3 else np.repeat(map_[:1], 3, axis=0)


def _paste(canvas: np.ndarray, colours: np.ndarray, window: Window, slot: int, right: bool) -> None:
    """Put colours (h, w, 3) in [0, 1] where they belong, enlarged."""
    x, y = _corner(window, slot, right)
    rows, columns = (value * window.enlarge // window.reduce for value in window.offset)
    pixels = to_rgba(colours).repeat(window.enlarge, 0).repeat(window.enlarge, 1)
    cell = canvas[y : y + TILE, x : x + TILE][rows:, columns:]
    height, width = min(len(pixels), len(cell)), min(pixels.shape[1], cell.shape[1])
    cell[:height, :width] = pixels[:height, :width]


def _corner(window: Window, slot: int, right: bool) -> tuple[int, int]:
    """Return where the full tile begins, in the middle of its place."""
    x, y = place(slot, right)
    height, width = (-(-value // window.reduce) * window.enlarge for value in window.size)
    return x + (TILE - width) // 2, y + (TILE - height) // 2


def _shrunk(picture: np.ndarray, size: int) -> np.ndarray:
    """Return a picture (h, w, 3) with one pixel for the mean of each block."""
    if size == 1:
        return picture
    height, width = (-(-length // size) * size for length in picture.shape[:2])
    padding = ((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0))
    padded = np.pad(picture, padding, mode="edge")
    return padded.reshape(height // size, size, width // size, size, 3).mean((1, 3))
