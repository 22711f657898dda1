"""ActivationHistogram and WeightHistogram: how the values of a layer or channel are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Unpack

from ipywidgets import Widget
from traitlets import Enum

from convviz_widgets.state import ModelState, Selection
from convviz_widgets.tensors import full_limits, histogram, summary, to_display_array
from convviz_widgets.views.filter_layers import as_filters, filter_layer, shown_as
from convviz_widgets.widgets.controls import SIDES, choice, line, side_choice
from convviz_widgets.widgets.histogram_view import Counted, HistogramView, non_finite, widened
from convviz_widgets.widgets.view import ViewOptions

ACTIVATION_SCOPES = ("channel", "layer")

WEIGHT_SCOPES = ("layer", "filter")


class ActivationHistogramOptions(ViewOptions, total=False):
    """Options of `ActivationHistogram`."""

    scope: Literal["channel", "layer"]
    side: Literal["out", "in"]


class ActivationHistogram(HistogramView):
    """Histogram of the selected channel's (or layer's) values on the selected image.

    The axis spans the layer's values, so that channels can be compared. Exact zeros are counted
    in words instead of a bar, which would dwarf all others.

    Examples
    --------
    >>> view = cvw.ActivationHistogram(state, scope="layer")
    >>> int(view.counts.sum())  # 4 channels of 6×6, none of the values is zero
    144
    """

    title: ClassVar[str] = "Activation values"
    caption_lines: ClassVar[int] = 3
    depends: ClassVar[frozenset[str]] = frozenset({"key", "image", "layer", "channel"})

    scope = Enum(ACTIVATION_SCOPES, "channel", help="Values of the channel or of the layer.").tag(
        option=True
    )
    side = Enum(tuple(SIDES.values()), "out", help="Output, or input of an activation.").tag(
        option=True
    )

    def __init__(self, state: ModelState, **options: Unpack[ActivationHistogramOptions]) -> None:
        super().__init__(state, **options)

    def controls(self) -> Sequence[Widget]:
        """Return scope and side."""
        return [
            line(choice(self, "scope", "Of the", ACTIVATION_SCOPES, 150)),
            line(side_choice(self)),
        ]

    def compute(self, selection: Selection) -> Counted:
        """Count the values that are not exactly zero."""
        layer = to_display_array(self.state.recorded(side=self.side, selection=selection))
        values = layer[selection.channel] if self.scope == "channel" else layer
        limits = full_limits(layer)
        counted = histogram(values[values != 0], bins=48, limits=widened(limits))
        of = f"channel {selection.channel}" if self.scope == "channel" else "all channels"
        zeros = int((values == 0).sum())
        caption = (
            f"{selection.layer}, {of} · step {selection.step:,} · n = {values.size:,} values of "
            f"1 image · exact zeros {zeros / max(1, values.size):.0%}, not drawn"
            f"{non_finite(counted)}"
        )
        return Counted(counted, "activation", caption)


class WeightHistogramOptions(ViewOptions, total=False):
    """Options of `WeightHistogram`."""

    scope: Literal["layer", "filter"]


class WeightHistogram(HistogramView):
    """Histogram of the weights of the selected layer's filters at the selected checkpoint.

    For a layer without filters, a normalisation too: those of the layer that feeds it.

    Examples
    --------
    >>> view = cvw.WeightHistogram(state, scope="filter")
    >>> view.caption
    '0, filter 0 · step 200 · n = 9 weights · mean ... · std ...'
    """

    title: ClassVar[str] = "Weights"
    caption_lines: ClassVar[int] = 3
    depends: ClassVar[frozenset[str]] = frozenset({"key", "layer", "channel"})
    instant: ClassVar[bool] = True
    reads_weights: ClassVar[bool] = True

    scope = Enum(WEIGHT_SCOPES, "layer", help="All weights, or those of the channel's filter.").tag(
        option=True
    )

    def __init__(self, state: ModelState, **options: Unpack[WeightHistogramOptions]) -> None:
        super().__init__(state, **options)

    def controls(self) -> Sequence[Widget]:
        """Return the scope."""
        return [line(choice(self, "scope", "Of the", WEIGHT_SCOPES, 150))]

    def compute(self, selection: Selection) -> Counted:
        """Count the weights."""
        info = filter_layer(self.state, selection.layer)
        weight = self.state.weight(info.name, selection=selection)
        layer = to_display_array(as_filters(info, weight))
        channel = min(selection.channel, len(layer) - 1)
        values = layer[channel] if self.scope == "filter" else layer
        facts = summary(values)
        counted = histogram(values, bins=48, limits=widened(full_limits(layer)))
        of = f"filter {channel}" if self.scope == "filter" else "all filters"
        moments = f"mean {facts.mean:.3g} · std {facts.std:.3g}"
        caption = (
            f"{shown_as(info, selection.layer)}, {of} · step {selection.step:,}"
            f" · n = {values.size:,} weights{non_finite(counted)} · "
            f"{'no finite value' if facts.non_finite == facts.n else moments}"
        )
        return Counted(counted, "weight", caption)
