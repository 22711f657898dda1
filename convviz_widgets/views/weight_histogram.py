"""WeightHistogram: how the weights of a layer, or of one of its filters, are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Unpack

from ipywidgets import Widget
from traitlets import Enum

from convviz_widgets.state import ModelState, Selection
from convviz_widgets.tensors import full_limits, histogram, summary, to_display_array
from convviz_widgets.views.base import ViewOptions
from convviz_widgets.views.histogram_view import Counted, HistogramView, non_finite, widened
from convviz_widgets.views.option_controls import choice, line
from convviz_widgets.views.weights import as_filters, filter_layer, shown_as

SCOPES = ("layer", "filter")


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

    scope = Enum(SCOPES, "layer", help="All weights, or those of the channel's filter.").tag(
        option=True
    )

    def __init__(self, state: ModelState, **options: Unpack[WeightHistogramOptions]) -> None:
        super().__init__(state, **options)

    def controls(self) -> Sequence[Widget]:
        """Return the scope."""
        return [line(choice(self, "scope", "Of the", SCOPES, 150))]

    def count(self, selection: Selection) -> Counted:
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
