"""What TopImages draws: nine patches and their reconstructions, with labels and outlines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from ipywidgets import GridBox, HBox, Layout, VBox

from convviz_widgets.probe import FieldBox
from convviz_widgets.tensors import Box, Limits, normalize, rgb_png, symmetric_limits, to_rgba
from convviz_widgets.tensors.maps import energy_box
from convviz_widgets.tensors.mosaic import reduce_blocks
from convviz_widgets.views.units.top_patches import Change, Patch
from convviz_widgets.widgets.mosaic_view import block_means
from convviz_widgets.widgets.raster import EMPTY_PNG, Raster, Shapes
from convviz_widgets.widgets.text import ACCENT, Label, Text, TileLabels

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
"""Percentile of |R| at which the scale of the reconstructions ends."""


@dataclass(frozen=True, eq=False)
class TopPicture:
    """What there is to draw for one selection."""

    png: bytes
    labels: tuple[Label, ...]
    patches: tuple[Patch, ...] = ()
    outlines: tuple[Box, ...] = ()
    selected: int | None = None
    """The rank of the selected image."""
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


def paint_patches(
    patches: Sequence[Patch],
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
        uint8 (H, W, 3), the image of each patch; None: cannot be read.
    whole
        Show whole images; where a receptive field is most of the image they are shown in any case.
    """
    large = any(_is_large(patch, image_size) for patch in patches)
    crops = [
        Crop.whole(*image_size) if whole or large or patch.box is None else Crop.of(patch.box)
        for patch in patches
    ]
    maps = [None if patch.map is None else as_rgb(patch.map) for patch in patches]
    limits = limits_of(maps, crops, own_scale)
    outlines = [_outline_of(patch, large) if whole or large else None for patch in patches]
    size = "×".join(map(str, crops[0].size))
    outlined = "outlined: 90 % of |R|²" if large else "outlined: the receptive field"
    return Painted(
        rgb_png(paint_tiles(pictures, maps, crops, limits)),
        tuple(
            on_screen(box, crop, rank, right)
            for rank, (box, crop) in enumerate(zip(outlines, crops, strict=True))
            for right in (False, True)
            if box is not None
        ),
        f"whole images, {outlined}" if whole or large else f"receptive field {size} pixels",
        None if own_scale else limits[0].high,
    )


def labels_of(patches: Sequence[Patch]) -> tuple[Label, ...]:
    """Return the value below each patch, and what is new below each reconstruction."""
    labels = []
    for rank, patch in enumerate(patches):
        (x, y), (right, _) = place(rank, False), place(rank, True)
        below = y + TILE + (LABEL - 16) // 2
        labels.append(Label(f"{patch.value:.3g}", x, below, TILE))
        if patch.map is None:
            middle = y + TILE // 2
            labels.append(Label("nothing to", right, middle - 16, TILE, "quiet"))
            labels.append(Label("reconstruct: ≤ 0", right, middle, TILE, "quiet"))
        if patch.change is not None:
            text, kind = _in_words(patch.change)
            labels.append(Label(text, right, below, TILE, kind))
    return tuple(labels)


