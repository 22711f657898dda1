"""ActivationHistogram: how the values of a channel, or of a whole layer, are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Unpack

from ipywidgets import Widget
from traitlets import Enum

from convviz_widgets.state import ModelState, Selection
from convviz_widgets.tensors import full_limits, histogram, to_display_array
from convviz_widgets.views.base import ViewOptions
from convviz_widgets.views.histogram_view import Counted, HistogramView, non_finite, widened
from convviz_widgets.views.option_controls import SIDES, choice, line, side_choice

SCOPES = ("channel", "layer")


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

    scope = Enum(SCOPES, "channel", help="Values of the channel or of the layer.").tag(option=True)
    side = Enum(tuple(SIDES.values()), "out", help="Output, or input of an activation.").tag(
        option=True
    )

    def __init__(self, state: ModelState, **options: Unpack[ActivationHistogramOptions]) -> None:
        super().__init__(state, **options)

    def controls(self) -> Sequence[Widget]:
        """Return scope and side."""
        return [
            line(choice(self, "scope", "Of the", SCOPES, 150)),
            line(side_choice(self)),
        ]

    def count(self, selection: Selection) -> Counted:
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
