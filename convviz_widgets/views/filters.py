"""FilterMosaic and FilterNoise: the filters of a layer, and how noisy they are over training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal, Unpack

import numpy as np
from bqplot import Mark
from ipywidgets import Widget
from traitlets import Bool, Enum, Int

from convviz_widgets.checkpoints import label_at
from convviz_widgets.measure import FilterFacts, Measurement
from convviz_widgets.probe import LayerInfo
from convviz_widgets.state import FILTERS, ModelState, Selection
from convviz_widgets.tensors import (
    DIVERGING,
    FilterTiles,
    channel_limits,
    filter_order,
    filter_tiles,
    normalize,
    symmetric_limits,
    to_display_array,
)
from convviz_widgets.tensors.filter_quality import (
    FULL_POWER,
    NOISY,
    PERMUTATIONS,
    cause_of,
    has_full_power,
)
from convviz_widgets.views.filter_layers import (
    as_filters,
    broken_weights,
    filter_layer,
    has_filters,
    shown_as,
)
from convviz_widgets.widgets.background_view import HistoryView
from convviz_widgets.widgets.controls import choice, legend, line, number, switch
from convviz_widgets.widgets.mosaic_view import Colouring, MosaicView, Picture, Tiles
from convviz_widgets.widgets.plot import (
    CURVES,
    CheckpointPlot,
    Plot,
    as_lines,
    draw_line,
    empty_frame,
    finite_points,
    send,
)
from convviz_widgets.widgets.raster import Overlay
from convviz_widgets.widgets.text import not_finite
from convviz_widgets.widgets.view import ViewOptions, at_most_wide

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
    framed: ClassVar[frozenset[str]] = frozenset({"key", "layer", "channel"})
    instant: ClassVar[bool] = True
    reads_weights: ClassVar[bool] = True
    max_tile: ClassVar[int] = 72
    field: ClassVar[str] = "channel"
    looks_ahead: ClassVar[bool] = True
    has_bar: ClassVar[bool] = True

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
        self.noise = at_most_wide(FilterNoise, self.width)(state, visible=self.visible)
        self.observe(lambda change: self.noise.set_trait("visible", change.new), names="visible")
        self.children = [*self.children, self.noise]

    @property
    def stopped(self) -> bool:
        """Whether the user has cancelled the measuring of the noise; False goes on with it."""
        return bool(self.noise.stopped)

    @stopped.setter
    def stopped(self, stopped: bool) -> None:
        self.noise.stopped = stopped

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
            f"{shown_as(info, selection.layer)} · {filters.caption} · {selection.label} · "
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
            self.select(channel=channel)

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
    """Return the tiles, coloured low-frequency ones first, grey fast ones last."""
    if filters.by_row:
        return filters
    values = filters.values  # (n, h, w) or (n, h, w, 3)
    order = filter_order(np.moveaxis(values, 3, 1) if filters.rgb else values[:, np.newaxis])
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


HEIGHT = 130

SHOWN = ("noisy filters", "noisy in what changed", "cosine to step 0", "entropy / random")
"""Names of what is drawn; all of it hardly leaves 0 to 1."""

COLOURS = dict(zip(SHOWN, CURVES, strict=False))

LOW_POWER = f"; low power: kernels below {FULL_POWER}×{FULL_POWER}"


@dataclass(frozen=True, eq=False)
class NoisePicture:
    """The noise at every checkpoint, and where the clock is."""

    history: NoiseHistory
    index: int
    broken: str
    """How many weights are not finite, in words, where no filter can be ranked."""


class FilterNoise(HistoryView):
    """Noisy filters of the selected layer at every checkpoint, and why they are.

    Drawn are the share of noisy filters, that of filters whose change since step 0 is noisy, the
    cosine to the weights of step 0, and the variance entropy as a part of that of random kernels
    [CS231n, understanding-cnn; Gavrikov & Keuper, CVPR 2022]. A click goes to a checkpoint.

    `plot` and its `overlay` are made when there is something to see.
    """

    title: ClassVar[str] = "Noise of the filters over training"
    fits_narrower: ClassVar[bool] = True
    caption_lines: ClassVar[int] = 3
    depends: ClassVar[frozenset[str]] = frozenset({"key", "checkpoint", "layer", "revision"})

    def parts(self, selection: Selection) -> tuple[str, ...]:
        """Return the filters."""
        return (FILTERS,)

    def figures(self) -> Sequence[Widget]:
        """Return the legend, the frame of the plot and the line below it."""
        self._noise_plot: NoisePlot | None = None
        self.plot: Plot | None = None
        self.overlay: Overlay | None = None
        self._pointed = self.clock_line()
        self._frame = empty_frame(self.width, HEIGHT)
        names = legend(*((name, colour, "solid") for name, colour in COLOURS.items()))
        return [names, self._frame, self._pointed]

    def picture(self, selection: Selection) -> NoisePicture | None:
        """Return what has been measured of the layer's filters."""
        measured = self.history.all(FILTERS)
        if all(each is None for each in measured):
            return None
        info, index = filter_layer(self.state, selection.layer), selection.checkpoint
        history = noise_history(measured, info, self.state.steps)
        is_unranked = history.counts[index] == 0
        broken = broken_weights(self.state, (info,), selection) if is_unranked else ""
        return NoisePicture(history, index, broken)

    def draw_picture(self, picture: NoisePicture) -> None:
        """Send the curves, the cursor and the sentence."""
        plot = self._noise_plot
        if plot is None:
            plot = NoisePlot(self.width, HEIGHT, self.go_to, self._pointed.show)
            self._noise_plot, self.plot, self.overlay = plot, plot.plot, plot.overlay
            self.listen_to(plot.overlay)
        plot.show(picture)
        self.reveal(self._frame, plot.overlay)
        self.say(picture.history.sentence(picture.index, picture.broken))


