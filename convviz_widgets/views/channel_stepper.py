"""ChannelStepper: which channel of the layer is selected, by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from ipywidgets import BoundedIntText, Layout, Widget

from convviz_widgets.state import ModelState, Selection, channel_count
from convviz_widgets.views.base import View, ViewOptions
from convviz_widgets.views.option_controls import line, named
from convviz_widgets.views.text import Text


class ChannelStepper(View):
    """A number field for the channel, beside how many there are."""

    title: ClassVar[str] = "Channel"
    caption_lines: ClassVar[int] = 0
    depends: ClassVar[frozenset[str]] = frozenset({"layer", "channel"})
    width: ClassVar[int] = 216
    instant: ClassVar[bool] = True

    def __init__(self, state: ModelState, **options: Unpack[ViewOptions]) -> None:
        super().__init__(state, **options)

    def build(self) -> Sequence[Widget]:
        """Return the number field."""
        self._number = named(BoundedIntText(min=0, max=0, layout=Layout(width="84px")), "Channel")
        self._number.observe(self._changed, names="value")
        self._of = Text()
        return [line(self._number, self._of)]

    def compute(self, selection: Selection) -> tuple[int, int]:
        """Return the channel and how many the layer has."""
        return selection.channel, channel_count(self.state.layer_info(selection.layer))

    def draw(self, result: tuple[int, int]) -> None:
        """Set the number."""
        channel, count = result
        self._number.max = count - 1
        self._number.value = channel
        self._of.show(f"0 to {count - 1}")

    def _changed(self, change: Any) -> None:
        if not self.state.publishing_here():
            self.guarded(lambda: self.state.select(channel=change.new))