class PatchTiles(VBox):
    """The patches on the page, with their reconstructions on the right, below two titles.

    Parameters
    ----------
    picked
        Called with the rank of the patch that is clicked, or that an arrow key leads to.
    pointed
        Called with the rank of the patch under the pointer, None for none.

    Attributes
    ----------
    raster : the tiles, to be clicked on in code.
    """

    def __init__(
        self, *, picked: Callable[[int], Any], pointed: Callable[[int | None], Any]
    ) -> None:
        self._picked, self._selected = picked, -1
        self.raster, self._labels = Raster(WIDTH, HEIGHT, label="top images"), TileLabels()
        self.raster.on_click(self._clicked)
        self.raster.on_move(lambda x, y: pointed(tile_at(x, y)), lambda: pointed(None))
        self.raster.on_arrow(self.step)
        self._labels.add_class("cvw-through")
        still = Layout(width=f"{WIDTH}px", height=f"{HEIGHT}px", flex="0 0 auto", margin="0")
        for part in (self.raster, self._labels):
            part.layout.width, part.layout.height = f"{WIDTH}px", f"{HEIGHT}px"
            part.layout.grid_area, part.layout.margin = "1 / 1", "0"
        frame = GridBox([self.raster, self._labels], layout=still)
        self._titles = HBox(
            [
                Text("images, the strongest first", "quiet", width=f"{RIGHT}px"),
                Text(kind="quiet", width=f"{BLOCK}px"),
            ]
        )
        super().__init__([self._titles, frame], layout=Layout(flex="0 0 auto", overflow="hidden"))

    def show(self, picture: TopPicture, method: str) -> None:
        """Send the tiles, their labels and outlines."""
        self._selected = -1 if picture.selected is None else picture.selected
        self.raster.show_picture(picture.png, WIDTH, HEIGHT, alt=alt_of(picture))
        self._labels.show(picture.labels, WIDTH, HEIGHT)
        self._titles.children[1].show(f"what they answer to: {method}")
        for part in (self.raster, self._titles):
            part.layout.visibility = "inherit" if picture.patches else "hidden"
        self.raster.paint(partial(_draw_outlines, picture=picture))

    def step(self, dx: int, dy: int = 0) -> None:
        """Pick the patch so many tiles beside the selected one."""
        self._picked(max(0, self._selected + dx + dy * COLUMNS))

    def _clicked(self, x: int, y: int) -> None:
        rank = tile_at(x, y)
        if rank is not None:
            self._picked(rank)


def alt_of(picture: TopPicture) -> str:
    """Return what a screen reader says of the tiles."""
    ranked = [
        f"{rank}: image {patch.image}, {patch.value:.3g}"
        for rank, patch in enumerate(picture.patches, 1)
    ]
    return " · ".join(["; ".join(ranked), picture.caption])


def _draw_outlines(shapes: Shapes, picture: TopPicture) -> None:
    for box in picture.outlines:
        for inset, colour in ((0.5, "#ffffff"), (1.5, "#000000")):
            shapes.line_width, shapes.stroke_style = 1, colour
            width, height = box.width - 2 * inset, box.height - 2 * inset
            shapes.stroke_rect(box.x + inset, box.y + inset, width, height)
    if picture.selected is not None:
        for right in (False, True):
            x, y = place(picture.selected, right)
            shapes.line_width, shapes.stroke_style = 2, ACCENT
            shapes.stroke_rect(x + 1, y + 1, TILE - 2, TILE - 2)


def _is_large(patch: Patch, image_size: tuple[int, int]) -> bool:
    return patch.box is None or patch.box.share(image_size) > MUCH


def _outline_of(patch: Patch, large: bool) -> tuple[int, int, int, int] | None:
    """Return top, left, bottom and right of the receptive field, or of most of the signal."""
    if not large and patch.box is not None:
        return patch.box.top, patch.box.left, patch.box.bottom, patch.box.right
    return None if patch.map is None else energy_box(np.square(patch.map).sum(0))


def _in_words(change: Change) -> tuple[str, str]:
    if change.picture:
        return "new picture", "accent"
    if change.similarity is None:
        return "", "quiet"
    pattern = f"new pattern {change.similarity:z.2f}"
    return (pattern, "accent") if change.pattern else ("same", "quiet")


@dataclass(frozen=True)
class Crop(FieldBox):
    """The part of an image that a tile shows, and how large it is on the screen."""

    @classmethod
    def of(cls, box: FieldBox) -> Crop:
        """Return the crop to a receptive field."""
        return cls(**vars(box))

    @classmethod
    def whole(cls, height: int, width: int) -> Crop:
        """Return the crop that leaves a whole image."""
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

    def scaled(self, length: int) -> int:
        """Return a length of the image in pixels on the screen."""
        return length * self.enlarge // self.reduce


def place(rank: int, right: bool) -> tuple[int, int]:
    """Return x and y of a tile: of a patch, or of a reconstruction on the right."""
    row, column = divmod(rank, COLUMNS)
    return (RIGHT if right else 0) + column * (TILE + GAP), row * (TILE + LABEL)


