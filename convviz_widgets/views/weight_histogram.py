"""WeightHistogram: how the weights of a layer, or of one of its filters, are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ipywidgets import Widget
from traitlets import Enum

from convviz_widgets.state import Selection
from convviz_widgets.tensors import full_limits, histogram, to_display_array
from convviz_widgets.views.histogram_view import Counted, HistogramView, non_finite, widened
from convviz_widgets.views.option_controls import choice, line
from convviz_widgets.views.weights import weight_of

SCOPES = ("layer", "filter")


class WeightHistogram(HistogramView):
    """Histogram of the selected layer's weights at the selected checkpoint."""

    title: ClassVar[str] = "Weights"
    depends: ClassVar[frozenset[str]] = frozenset({"key", "layer", "channel"})
    instant: ClassVar[bool] = True

    scope = Enum(SCOPES, "layer", help="All weights, or those of the channel's filter.").tag(
        option=True
    )

    def controls(self) -> Sequence[Widget]:
        """Return the scope."""
        return [line(choice(self, "scope", "Of the", SCOPES, 150))]

    def count(self, selection: Selection) -> Counted:
        """Count the weights."""
        layer = to_display_array(weight_of(self.state, selection.layer))
        values = layer[selection.channel] if self.scope == "filter" and layer.ndim > 1 else layer
        counted = histogram(values, bins=48, limits=widened(full_limits(layer)))
        of = f"filter {selection.channel}" if self.scope == "filter" else "all filters"
        caption = (
            f"{selection.layer}, {of} · step {selection.step:,} · n = {values.size:,} weights"
            f" · mean {values.mean():.3g} · std {values.std():.3g}"
            f"{non_finite(counted)}"
        )
        return Counted(counted, "weight", caption)
