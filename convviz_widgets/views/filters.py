"""FilterMosaic: the weights of a layer as pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal, Unpack

import numpy as np
from ipywidgets import Widget
from traitlets import Bool, Enum, Int

from convviz_widgets.probe import LayerInfo
from convviz_widgets.state import ModelState, Selection
from convviz_widgets.tensors import (
    DIVERGING,
    FilterTiles,
    by_look,
    channel_limits,
    filter_tiles,
    normalize,
    symmetric_limits,
    to_display_array,
)
from convviz_widgets.views.filter_noise import (
    FilterNoise,
    as_filters,
    filter_layer,
    has_filters,
    shown_as,
)
from convviz_widgets.widgets.controls import choice, line, number, switch
from convviz_widgets.widgets.mosaic_view import Colouring, MosaicView, Picture, Tiles
from convviz_widgets.widgets.text import not_finite
from convviz_widgets.widgets.view import ViewOptions, narrowed

ORDERS = {"by number": "number", "coloured and slow first": "look"}

SLICES = {"of the selected filter": "filter", "of one input channel": "input"}


class FilterMosaicOptions(ViewOptions, total=False):
    """Options of `FilterMosaic`."""

    colormap: Literal["blue-orange", "purple-green", "gray"]
    per_filter: bool
    slices: Literal["filter", "input"]
    order: Literal["number", "look"]
    input_channel: int


class FilterMosaic(MosaicView):
    """Filters of the selected layer at the selected checkpoint, zero in mid-grey.

    The first convolution shows its filters in colour, deeper ones by slice, fully connected
    layers as the map that feeds them, and a layer without weights those of the layer before it.
    Well-trained first-layer filters look smooth; noisy ones hint at too little training or
    regularisation [CS231n, understanding-cnn]. How noisy they are, over training, stands below,
    in `noise`.

    Examples
    --------
    >>> view = cvw.FilterMosaic(state)
    >>> view.caption
    '0 · ... · step 200 · n = 36 weights · scale ...'
    >>> state.history.wait(60)
    True
    >>> view.noise.caption
    '0 · step 200 · ...'
    """

    title: ClassVar[str] = "Filters"
    steps: ClassVar[str] = "channel"
    depends: ClassVar[frozenset[str]] = frozenset({"key", "layer", "channel"})
    repaints: ClassVar[frozenset[str]] = frozenset({"key", "layer", "channel"})
    instant: ClassVar[bool] = True
    reads_weights: ClassVar[bool] = True
    max_tile: ClassVar[int] = 72

    colormap = Enum(DIVERGING, "gray", help="Colours of slices.").tag(option=True)
    per_filter = Bool(False, help="Give each tile a scale of its own.").tag(option=True)
    slices = Enum(tuple(SLICES.values()), "filter", help="Which slices of a deeper layer.").tag(
        option=True
    )
    order = Enum(tuple(ORDERS.values()), "number", help="Which tile comes first.").tag(option=True)
    input_channel = Int(0, min=0, help="Input channel of those slices.").tag(option=True)

    def controls(self) -> Sequence[Widget]:
        """Return colours, scale, and which slices of a deeper layer."""
        return [
            line(
                choice(self, "colormap", "Colours", DIVERGING, 170),
                switch(self, "per_filter", "own scale per tile", 140),
                choice(self, "order", "Order", list(ORDERS.items()), 216),
            ),
            line(
                choice(self, "slices", "Slices of deeper layers", list(SLICES.items()), 330),
                number(self, "input_channel", "input", 120),
            ),
        ]

    def __init__(self, state: ModelState, **options: Unpack[FilterMosaicOptions]) -> None:
        super().__init__(state, **options)
        self.noise = narrowed(FilterNoise, self.width)(state, visible=self.visible)
        self.observe(lambda change: self.noise.set_trait("visible", change.new), names="visible")
        self.children = [*self.children, self.noise]

    def close(self) -> None:
        """Stop listening to the state and its history, and let go of every widget."""
        if hasattr(self, "noise"):  # else the view was refused
            self.noise.close()
        super().close()

    def tiles(self, selection: Selection) -> Tiles:
        """Return one tile a filter, or a slice."""
        info = filter_layer(self.state, selection.layer)
        filters = self._filters(info, selection)
        if self.order == "look":
            filters = in_order_of_look(filters)
        limits = symmetric_limits(filters.values)
        each = channel_limits(filters.values, symmetric_limits) if self.per_filter else limits
        colouring = Colouring(each, "colour" if filters.rgb else self.colormap)
        caption = (
            f"{shown_as(info, selection.layer)} · {filters.caption} · step {selection.step:,} · "
            f"n = {filters.values.size:,} weights{not_finite(filters.values)} · "
            f"scale {colouring.line}, zero in mid-grey"
        )
        labels = tuple(filters.label(tile) for tile in range(len(filters.values)))
        values = normalize(filters.values, each) if filters.rgb else filters.values
        return Tiles(
            values,
            None if filters.rgb else colouring,
            caption=caption,
            labels=labels,
            channels=filters.outputs,
        )

    def selected_tile(self, selection: Selection, picture: Picture) -> int | None:
        """Return the tile of the selected channel, where each tile is another channel."""
        channels = picture.tiles.channels
        return channels.index(selection.channel) if channels.count(selection.channel) == 1 else None

    def pick(self, tile: int) -> None:
        """Select the channel that the tile belongs to."""
        channel = self.painted.tiles.channels[tile] if self.painted else None
        if channel is not None:
            self.guarded(lambda: self.state.select(channel=channel))

    def describe(self, tile: int, picture: Picture) -> str:
        """Name the filter or the slice."""
        return picture.tiles.labels[tile]

    def _filters(self, info: LayerInfo, selection: Selection) -> FilterTiles:
        """Return the layer's filters; where they are but slices, those that are asked for."""
        weight = self.state.weight(info.name, selection=selection)
        assert weight is not None
        outputs = len(as_filters(info, weight))
        show = partial(
            filter_tiles,
            to_display_array(weight),
            groups=info.groups,
            transposed="Transpose" in info.kind,
            feeding_shape=feeding_shape(self.state.layers, info),
            rgb=None if self._sees_colours(info) else False,
        )
        tiles = show(out_channel=min(selection.channel, outputs - 1))
        if not tiles.sliced or self.slices == "filter":
            return tiles
        last = info.groups * len(tiles.values) - 1
        tiles = show(in_channel=min(self.input_channel, last))
        if self.input_channel <= last:
            return tiles
        return replace(tiles, caption=f"{tiles.caption}, the last one ({self.input_channel} asked)")

    def _sees_colours(self, info: LayerInfo) -> bool:
        """Tell whether the image feeds this layer: three channels further on are no colours."""
        layers = filter(has_filters, self.state.layers)
        first = next((each for each in layers if len(each.weight_shape or ()) >= 3), None)
        return info is first and self.state.image_set.shape[0] == 3


def in_order_of_look(filters: FilterTiles) -> FilterTiles:
    """Return the tiles, coloured low-frequency ones first, grey fast ones last: see `by_look`."""
    if filters.by_row:
        return filters
    values = filters.values  # (n, h, w) or (n, h, w, 3)
    order = by_look(np.moveaxis(values, 3, 1) if filters.rgb else values[:, np.newaxis])
    return replace(
        filters,
        values=values[order],
        outputs=tuple(filters.outputs[tile] for tile in order),
        inputs=tuple(filters.inputs[tile] for tile in order),
        caption=f"{filters.caption}, ordered by colour and frequency",
    )


def feeding_shape(layers: Sequence[LayerInfo], info: LayerInfo) -> tuple[int, ...] | None:
    """Return the shape of the map whose flattened values a fully connected layer reads.

    None where there is none: another fully connected layer lies between, or the sizes differ.
    """
    features = (info.weight_shape or (0,))[-1]
    for earlier in reversed(layers[: layers.index(info)]):
        mixes = len(earlier.weight_shape or ()) == 2 and has_filters(earlier)
        if mixes or math.prod(earlier.shape) != features:
            return None
        if len(earlier.shape) == 3:
            return earlier.shape
    return None
