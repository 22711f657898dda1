"""Mosaic: where the tiles of a layer lie on the screen, and the picture that they make."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from convviz_widgets.errors import InputError
from convviz_widgets.tensors.colormap import BACKGROUND, HATCH_DARK, HATCH_LIGHT, SPECIAL_COLORS
from convviz_widgets.tensors.display import Numbers, as_real

PERIOD = 8
"""Screen pixels from stripe to stripe: three stripes at least in a tile of 24."""

STRIPES = {HATCH_LIGHT: (0, 1), HATCH_DARK: (2, 3)}
"""Slot of each stripe, and which of the diagonals of a period it covers."""


@dataclass(frozen=True)
class Box:
    """A rectangle in screen pixels, from the top left corner of the picture."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Mosaic:
    """A grid of `count` tiles, row by row, with a gap around and between them.

    Source pixels are those of a map (`tile_height` × `tile_width`); screen pixels are `enlarge`
    times as many, or 1 for every `reduce` × `reduce` block. Both are whole numbers, so that what
    is sent is what is seen: a browser that shrinks a picture drops three of four values.
    """

    count: int
    tile_height: int
    tile_width: int
    columns: int
    enlarge: int = 1
    reduce: int = 1
    gap: int = 2

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = 0 if name in ("count", "gap") else 1
            if value < least:
                raise InputError(f"{name} {value} of a mosaic is too small; at least {least}")

    @classmethod
    def fit(
        cls,
        count: int,
        tile_height: int,
        tile_width: int,
        *,
        max_width: int,
        min_tile: int = 24,
        max_tile: int = 160,
        gap: int = 2,
        max_height: int | None = None,
    ) -> Mosaic:
        """Return a mosaic whose tiles can be told apart and that is not wider than the page.

        Parameters
        ----------
        count, tile_height, tile_width : number of tiles and their size in source pixels.
        max_width : kept, unless it has no room for a single pixel.
        min_tile, max_tile : screen pixels: the shorter side of a tile is not made smaller than
            `min_tile` (only `max_width` overrules it), the longer is not enlarged beyond
            `max_tile`.
        gap : screen pixels around the tiles.
        max_height : the largest scale that keeps it is taken. Where none does, the smallest: the
            picture grows downwards and the view scrolls. None: source pixels as they are, or
            enlarged just to `min_tile`.
        """
        plain = cls(count, tile_height, tile_width, columns=1, gap=gap)
        scales = tile_scales(tile_height, tile_width, max_width - 2 * gap, min_tile, max_tile)
        if max_height is None:  # nothing to fill: the smallest enlargement
            scales = [scale for scale in scales if scale[1] == 1][-1:] or scales[:1]
        for enlarge, reduce in scales:
            mosaic = replace(plain, enlarge=enlarge, reduce=reduce)._wrapped(max_width)
            if max_height is None or mosaic.height <= max_height:
                break
        return mosaic

    def _wrapped(self, max_width: int) -> Mosaic:
        """Return a mosaic of these tiles in as few rows as the width allows, evenly filled."""
        most = max(1, min(self.count, (max_width - self.gap) // self._pitch[1]))
        rows = -(-self.count // most)
        return replace(self, columns=-(-self.count // rows) if rows else most)

    @property
    def rows(self) -> int:
        """Number of rows, the last one perhaps not full."""
        return -(-self.count // self.columns)

    @property
    def shown_height(self) -> int:
        """Height of a tile that is painted, in source pixels or blocks of them."""
        return -(-self.tile_height // self.reduce)

    @property
    def shown_width(self) -> int:
        """Width of a tile that is painted, in source pixels or blocks of them."""
        return -(-self.tile_width // self.reduce)

    @property
    def width(self) -> int:
        """Width of the picture in screen pixels."""
        return self.gap + self.columns * self._pitch[1]

    @property
    def height(self) -> int:
        """Height of the picture in screen pixels."""
        return self.gap + self.rows * self._pitch[0]

    @property
    def _pitch(self) -> tuple[int, int]:
        """Screen pixels from a tile to the one below and to the one beside it."""
        return (
            self.shown_height * self.enlarge + self.gap,
            self.shown_width * self.enlarge + self.gap,
        )

    def box(self, tile: int) -> Box:
        """Return the rectangle of a tile, without its gap."""
        if not 0 <= tile < self.count:
            raise InputError(f"tile {tile} is out of range; expected 0 to {self.count - 1}")
        row, column = divmod(tile, self.columns)
        height, width = self._pitch
        return Box(
            x=self.gap + column * width,
            y=self.gap + row * height,
            width=width - self.gap,
            height=height - self.gap,
        )

    def tile_at(self, x: float, y: float) -> int | None:
        """Return the tile at a screen pixel; None in gaps and outside."""
        found = self.pixel_at(x, y)
        return None if found is None else found[0]

    def pixel_at(self, x: float, y: float) -> tuple[int, int, int] | None:
        """Return tile, row and column of the source pixel at a screen pixel; None in gaps.

        In a reduced mosaic it is the first pixel (top left) of the block.
        """
        height, width = self._pitch
        row, down = divmod(int(y // 1) - self.gap, height)
        column, right = divmod(int(x // 1) - self.gap, width)
        tile = row * self.columns + column
        in_tile = down < height - self.gap and right < width - self.gap
        if not (in_tile and row >= 0 and 0 <= column < self.columns and tile < self.count):
            return None
        return tile, down // self.enlarge * self.reduce, right // self.enlarge * self.reduce

    def reduced(self, values: Numbers, signed: bool = False) -> np.ndarray:
        """Return the value that stands for each block of `reduce` × `reduce` source pixels.

        Parameters
        ----------
        values : (count, tile_height, tile_width).
        signed : take the value of largest magnitude, with its sign, in place of the largest value.

        Returns
        -------
        numpy.ndarray
            (count, shown_height, shown_width); `values` itself where nothing is reduced.
        """
        array = as_real(values)
        expected = (self.count, self.tile_height, self.tile_width)
        if array.shape != expected:
            raise InputError(f"maps of shape {array.shape} do not fit; expected {expected}")
        return reduce_blocks(array, self.reduce, signed)

    def paint(self, tiles: np.ndarray, hatched: np.ndarray | None = None) -> np.ndarray:
        """Return the picture in screen pixels.

        Parameters
        ----------
        tiles : uint8 colour slots (count, shown_height, shown_width), or RGBA (..., 4).
        hatched : bool (count,): which tiles are drawn with stripes over them.

        Returns
        -------
        numpy.ndarray
            uint8 (height, width) with `BACKGROUND` in the gaps, or (height, width, 4) with
            transparent ones.
        """
        _check_tiles(tiles, (self.count, self.shown_height, self.shown_width))
        size = (self.height, self.width, *tiles.shape[3:])
        picture = np.full(size, BACKGROUND if tiles.ndim == 3 else 0, np.uint8)
        cells = _cells(picture, self)  # (rows, columns, screen height, screen width[, 4])
        full, rest = divmod(self.count, self.columns)
        grown = _enlarged(tiles, self.enlarge)
        cells[:full] = grown[: self.count - rest].reshape(full, *cells.shape[1:])
        if rest:
            cells[full, :rest] = grown[self.count - rest :]
        if hatched is not None:
            hatch(cells, _grid(hatched, self))
        return picture


def _check_tiles(tiles: np.ndarray, expected: tuple[int, int, int]) -> None:
    if tiles.dtype != np.uint8 or tiles.shape not in (expected, (*expected, 4)):
        raise InputError(
            f"tiles of {tiles.dtype} {tiles.shape} do not fit; expected uint8 {expected}, "
            "or with 4 for RGBA behind"
        )


def _cells(picture: np.ndarray, mosaic: Mosaic) -> np.ndarray:
    """Return a view of the picture as (rows, columns, height, width[, 4]), without gaps."""
    gap, (height, width) = mosaic.gap, mosaic._pitch
    grid = picture[gap:, gap:].reshape(
        mosaic.rows, height, mosaic.columns, width, *picture.shape[2:]
    )
    return grid[:, : height - gap, :, : width - gap].swapaxes(1, 2)


def _grid(flags: np.ndarray, mosaic: Mosaic) -> np.ndarray:
    """Return a flag per tile as a grid (rows, columns)."""
    if np.shape(flags) != (mosaic.count,):
        raise InputError(
            f"hatched of shape {np.shape(flags)} does not fit; expected ({mosaic.count},)"
        )
    grid = np.zeros(mosaic.rows * mosaic.columns, bool)
    grid[: mosaic.count] = flags
    return grid.reshape(mosaic.rows, mosaic.columns)


def _enlarged(tiles: np.ndarray, times: int) -> np.ndarray:
    return tiles if times == 1 else tiles.repeat(times, axis=1).repeat(times, axis=2)


def reduce_blocks(values: np.ndarray, size: int, signed: bool = False) -> np.ndarray:
    """Return the value that stands for each block of `size` × `size` pixels.

    The maximum, since sparse maps would vanish in a mean or a sample.

    Parameters
    ----------
    values : (count, H, W).
    size : blocks at the lower and right edge may be cut.
    signed : take the value of largest magnitude, with its sign (on a tie the positive one).

    Returns
    -------
    numpy.ndarray
        (count, ⌈H / size⌉, ⌈W / size⌉); a NaN anywhere in a block makes it NaN, so that it is
        seen. `values` itself where `size` is 1.
    """
    if size == 1:
        return values
    highest = _fold(values, size, np.maximum)
    if not signed:
        return highest
    lowest = _fold(values, size, np.minimum)
    return np.where(-lowest > highest, lowest, highest)


def _fold(values: np.ndarray, size: int, extreme: np.ufunc) -> np.ndarray:
    lines = _fold_rows(values, size, extreme)
    return _fold_rows(lines.swapaxes(1, 2), size, extreme).swapaxes(1, 2)


def _fold_rows(values: np.ndarray, size: int, extreme: np.ufunc) -> np.ndarray:
    """Return the extreme of each block of rows; the last block may be cut."""
    # Whole slices against each other: far faster than a reduction over short axes.
    folded = values[:, ::size].copy(order="K")
    for start in range(1, size):
        part = values[:, start::size]
        extreme(folded[:, : part.shape[1]], part, out=folded[:, : part.shape[1]])
    return folded


def hatch(tiles: np.ndarray, chosen: np.ndarray) -> None:
    """Draw stripes over the chosen tiles, in place.

    Parameters
    ----------
    tiles : uint8 (rows, columns, height, width) colour slots, or (..., 4) RGBA, in screen pixels.
    chosen : bool (rows, columns).
    """
    row, column = (index[:, np.newaxis] for index in np.nonzero(chosen))
    height, width = tiles.shape[2:4]
    diagonal = np.add.outer(np.arange(height), np.arange(width)) % PERIOD
    for slot, part in STRIPES.items():
        y, x = np.nonzero(np.isin(diagonal, part))
        tiles[row, column, y, x] = slot if tiles.ndim == 4 else SPECIAL_COLORS[slot]


def tile_scales(
    height: int, width: int, room: int, min_tile: int, max_tile: int
) -> list[tuple[int, int]]:
    """Return the (enlarge, reduce) that suit a tile, from the largest picture to the smallest.

    Parameters
    ----------
    height, width : size of the tile, in source pixels.
    room : screen pixels that it may be wide: overrules `min_tile`.
    min_tile, max_tile : screen pixels: the least of its shorter side, the most of its longer one if
        enlarged further than `min_tile` needs.
    """
    short, long = min(height, width), max(height, width)
    needed = -(-min_tile // short)  # to see gaps and hatching at all
    most = max(needed, max_tile // long)
    enlargements = [(n, 1) for n in range(most, needed - 1, -1) if n * width <= room]
    if not enlargements and width <= room:
        return [(room // width, 1)]
    forced = max(1, -(-width // max(1, room)))  # the least reduction that the width allows
    reductions = [(1, n) for n in range(max(2, forced), short // min_tile + 1)]
    return enlargements + reductions or [(1, forced)]
