"""ActivationMosaic: the maps of all channels of a layer; ActivationMap: that of one, enlarged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal, Unpack

import numpy as np
from ipywidgets import Widget
from traitlets import Bool, Enum

from convviz_widgets.errors import InputError, number_of
from convviz_widgets.state import ModelState, Selection
from convviz_widgets.tensors import Mosaic, constant_maps, sparsity
from convviz_widgets.widgets.controls import SIDES, choice, line, side_choice, switch
from convviz_widgets.widgets.frames import Frame
from convviz_widgets.widgets.mosaic_view import (
    AUTOMATIC,
    COLORMAPS,
    ColormapName,
    MosaicView,
    Picture,
    Tiles,
    as_maps,
    colour,
)
from convviz_widgets.widgets.text import not_finite, range_of
from convviz_widgets.widgets.view import ViewOptions


class ActivationOptions(ViewOptions, total=False):
    """Options of every view of activation maps."""

    colormap: ColormapName
    side: Literal["out", "in"]


class ActivationView(MosaicView):
    """Show activation maps of the selected layer; a subclass says which."""

    steps: ClassVar[str] = "channel"
    looks_ahead: ClassVar[bool] = True
    has_bar: ClassVar[bool] = True
    depends: ClassVar[frozenset[str]] = frozenset({"key", "image", "layer", "channel"})

    colormap = Enum(COLORMAPS, AUTOMATIC, help="Colour map.").tag(option=True)
    side = Enum(tuple(SIDES.values()), "out", help="Output, or input of an activation.").tag(
        option=True
    )

    def maps(self, selection: Selection) -> np.ndarray:
        """Return the maps of all channels, (C, H, W); raise where they are not known."""
        reason = self.state.layer_info(selection.layer).without_channels
        if reason:
            raise InputError(reason)
        return as_maps(self.state.recorded(side=self.side, selection=selection))


class ActivationMosaicOptions(ActivationOptions, total=False):
    """Options of `ActivationMosaic`."""

    per_channel: bool
    tokens: Literal["map", "table"]


class ActivationMosaic(ActivationView):
    """All activation maps of the selected layer for the selected image; a click picks a channel.

    Constant maps are hatched: one that is zero everywhere is dead *on this image*, which proves
    nothing about the channel [CS231n, understanding-cnn].

    Examples
    --------
    >>> view = cvw.ActivationMosaic(state, side="out", per_channel=True)
    >>> view.caption
    '0 · 4 channels of 6×6 · step 200 · n = 1 image · scale EACH TILE ON ITS OWN SCALE, ...'
    >>> view.control("next channel").click()
    >>> state.channel
    1
    """

    title: ClassVar[str] = "Activation maps"
    framed: ClassVar[frozenset[str]] = frozenset({"key", "image", "layer"})
    field: ClassVar[str] = "channel"

    per_channel = Bool(False, help="Give each map a scale of its own.").tag(option=True)
    tokens = Enum(
        ("map", "table"),
        "map",
        help="Show positions as a map, or as a table with all tokens: a row for each channel.",
    ).tag(option=True)

    def __init__(self, state: ModelState, **options: Unpack[ActivationMosaicOptions]) -> None:
        super().__init__(state, **options)

    def controls(self) -> Sequence[Widget]:
        """Return colour map, scale and side of the nonlinearity, and the form of tokens if any."""
        has_tokens = any(info.channel_axis == -1 for info in self.state.layers)
        as_what = ("map", "table")
        return [
            line(
                choice(self, "colormap", "Colours", COLORMAPS, 170),
                side_choice(self),
                switch(self, "per_channel", "own scale per map", 145),
            ),
            *([line(choice(self, "tokens", "Positions as", as_what, 170))] if has_tokens else []),
        ]

    def tiles(self, selection: Selection) -> Tiles:
        """Return one tile a channel."""
        maps, what = self._pictured(selection)  # (C, H, W)
        hatched = constant_maps(maps)
        colouring = colour(maps, self.colormap, self.per_channel)
        caption = (
            f"{selection.layer} · {what}"
            f" · {selection.label} · n = 1 image · scale {colouring.line}"
            f" · {_counted(maps, hatched)}{not_finite(maps)}"
        )
        return Tiles(
            maps,
            colouring,
            hatched,
            caption,
            labels=channel_names(maps),
            summary=f" · values {range_of(maps)}, zeros {np.mean(maps == 0):.0%}",
        )

    def mosaic(self, tiles: Tiles) -> Mosaic:
        """Return where the maps lie; the rows of a table lie on each other."""
        count, height, width = tiles.values.shape
        if height > 1 or width == 1:
            return super().mosaic(tiles)
        room = self.frame[0] - 16  # the scroll bar's
        tall = max(1, min(room // width, self.frame[1] // max(1, count), self.max_tile))
        return Mosaic(count, 1, width, 1, enlarge=tall, reduce=-(-width // room), gap=0)

    def _pictured(self, selection: Selection) -> tuple[np.ndarray, str]:
        """Return the maps (C, H, W), or the rows of the table (C, 1, T), and what they are."""
        maps = self.maps(selection)
        info = self.state.layer_info(selection.layer)
        if self.tokens == "map" and len(info.shape) != 2:
            first = info.prefix_tokens
            beside = f" (without {number_of(first, 'token')} in front)" if first else ""
            return maps, f"{len(maps)} channels of {maps.shape[1]}×{maps.shape[2]}{beside}"
        if self.side == "out" and len(info.shape) > 1:
            maps = as_maps(self.state.tokens(selection=selection))
        return (
            maps.reshape(len(maps), 1, -1),
            f"table: {len(maps)} channels down, {maps[0].size} positions across",
        )

    def selected_tile(self, selection: Selection, picture: Picture) -> int | None:
        """Return the selected channel."""
        return selection.channel

    def pick(self, tile: int) -> None:
        """Select the channel."""
        self.state.select(channel=tile)


def channel_names(maps: np.ndarray) -> tuple[str, ...]:
    """Name the channels of maps (C, H, W), each with its range and how much of it is zero."""
    flat = maps.reshape(len(maps), -1)
    zeros = np.mean(flat == 0, axis=1) if flat.size else np.zeros(len(flat))
    if not flat.size or not np.isfinite(flat.sum()):
        ranges = [range_of(values) for values in flat]
    else:  # all at once: a layer may have thousands
        ends = zip(flat.min(axis=1).tolist(), flat.max(axis=1).tolist(), strict=True)
        ranges = [f"{low:.3g} to {high:.3g}" for low, high in ends]
    return tuple(
        f"channel {channel}: {said}, {share:.0%} zero"
        for channel, (said, share) in enumerate(zip(ranges, zeros.tolist(), strict=True))
    )


def _counted(maps: np.ndarray, hatched: np.ndarray) -> str:
    """Say how many maps are hatched and why; an all-zero map is constant, too."""
    if not hatched.any():
        return "none hatched"
    dead = int((sparsity(maps) == 1).sum())
    constant = int(hatched.sum()) - dead
    line = f"{hatched.sum()} hatched: {dead} zero everywhere on this image"
    return line + (f", {constant} constant" if constant else "")


class ActivationMapOptions(ActivationOptions, total=False):
    """Options of `ActivationMap`."""

    overlay: bool
    alone: bool


class ActivationMap(ActivationView):
    """One activation map, with the value under the pointer.

    The scale is the layer's, so that a weak channel looks weak; the switch says when it is not.

    Examples
    --------
    >>> view = cvw.ActivationMap(state, colormap="magma")
    >>> view.raster.point_at(140, 140)
    >>> view.pointed
    'row 3, column 3: ...'
    >>> view.raster.press("ArrowRight")
    >>> view.caption
    "0, channel 1 · step 200 · image 0 · layer's scale -0.747 to 0.747, magma · zeros 0%"
    """

    title: ClassVar[str] = "Selected channel"
    caption_lines: ClassVar[int] = 3
    framed: ClassVar[frozenset[str]] = ActivationView.depends
    tiled: ClassVar[bool] = False
    width: ClassVar[int] = 282
    frame: ClassVar[tuple[int, int]] = (280, 272)
    max_tile: ClassVar[int] = 260

    overlay = Bool(False, help="Show the map over the input image.").tag(option=True)
    alone = Bool(False, help="Scale the map by its own values.").tag(option=True)

    def __init__(self, state: ModelState, **options: Unpack[ActivationMapOptions]) -> None:
        super().__init__(state, **options)

    def controls(self) -> Sequence[Widget]:
        """Return the switches for the image below and for the scale, and the side."""
        return [
            line(
                switch(self, "overlay", "over the image", 125),
                switch(self, "alone", "own scale", 95),
            ),
            line(side_choice(self)),
        ]

    def build(self) -> Sequence[Widget]:
        """Return what every mosaic has; the pointer is followed from pixel to pixel."""
        parts = super().build()
        self.raster.gestures.on_move(self._moved, self._left)
        self.raster.asked = self._asked
        return parts

    def tiles(self, selection: Selection) -> Tiles:
        """Return the one map."""
        maps = self.maps(selection)  # (C, H, W)
        map_ = maps[selection.channel : selection.channel + 1]  # (1, H, W)
        colouring = colour(map_ if self.alone else maps, self.colormap)
        scale = "own" if self.alone else "layer's"
        caption = (
            f"{selection.layer}, channel {selection.channel} · {selection.label} · "
            f"{selection.image_name} · {scale} scale {colouring.line} · "
            f"zeros {np.mean(map_ == 0):.0%}{not_finite(map_)}"
        )
        below = self._grey(selection) if self.overlay else None
        summary = f" · values {range_of(map_)}"
        return Tiles(map_, colouring, constant_maps(map_), caption, summary=summary, below=below)

    def frame_of(self, picture: Picture) -> Frame:
        """Return the picture with its numbers, which the page says under the pointer."""
        colouring = picture.tiles.colouring
        signed = colouring is not None and colouring.signed
        return replace(super().frame_of(picture), values=picture.tiles.values, signed=signed)

    def mosaic(self, tiles: Tiles) -> Mosaic:
        """Return where the map lies: at the size of the image below it, if that is finer."""
        below = tiles.values if tiles.below is None else tiles.below
        finer = max(tiles.values, below, key=lambda maps: math.prod(maps.shape))
        return super().mosaic(Tiles(finer))

    def _grey(self, selection: Selection) -> np.ndarray:
        """Return the input image in grey: ``(1, h, w)`` in [0, 1]."""
        return self.state.display(selection=selection).mean(axis=2)[np.newaxis] / 255

    def selected_tile(self, selection: Selection, picture: Picture) -> int | None:
        """Return nothing: there is but one tile."""
        return None

    def pick(self, tile: int) -> None:
        """Do nothing: the one channel shown is the selected one."""

    def describe(self, tile: int, picture: Picture) -> str:
        """Say what is painted under the pointer, wherever it is."""
        return picture.value_at(*self._place) if self._place else ""

    def _asked(self, x: int, y: int) -> str:
        picture = self.painted
        return "" if picture is None else picture.value_at(x, y)

    def _moved(self, x: int, y: int) -> None:
        picture = self.painted  # another thread may paint a new one
        if picture is not None:
            self._hovered, self._place = 0, (x, y)
            self._pointed.show(self.describe(0, picture))

    _place: tuple[int, int] | None = None

    def _point(self, tile: int | None) -> None:
        """Do nothing: see `_moved`."""

    def _move_on(self, by: int) -> None:
        self.guarded(lambda: self.step(by))

    def _left(self) -> None:
        self._hovered = self._place = None
        self._pointed.show("")