def tile_at(x: int, y: int) -> int | None:
    """Return the rank of the tile, on either side, that a pixel lies in."""
    for rank in range(COLUMNS**2):
        for right in (False, True):
            left, top = place(rank, right)
            if left <= x < left + TILE and top <= y < top + TILE:
                return rank
    return None


def on_screen(box: tuple[int, int, int, int], crop: Crop, rank: int, right: bool) -> Box:
    """Return where a box (top, left, bottom, right) of an image lies in its tile."""
    x, y = _corner(crop, rank, right)
    top, left = (crop.scaled(crop.offset[i] + box[i] - (crop.top, crop.left)[i]) for i in (0, 1))
    height, width = (crop.scaled(box[i + 2] - box[i]) for i in (0, 1))
    return Box(x + left, y + top, max(4, width), max(4, height))


def paint_tiles(
    pictures: Sequence[np.ndarray | None],
    maps: Sequence[np.ndarray | None],
    crops: Sequence[Crop],
    limits: Sequence[Limits],
) -> np.ndarray:
    """Return the picture of all tiles: uint8 (HEIGHT, WIDTH, 4), transparent where nothing is.

    Parameters
    ----------
    pictures
        uint8 (H, W, 3), whole images; None: cannot be read.
    maps
        float (C, H, W), whole reconstructions; None: there is nothing to show.
    crops
        The part of each that is shown.
    limits
        The scale of each reconstruction; zero is mid-grey.
    """
    canvas = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    for rank, (picture, map_, crop, scale) in enumerate(
        zip(pictures, maps, crops, limits, strict=True)
    ):
        if picture is not None:
            (colours,) = block_means(crop.cut(picture)[np.newaxis] / 255, crop.reduce)
            _paste(canvas, colours, crop, rank, False)
        if map_ is not None:
            seen = np.moveaxis(crop.cut(np.moveaxis(map_, 0, -1)), -1, 0)
            colours = np.moveaxis(normalize(reduce_blocks(seen, crop.reduce, True), scale), 0, -1)
            _paste(canvas, colours, crop, rank, True)
    return canvas


def limits_of(maps: Sequence[np.ndarray | None], crops: Sequence[Crop], each: bool) -> list[Limits]:
    """Return the scale of each reconstruction: symmetric, for all alike or for each its own.

    One for all colours, at the 99.5th percentile of the magnitudes that are shown.
    """
    shown = [
        np.zeros(0) if map_ is None else crop.cut(np.moveaxis(map_, 0, -1)).ravel()
        for map_, crop in zip(maps, crops, strict=True)
    ]
    together = shown if each else [np.concatenate(shown)] * len(shown)
    return [symmetric_limits(values, PERCENTILE) for values in together]


def as_rgb(map_: np.ndarray) -> np.ndarray:
    """Return a map (C, H, W) with three colours: grey is repeated, of more the first three."""
    return map_[:3] if len(map_) >= 3 else np.repeat(map_[:1], 3, axis=0)


def _paste(canvas: np.ndarray, colours: np.ndarray, crop: Crop, rank: int, right: bool) -> None:
    """Put colours (h, w, 3) in [0, 1] where they belong, enlarged."""
    x, y = _corner(crop, rank, right)
    rows, columns = map(crop.scaled, crop.offset)
    pixels = to_rgba(colours).repeat(crop.enlarge, 0).repeat(crop.enlarge, 1)
    cell = canvas[y : y + TILE, x : x + TILE][rows:, columns:]
    height, width = min(len(pixels), len(cell)), min(pixels.shape[1], cell.shape[1])
    cell[:height, :width] = pixels[:height, :width]


def _corner(crop: Crop, rank: int, right: bool) -> tuple[int, int]:
    """Return where the full tile begins, in the middle of its place."""
    x, y = place(rank, right)
    height, width = (-(-value // crop.reduce) * crop.enlarge for value in crop.size)
    return x + (TILE - width) // 2, y + (TILE - height) // 2