class NoisePlot(CheckpointPlot):
    """The curves of a `NoisePicture`, with a cursor at the clock."""

    name: ClassVar[str] = "noise of the filters over the checkpoints"

    def marks(self) -> list[Mark]:
        """Return a curve for each of `SHOWN`."""
        line = self.plot.new_line
        self._curves = [line(colors=[each], stroke_width=2) for each in COLOURS.values()]
        return self._curves

    def show(self, picture: NoisePicture) -> None:
        """Send the curves and the cursor."""
        self._values = values = picture.history.values
        highest = float(np.max(values[np.isfinite(values)], initial=1.0))
        self.set_axes(picture.history.steps, (-0.03, 1.03 * highest))
        for curve, row in zip(self._curves, values, strict=True):
            send(curve, *as_lines(*finite_points(row)))
        self.overlay.paint(partial(draw_line, plot=self.plot, index=picture.index))

    def words_of(self, index: int, y: int) -> str:
        """Say what is known of a checkpoint."""
        values = zip(SHOWN, self._values[:, index], strict=True)
        known = [f"{name} {value:z.2f}" for name, value in values if np.isfinite(value)]
        return " · ".join([label_at(self.steps, index), *known])


@dataclass(frozen=True, eq=False)
class NoiseHistory:
    """How noisy one layer's filters are at every checkpoint, as far as it is known."""

    info: LayerInfo
    steps: tuple[int, ...]
    values: np.ndarray
    """(what is `SHOWN`, checkpoints); NaN where it is unknown or undefined."""
    counts: tuple[int | None, ...]
    """Filters that could be ranked at each checkpoint; None where that has not been measured."""

    def sentence(self, index: int, broken: str) -> str:
        """Say how noisy the filters are at a checkpoint, and why; or why that is unknown."""
        at = f"{self.info.name} · {label_at(self.steps, index)}"
        count = self.counts[index]
        if count is None:
            return f"{at} · not measured yet"
        if broken:
            return f"{at} · no filter can be ranked: {broken}"
        if not count:
            kinds = "1×1, depthwise, fully connected and constant weights"
            return f"{at} · noisiness means nothing for {kinds}"
        share, update, cosine, entropy = self.values[:, index]
        size = tuple(self.info.weight_shape or ())[-2:]
        low = "" if has_full_power(size) else LOW_POWER
        said = [
            at,
            f"{share:.0%} of n = {count} filters are noisy: {NOISY:.0%} or more of {PERMUTATIONS} "
            f"shuffled copies are as smooth{low}",
            cause_of(share, cosine, update),
            f"cosine {cosine:z.2f}" if math.isfinite(cosine) else "step 0 unknown",
            f"variance entropy {entropy:.2f} of random" if math.isfinite(entropy) else "",
        ]
        return " · ".join(filter(None, said))


def noise_history(
    measured: Sequence[Measurement | None], info: LayerInfo, steps: tuple[int, ...]
) -> NoiseHistory:
    """Return what has been measured of a layer's filters."""
    facts = [None if each is None else each.filters.get(info.name) for each in measured]
    counts = (
        None if each is None else 0 if found is None else found.count
        for each, found in zip(measured, facts, strict=True)
    )
    values = np.array([_shown(each) for each in facts], np.float64).reshape(-1, len(SHOWN))
    return NoiseHistory(info, steps, values.T, tuple(counts))


def _shown(facts: FilterFacts | None) -> tuple[float, ...]:
    """Return what is `SHOWN`, NaN where it is unknown."""
    if facts is None:
        return (math.nan,) * len(SHOWN)
    return facts.share, facts.update_share, facts.cosine, facts.relative_entropy
