"""ActivationMap: the map of the selected channel, enlarged, alone or over the input image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from ipywidgets import Widget
from PIL import Image
from traitlets import Bool, Enum

from convviz_widgets.state import Selection
from convviz_widgets.tensors import Limits, normalize, palette, quantize
from convviz_widgets.views.mosaic_view import MosaicView
from convviz_widgets.views.option_controls import SIDES, line, side_choice, switch
from convviz_widgets.views.picture import (
    AUTOMATIC,
    COLORMAPS,
    Colouring,
    Picture,
    Tiles,
    as_maps,
    colour,
)

OPACITY = 0.6
"""Of the map, where it lies over the input image."""


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
        if self.overlay:
            return Tiles(self._over_image(map_[0], colouring, selection.image), caption=caption)
        constant = np.array([map_.size > 1 and map_.min() == map_.max()])
        return Tiles(map_, colouring, constant, caption)

    def _over_image(self, map_: np.ndarray, colouring: Colouring, image: int) -> np.ndarray:
        """Return the input image in grey with the coloured map over it: ``(1, h, w, 3)``."""
        assert isinstance(colouring.limits, Limits)
        below = self.state.image_set.display(image)  # (h, w, 3) uint8
        slots = quantize(normalize(map_, colouring.limits))
        above = Image.fromarray(palette(colouring.colormap)[slots][..., :3])
        height, width = below.shape[:2]
        enlarged = np.asarray(above.resize((width, height), Image.Resampling.NEAREST)) / 255
        grey = below.mean(axis=2, keepdims=True) / 255
        return (OPACITY * enlarged + (1 - OPACITY) * grey)[np.newaxis]

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
        tile, line, column = found
        value = self._picture.tiles.values[tile, line, column]
        if np.ndim(value) == 0:
            self._pointed.show(f"row {line}, column {column}: {value:.4g}")

    _place: Any = None

    def _left(self) -> None:
        self._place = None
        self._pointed.show("")
