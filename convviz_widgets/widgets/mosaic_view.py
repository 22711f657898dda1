"""MosaicView: many tiles, one of them selected; how their values become colours and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np
from ipywidgets import Widget
from torch import Tensor

from convviz_widgets.state import Selection, channel_count
from convviz_widgets.tensors import (
    COLORS,
    DIVERGING,
    SEQUENTIAL,
    Limits,
    Mosaic,
    channel_limits,
    normalize,
    palette,
    palette_png,
    quantize,
    rgb_png,
    symmetric_limits,
    to_rgba,
    zero_anchored_limits,
)
from convviz_widgets.tensors.display import only_read
from convviz_widgets.widgets.controls import PointerLine
from convviz_widgets.widgets.framed_view import CLOCK, FramedView
from convviz_widgets.widgets.frames import Frame
from convviz_widgets.widgets.raster import TileRaster
from convviz_widgets.widgets.text import PageText, Text, in_words

AUTOMATIC = "automatic"
"""Choose the colour map by the values: sequential from zero up, diverging for signed ones."""

COLORMAPS = (AUTOMATIC, *dict.fromkeys(SEQUENTIAL + DIVERGING))

ColormapName = Literal[
    "automatic", "viridis", "magma", "inferno", "cividis", "gray", "blue-orange", "purple-green"
]
"""`COLORMAPS`, for editors and mypy."""


@dataclass(frozen=True)
class DrawnMosaic:
    """A picture, the selection that it was computed for, and the tile that it highlights."""

    picture: Picture
    selection: Selection
    tile: int | None
    frame: Frame
    """The picture with its words, as it is sent."""


class MosaicView(FramedView):
    """Show tiles in a `TileRaster`; a subclass says which tiles, and what a click on one means.

    The picture is painted again when a field in ``framed`` changes; a change of anything else
    only moves the highlight. Pointer and keys are followed in the page, which has the names of all
    tiles; the kernel hears of the tile that is picked.

    `raster` is the picture on the page, to be read or clicked on; `painted` says what it shows.
    """

    fits_narrower: ClassVar[bool] = True
    frame: ClassVar[tuple[int, int]] = (566, 300)
    """Width and height of the frame in pixels."""
    min_tile: ClassVar[int] = 24
    max_tile: ClassVar[int] = 96
    steps: ClassVar[str] = ""
    """What the two buttons below the picture step through; without a name there are none."""
    tiled: ClassVar[bool] = True
    """Whether there are several tiles, one of which can be picked."""
    field: ClassVar[str] = ""
    """Field of the selection that picks a tile, where the page can tell."""
    has_bar: ClassVar[bool] = False
    """Whether there is a colour bar below the picture."""
    caption_text: ClassVar[type[Text]] = PageText

    def tiles(self, selection: Selection) -> Tiles:
        """Return what there is to show."""
        raise NotImplementedError

    def selected_tile(self, selection: Selection, picture: Picture) -> int | None:
        """Return the tile of the picture to highlight."""
        raise NotImplementedError

    def pick(self, tile: int) -> None:
        """Select what a tile stands for."""
        raise NotImplementedError

    def build(self) -> Sequence[Widget]:
        """Return the controls of the options, the raster, and the line under the pointer."""
        self._shown_now: DrawnMosaic | None = None
        self._hovered: int | None = None
        self._controls = list(self.controls())
        self._pointed = PointerLine(self, self.frame[0], self.steps, self.step, PageText)
        self.raster = TileRaster(
            *self.frame,
            self.state,
            picked=lambda tile: self.guarded(lambda: self.pick(tile)),
            moved=self._move_on,
            pointed=self._point,
            depends=self.framed - CLOCK,
            tiled=self.tiled,
            field=self.field,
            label=self.title,
            bar=self.has_bar,
            palettes=palettes() if self.has_bar else {},
            caption_id=self._caption.model_id,
            pointed_id=self._pointed.text_id,
        )
        self.keep_frames(self.raster)
        return [*self._controls, self.raster, self._pointed]

    def mosaic(self, tiles: Tiles) -> Mosaic:
        """Return where the tiles lie in the frame."""
        count, height, width = tiles.values.shape[:3]
        room = self.frame[0] - 16  # the scroll bar's
        return Mosaic.fit(
            count,
            height,
            width,
            max_width=room,
            max_height=self.frame[1],
            min_tile=self.min_tile,
            max_tile=self.max_tile,
        )

    def compute(self, selection: Selection) -> DrawnMosaic:
        """Return the picture, painted anew only if it would be another one, and the tile."""
        shown = self._shown_now
        if shown is None or not self.still_shows(selection, shown.selection):
            tiles = self.tiles(selection)
            picture = paint(tiles, self.mosaic(tiles))
            frame = self.frame_of(picture)
        else:
            picture, frame = shown.picture, shown.frame
        return DrawnMosaic(picture, selection, self.selected_tile(selection, picture), frame)

    def frame_at(self, selection: Selection) -> Frame:
        """Return the picture of any selection, with its words."""
        tiles = self.tiles(selection)
        return self.frame_of(paint(tiles, self.mosaic(tiles)))

    def frame_of(self, picture: Picture) -> Frame:
        """Return a picture with its words, as it is sent."""
        tiles, mosaic, colouring = picture.tiles, picture.mosaic, picture.tiles.colouring
        caption = tiles.caption + picture.reduction
        frame = Frame(
            picture.png,
            mosaic.width,
            mosaic.height,
            mosaic,
            names=tiles.labels,
            channels=tiles.channels or None,
            caption=caption,
            alt=": ".join(filter(None, (self.title, caption + tiles.summary))),
        )
        if colouring is None:
            return frame
        is_plain = tiles.below is None  # the colours lie over nothing: they can be others
        return replace(
            frame,
            colormap=colouring.colormap,
            recolours=colouring.recolours if is_plain else (),
            automatic=colouring.automatic,
            limits=colouring.ends,
        )

    def still_shows(self, selection: Selection, painted: Selection) -> bool:
        """Tell whether the tiles of one selection are those of another."""
        return not selection.changed(painted) & self.framed

    def draw(self, result: DrawnMosaic) -> None:
        """Send the picture and the highlight."""
        self._shown_now = result
        self.raster.selected = result.tile
        self.show_frame(result.frame, result.selection)
        self.say(result.frame.caption)
        self._pointed.show(
            self._name(result.tile if self._hovered is None else self._hovered, result.picture)
        )

    def describe(self, tile: int, picture: Picture) -> str:
        """Say what a tile is, for the line that follows the pointer."""
        return picture.tiles.labels[tile]

    def _name(self, tile: int | None, picture: Picture) -> str:
        known = tile is not None and tile < picture.mosaic.count
        return self.describe(tile, picture) if known and tile is not None else ""

    def step(self, by: int) -> None:
        """Select the channel so many further on, if there is one: what the buttons do."""
        selection = self.state.selection
        moved = selection.channel + by
        if 0 <= moved < channel_count(self.state.layer_info(selection.layer)):
            self.state.select(channel=moved)

    @property
    def painted(self) -> Picture | None:
        """What is on the page: the tiles with their values, and where in the frame each lies.

        >>> view = cvw.ActivationMosaic(state)
        >>> view.painted.tiles.values.shape, view.painted.mosaic.count
        ((4, 6, 6), 4)
        """
        return self._shown_now.picture if self._shown_now else None

    @property
    def highlighted(self) -> int | None:
        """The tile that is outlined: the one that is selected, if it is among them.

        >>> state.channel = 3
        >>> cvw.ActivationMosaic(state).highlighted
        3
        """
        return self._shown_now.tile if self._shown_now else None

    def _option_changed(self, change: Any) -> None:
        self._shown_now = None
        super()._option_changed(change)

    def _move_on(self, by: int) -> None:
        shown = self._shown_now
        if shown is not None and shown.tile is not None:
            moved = shown.tile + by
            if 0 <= moved < shown.picture.mosaic.count:
                self.guarded(lambda: self.pick(moved))

    def _point(self, tile: int | None) -> None:
        picture = self.painted  # another thread may paint a new one
        if picture is not None and tile is not None and tile != self._hovered:
            self._pointed.show(self._name(tile, picture))
        self._hovered = tile


@dataclass(frozen=True)
class Colouring:
    """How numbers become colours: the limits (one, or one a tile) and the colour map."""

    limits: Limits | tuple[Limits, ...]
    colormap: str
    recolours: tuple[str, ...] = ()
    """Options of the colour map that lead to the same limits."""
    automatic: str = ""
    """The colour map that "automatic" stands for."""

    @property
    def signed(self) -> bool:
        """Whether zero lies in the middle of the scale."""
        return (self.limits if isinstance(self.limits, Limits) else self.limits[0]).signed

    @property
    def ends(self) -> tuple[str, ...]:
        """What is written at a colour bar, from low to high."""
        if not isinstance(self.limits, Limits):
            return ("each tile on its own scale",)
        return f"{self.limits.low:.3g}", f"{self.limits.high:.3g}"

    @property
    def line(self) -> str:
        """The scale in words, for the line under the picture."""
        if isinstance(self.limits, Limits):
            return f"{self.limits.low:.3g} to {self.limits.high:.3g}, {self.colormap}"
        return f"EACH TILE ON ITS OWN SCALE, {self.colormap}"


@dataclass(frozen=True)
class Tiles:
    """What a mosaic shows: values ``(n, h, w)``, or colours ``(n, h, w, 3)`` in [0, 1]."""

    values: np.ndarray
    colouring: Colouring | None = None
    hatched: np.ndarray | None = None
    """bool ``(n,)``: tiles with nothing to see."""
    caption: str = ""
    labels: tuple[str, ...] = ()
    """What each tile is, in words: for the line that follows the pointer, and for who listens."""
    summary: str = ""
    """What else a screen reader says of the whole."""
    channels: tuple[int | None, ...] = ()
    """Channel that each tile belongs to, where that is not its own number."""
    below: np.ndarray | None = None
    """Grey pictures ``(n, H, W)`` in [0, 1] over which the coloured values lie."""


@dataclass(frozen=True)
class Picture:
    """A painted mosaic, ready to be sent, with the values that it was painted from."""

    png: bytes
    mosaic: Mosaic
    tiles: Tiles

    @property
    def reduction(self) -> str:
        """What one pixel stands for, if for a block of them: the end of the caption."""
        size = self.mosaic.reduce
        if size == 1:
            return ""
        kind = "mean" if self.tiles.colouring is None else "extreme"
        return f" · each pixel the {kind} of {size}×{size}"

    def value_at(self, x: int, y: int) -> str:
        """Say which value of the first tile is painted at a pixel, and where in the map it lies.

        Empty beside the tile.
        """
        found, map_ = self.mosaic.pixel_at(x, y), self.tiles.values[0]  # (h, w)
        if found is None or self.tiles.colouring is None:
            return ""
        sizes = (self.mosaic.tile_height, self.mosaic.tile_width)
        rows, columns = (
            np.unique(np.arange(start, min(start + self.mosaic.reduce, size)) * length // size)
            for start, length, size in zip(found[1:], map_.shape, sizes, strict=True)
        )
        values = map_[np.ix_(rows, columns)]
        low, high = float(values.min()), float(values.max())  # both are NaN if one value is
        extreme = low if self.tiles.colouring.signed and -low > high else high
        kind = "extreme " if values.size > 1 else ""
        return f"{_named('row', rows)}, {_named('column', columns)}: {kind}{in_words(extreme)}"


def _named(name: str, places: np.ndarray) -> str:
    return f"{name} {places[0]}" if len(places) == 1 else f"{name}s {places[0]} to {places[-1]}"


def as_maps(activation: Tensor) -> np.ndarray:
    """Return an activation as maps ``(C, H, W)``; a feature is a map of one pixel."""
    values = only_read(activation)
    if values.ndim < 2:
        return values.reshape(-1, 1, 1)
    return values.reshape(values.shape[0], -1, values.shape[-1])


def colour(values: np.ndarray, colormap: str = AUTOMATIC, each: bool = False) -> Colouring:
    """Choose limits and colour map for maps ``(n, h, w)``.

    Unsigned values are anchored at zero; the limits of signed ones, and those of a colour map
    whose middle means zero, are symmetric around it. ``each`` gives every map limits of its own.
    """
    lowest = values.min() if values.size else 0.0
    signed = bool(lowest < 0 if not np.isnan(lowest) else (values < 0).any())
    automatic = DIVERGING[0] if signed else SEQUENTIAL[0]
    if colormap == AUTOMATIC:
        colormap = automatic
    about_zero = signed or colormap not in SEQUENTIAL
    alike = COLORMAPS
    if not signed:
        alike = (AUTOMATIC, *SEQUENTIAL) if not about_zero else tuple(set(DIVERGING) - {"gray"})
    rule = symmetric_limits if about_zero else zero_anchored_limits
    limits = channel_limits(values, rule) if each and len(values) else rule(values)
    return Colouring(limits, colormap, alike, automatic)


@cache
def palettes() -> dict[str, bytes]:
    """Return red, green and blue of the values' colours of every colour map, for the page."""
    names = dict.fromkeys(SEQUENTIAL + DIVERGING)
    return {name: palette(name)[:COLORS, :3].tobytes() for name in names}


