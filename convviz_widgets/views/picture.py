"""From maps to the picture of a mosaic: limits, colours, tiles, pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from convviz_widgets.tensors import (
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
    to_display_array,
    to_rgba,
    zero_anchored_limits,
)
from convviz_widgets.views.words import in_words

AUTOMATIC = "automatic"
"""Choose the colour map by the values: sequential from zero up, diverging for signed ones."""

OPACITY = 0.6
"""Of values that lie over a picture."""

COLORMAPS = (AUTOMATIC, *dict.fromkeys(SEQUENTIAL + DIVERGING))


@dataclass(frozen=True)
class Colouring:
    """How numbers become colours: the limits (one, or one a tile) and the colour map."""

    limits: Limits | tuple[Limits, ...]
    colormap: str

    @property
    def signed(self) -> bool:
        """Whether zero lies in the middle of the scale."""
        return (self.limits if isinstance(self.limits, Limits) else self.limits[0]).signed

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
    """What each tile is, in words."""
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
    values = to_display_array(activation)
    if values.ndim < 2:
        return values.reshape(-1, 1, 1)
    return values.reshape(values.shape[0], -1, values.shape[-1])


def colour(values: np.ndarray, colormap: str = AUTOMATIC, each: bool = False) -> Colouring:
    """Choose limits and colour map for maps ``(n, h, w)``.

    Unsigned values are anchored at zero; the limits of signed ones, and those of a colour map
    whose middle means zero, are symmetric around it. ``each`` gives every map limits of its own.
    """
    signed = bool((values < 0).any())
    if colormap == AUTOMATIC:
        colormap = DIVERGING[0] if signed else SEQUENTIAL[0]
    about_zero = signed or colormap not in SEQUENTIAL
    rule = symmetric_limits if about_zero else zero_anchored_limits
    limits = channel_limits(values, rule) if each and len(values) else rule(values)
    return Colouring(limits, colormap)


def paint(tiles: Tiles, mosaic: Mosaic) -> Picture:
    """Paint the tiles onto a mosaic and return the file of the picture."""
    if tiles.colouring is None:
        pixels = mosaic.paint(to_rgba(_block_means(tiles.values, mosaic.reduce)), tiles.hatched)
        return Picture(rgb_png(pixels), mosaic, tiles)
    values = _spread(tiles.values, mosaic.tile_height, mosaic.tile_width)
    shown = mosaic.reduced(values, signed=tiles.colouring.signed)
    slots = quantize(normalize(shown, tiles.colouring.limits))
    colours = palette(tiles.colouring.colormap)
    if tiles.below is None:
        return Picture(palette_png(mosaic.paint(slots, tiles.hatched), colours), mosaic, tiles)
    grey = _spread(tiles.below, mosaic.tile_height, mosaic.tile_width)[..., np.newaxis]
    behind = _block_means(grey, mosaic.reduce)
    blended = OPACITY * colours[slots][..., :3] / 255 + (1 - OPACITY) * behind
    return Picture(rgb_png(mosaic.paint(to_rgba(blended), tiles.hatched)), mosaic, tiles)


def _spread(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return maps ``(n, h, w)`` at another size, each pixel the one that lies there."""
    if values.shape[1:] == (height, width):
        return values
    rows = np.arange(height) * values.shape[1] // height
    columns = np.arange(width) * values.shape[2] // width
    return values[:, rows[:, np.newaxis], columns]


def _block_means(colours: np.ndarray, size: int) -> np.ndarray:
    """Return colours ``(n, h, w, c)`` with one pixel for each block of ``size`` × ``size``."""
    if size == 1:
        return colours
    down, right = (-length % size for length in colours.shape[1:3])
    padded = np.pad(colours, ((0, 0), (0, down), (0, right), (0, 0)), mode="edge")
    count, height, width, depth = padded.shape
    blocks = padded.reshape(count, height // size, size, width // size, size, depth)
    return blocks.mean(axis=(2, 4))
