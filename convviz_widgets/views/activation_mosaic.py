"""ActivationMosaic: the activation maps of every channel of a layer, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Unpack

import numpy as np
from ipywidgets import Widget
from traitlets import Bool, Enum

from convviz_widgets.state import ModelState, Selection
from convviz_widgets.tensors import constant_maps, sparsity
from convviz_widgets.views.base import ViewOptions
from convviz_widgets.views.mosaic_view import MosaicView
from convviz_widgets.views.option_controls import SIDES, choice, line, side_choice, switch
from convviz_widgets.views.picture import AUTOMATIC, COLORMAPS, Picture, Tiles, as_maps, colour
from convviz_widgets.views.words import not_finite, range_of


class ActivationMosaicOptions(ViewOptions, total=False):
    """Options of `ActivationMosaic`."""

    colormap: str
    per_channel: bool
    side: Literal["out", "in"]


class ActivationMosaic(MosaicView):
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
    steps: ClassVar[str] = "channel"
    depends: ClassVar[frozenset[str]] = frozenset({"key", "image", "layer", "channel"})
    repaints: ClassVar[frozenset[str]] = frozenset({"key", "image", "layer"})

    colormap = Enum(COLORMAPS, AUTOMATIC, help="Colour map.").tag(option=True)
    per_channel = Bool(False, help="Give each map a scale of its own.").tag(option=True)
    side = Enum(tuple(SIDES.values()), "out", help="Output, or input of an activation.").tag(
        option=True
    )

    def __init__(self, state: ModelState, **options: Unpack[ActivationMosaicOptions]) -> None:
        super().__init__(state, **options)

    def controls(self) -> Sequence[Widget]:
        """Return colour map, scale and side of the nonlinearity."""
        return [
            line(
                choice(self, "colormap", "Colours", COLORMAPS, 170),
                side_choice(self),
                switch(self, "per_channel", "own scale per map", 145),
            )
        ]

    def tiles(self, selection: Selection) -> Tiles:
        """Return one tile a channel."""
        maps = as_maps(self.state.recorded(side=self.side, selection=selection))  # (C, H, W)
        hatched = constant_maps(maps)
        colouring = colour(maps, self.colormap, self.per_channel)
        caption = (
            f"{selection.layer} · {len(maps)} channels of {maps.shape[1]}×{maps.shape[2]}"
            f" · step {selection.step:,} · n = 1 image · scale {colouring.line}"
            f" · {_counted(maps, hatched)}{not_finite(maps)}"
        )
        return Tiles(maps, colouring, hatched, caption)

    def selected_tile(self, selection: Selection, picture: Picture) -> int | None:
        """Return the selected channel."""
        return selection.channel

    def pick(self, tile: int) -> None:
        """Select the channel."""
        self.state.select(channel=tile)

    def describe(self, tile: int, picture: Picture) -> str:
        """Name the channel and its range."""
        return f"channel {tile}: {range_of(picture.tiles.values[tile])}"


def _counted(maps: np.ndarray, hatched: np.ndarray) -> str:
    """Say how many maps are hatched and why; an all-zero map is constant, too."""
    if not hatched.any():
        return "none hatched"
    dead = int((sparsity(maps) == 1).sum())
    constant = int(hatched.sum()) - dead
    line = f"{hatched.sum()} hatched: {dead} zero everywhere on this image"
    return line + (f", {constant} constant" if constant else "")