OPACITY = 0.6
"""Opacity of values that lie over a picture."""


def paint(tiles: Tiles, mosaic: Mosaic) -> Picture:
    """Paint the tiles onto a mosaic and return the file of the picture."""
    if tiles.colouring is None:
        pixels = mosaic.paint(to_rgba(block_means(tiles.values, mosaic.reduce)), tiles.hatched)
        return Picture(rgb_png(pixels), mosaic, tiles)
    values = _resized(tiles.values, mosaic.tile_height, mosaic.tile_width)
    shown = mosaic.reduced(values, signed=tiles.colouring.signed)
    slots = quantize(normalize(shown, tiles.colouring.limits))
    colours = palette(tiles.colouring.colormap)
    if tiles.below is None:
        return Picture(palette_png(mosaic.paint(slots, tiles.hatched), colours), mosaic, tiles)
    grey = _resized(tiles.below, mosaic.tile_height, mosaic.tile_width)[..., np.newaxis]
    behind = block_means(grey, mosaic.reduce)
    blended = OPACITY * colours[slots][..., :3] / 255 + (1 - OPACITY) * behind
    return Picture(rgb_png(mosaic.paint(to_rgba(blended), tiles.hatched)), mosaic, tiles)


def _resized(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return maps ``(n, h, w)`` at another size, each pixel the one that lies there."""
    if values.shape[1:] == (height, width):
        return values
    rows = np.arange(height) * values.shape[1] // height
    columns = np.arange(width) * values.shape[2] // width
    return values[:, rows[:, np.newaxis], columns]


def block_means(colours: np.ndarray, size: int) -> np.ndarray:
    """Return colours ``(n, h, w, c)`` with one pixel for each block of ``size`` × ``size``."""
    if size == 1:
        return colours
    down, right = (-length % size for length in colours.shape[1:3])
    padded = np.pad(colours, ((0, 0), (0, down), (0, right), (0, 0)), mode="edge")
    count, height, width, depth = padded.shape
    blocks = padded.reshape(count, height // size, size, width // size, size, depth)
    return blocks.mean(axis=(2, 4))
