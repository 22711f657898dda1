"""The picture of a top-9: patches, reconstructions, their labels and outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convviz_widgets.probe import FieldBox
from convviz_widgets.tensors import Box, Limits, normalize, rgb_png, symmetric_limits, to_rgba
from convviz_widgets.tensors.maps import energy_box
from convviz_widgets.tensors.mosaic import reduce_blocks
from convviz_widgets.views.units.top_slots import Change, Slot
from convviz_widgets.widgets.raster import EMPTY_PNG
from convviz_widgets.widgets.text import ACCENT, Label

MUCH = 0.75
"""Share of the image from which on a receptive field is shown as the whole image."""

COLUMNS = 3

TILE, GAP, LABEL = 88, 6, 20
"""Pixels on the screen: a side of a tile, between tiles, and of the line below each."""

BLOCK = COLUMNS * TILE + (COLUMNS - 1) * GAP

WIDTH, HEIGHT = 566, 3 * (TILE + LABEL)

RIGHT = WIDTH - BLOCK
"""Where the reconstructions begin."""

PERCENTILE = 99.5
"""Of |R|: the end of the scale of the reconstructions."""


@dataclass(frozen=True, eq=False)
class TopPicture:
    """What there is to draw of the nine, for one selection."""

    png: bytes
    labels: tuple[Label, ...]
    slots: tuple[Slot, ...] = ()
    outlines: tuple[Box, ...] = ()
    selected: int | None = None
    """The slot of the selected image."""
    caption: str = ""

    @classmethod
    def message(cls, text: str, caption: str = "") -> TopPicture:
        """Return the picture where there is none."""
        return cls(EMPTY_PNG, (Label(text, 0, HEIGHT // 2 - 8, WIDTH),), caption=caption)


@dataclass(frozen=True, eq=False)
class Painted:
    """The tiles, and what the caption must say of them."""

    png: bytes
    outlines: tuple[Box, ...]
    seen: str
    scale: float | None
    """The end of the one scale; None: each has its own."""


def paint_slots(
    slots: Sequence[Slot],
    pictures: Sequence[np.ndarray | None],
    image_size: tuple[int, int],
    *,
    whole: bool,
    own_scale: bool,
) -> Painted:
    """Paint patches and reconstructions.

    Parameters
    ----------
    pictures
        uint8 (H, W, 3), the image of each slot; None: cannot be read.
    whole
        Show whole images, as is done anyhow where a receptive field is most of the image.
    """
    large = any(_is_large(slot, image_size) for slot in slots)
    windows = [
        Window.whole(*image_size) if whole or large or slot.box is None else Window.of(slot.box)
        for slot in slots
    ]
    maps = [None if slot.map is None else as_rgb(slot.map) for slot in slots]
    limits = limits_of(maps, windows, own_scale)
    outlines = [_outline_of(slot, large) if whole or large else None for slot in slots]
    size = "×".join(map(str, windows[0].size))
    outlined = "outlined: 90 % of |R|²" if large else "outlined: the receptive field"
    return Painted(
        rgb_png(painted(pictures, maps, windows, limits)),
        tuple(
            on_screen(box, window, slot, right)
            for slot, (box, window) in enumerate(zip(outlines, windows, strict=True))
            for right in (False, True)
            if box is not None
        ),
        f"whole images, {outlined}" if whole or large else f"receptive field {size} pixels",
        None if own_scale else limits[0].high,
    )


def labels_of(slots: Sequence[Slot]) -> tuple[Label, ...]:
    """Return the value below each patch, and what is new below each reconstruction."""
    labels = []
    for index, slot in enumerate(slots):
        (x, y), (right, _) = place(index, False), place(index, True)
        below = y + TILE + (LABEL - 16) // 2
        labels.append(Label(f"{slot.value:.3g}", x, below, TILE))
        if slot.map is None:
            middle = y + TILE // 2
            labels.append(Label("nothing to", right, middle - 16, TILE, "quiet"))
            labels.append(Label("reconstruct: ≤ 0", right, middle, TILE, "quiet"))
        if slot.change is not None:
            text, kind = _in_words(slot.change)
            labels.append(Label(text, right, below, TILE, kind))
    return tuple(labels)


def draw_outlines(canvas: Any, picture: TopPicture | None) -> None:
    """Outline what the units see, and the tiles of the selected image."""
    if picture is None:
        return
    for box in picture.outlines:
        for inset, colour in ((0.5, "#ffffff"), (1.5, "#000000")):
            canvas.line_width, canvas.stroke_style = 1, colour
            width, height = box.width - 2 * inset, box.height - 2 * inset
            canvas.stroke_rect(box.x + inset, box.y + inset, width, height)
    if picture.selected is not None:
        for right in (False, True):
            x, y = place(picture.selected, right)
            canvas.line_width, canvas.stroke_style = 2, ACCENT
            canvas.stroke_rect(x + 1, y + 1, TILE - 2, TILE - 2)


def _is_large(slot: Slot, image_size: tuple[int, int]) -> bool:
    return slot.box is None or slot.box.share(image_size) > MUCH


def _outline_of(slot: Slot, large: bool) -> tuple[int, int, int, int] | None:
    """Return top, left, bottom and right of the receptive field, or of most of the signal."""
    if not large and slot.box is not None:
        return slot.box.top, slot.box.left, slot.box.bottom, slot.box.right
    return None if slot.map is None else energy_box(np.square(slot.map).sum(0))


def _in_words(change: Change) -> tuple[str, str]:
    if change.picture:
        return "new picture", "accent"
    if change.similarity is None:
        return "", "quiet"
    pattern = f"new pattern {change.similarity:.2f}"
    return (pattern, "accent") if change.pattern else ("same", "quiet")


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
