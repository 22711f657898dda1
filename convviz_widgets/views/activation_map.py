"""ActivationMap: the map of the selected channel, enlarged, alone or over the input image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from ipywidgets import Widget
from traitlets import Bool, Enum

from convviz_widgets.state import Selection
from convviz_widgets.tensors import Mosaic, constant_maps
from convviz_widgets.views.mosaic_view import MosaicView
from convviz_widgets.views.option_controls import SIDES, line, side_choice, switch
from convviz_widgets.views.picture import (
    AUTOMATIC,
    COLORMAPS,
    Picture,
    Tiles,
    as_maps,
    colour,
)


class ActivationMap(MosaicView):
    """One activation map, with the value under the pointer.

    The scale is the layer's, so that a weak channel looks weak; the switch says when it is not.
    """

    title: ClassVar[str] = "Selected channel"
    caption_lines: ClassVar[int] = 3
    depends: ClassVar[frozenset[str]] = frozenset({"key", "image", "layer", "channel"})
    repaints: ClassVar[frozenset[str]] = depends
    width: ClassVar[int] = 282
    frame: ClassVar[tuple[int, int]] = (280, 272)
    max_tile: ClassVar[int] = 260

    colormap = Enum(COLORMAPS, AUTOMATIC, help="Colour map.").tag(option=True)
    overlay = Bool(False, help="Show the map over the input image.").tag(option=True)
    alone = Bool(False, help="Scale the map by its own values.").tag(option=True)
    side = Enum(tuple(SIDES.values()), "out", help="Output, or input of an activation.").tag(
        option=True
    )

    def controls(self) -> Sequence[Widget]:
        """Return the switches for the image below and for the scale, and the side."""
        return [
            line(
                switch(self, "overlay", "over the image", 125),
                switch(self, "alone", "own scale", 95),
            ),
            line(side_choice(self)),
        ]

    def tiles(self, selection: Selection) -> Tiles:
        """Return the one map."""
        maps = as_maps(self.state.recorded(selection.layer, self.side))  # (C, H, W)
        map_ = maps[selection.channel : selection.channel + 1]  # (1, H, W)
        colouring = colour(map_ if self.alone else maps, self.colormap)
        scale = "own" if self.alone else "layer's"
        caption = (
            f"{selection.layer}, channel {selection.channel} · step {selection.step:,} · image "
            f"{selection.image} · {scale} scale {colouring.line} · "
            f"zeros {np.mean(map_ == 0):.0%}"
        )
        below = self._grey(selection.image) if self.overlay else None
        return Tiles(map_, colouring, constant_maps(map_), caption, below=below)

    def mosaic(self, tiles: Tiles) -> Mosaic:
        """Return where the map lies: at the size of the image below it, if that is finer."""
        below = tiles.values if tiles.below is None else tiles.below
        finer = max(tiles.values, below, key=lambda maps: math.prod(maps.shape))
        return super().mosaic(Tiles(finer))

    def _grey(self, image: int) -> np.ndarray:
        """Return the input image in grey: ``(1, h, w)`` in [0, 1]."""
        return self.state.image_set.display(image).mean(axis=2)[np.newaxis] / 255

    def selected_tile(self, selection: Selection) -> int | None:
        """Return nothing: there is but one tile."""
        return None

    def pick(self, tile: int) -> None:
        """Do nothing: the one channel shown is the selected one."""

    def describe(self, tile: int, picture: Picture) -> str:
        """Say where the pointer is."""
        return ""

    def _moved(self, x: int, y: int) -> None:
        found = self._picture.mosaic.pixel_at(x, y) if self._picture else None
        if found is None or self._picture is None or found == self._place:
            return
        self._place = found
        mosaic, map_ = self._picture.mosaic, self._picture.tiles.values[0]  # (h, w)
        row = found[1] * map_.shape[0] // mosaic.tile_height
        column = found[2] * map_.shape[1] // mosaic.tile_width
        self._pointed.show(f"row {row}, column {column}: {map_[row, column]:.4g}")

    _place: Any = None

    def _left(self) -> None:
        self._place = None
        self._pointed.show("")
