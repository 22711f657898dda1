"""LayerList: every layer, with a box to search them; ChannelStepper: the number of the channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from ipywidgets import BoundedIntText, Layout, Select, Widget
from ipywidgets import Text as SearchBox

from convviz_widgets.probe import LayerInfo
from convviz_widgets.state import ModelState, Selection, channel_count
from convviz_widgets.widgets import View
from convviz_widgets.widgets.controls import line, list_options, named
from convviz_widgets.widgets.page_element import ControlLinks
from convviz_widgets.widgets.text import Text
from convviz_widgets.widgets.view import ViewOptions


class LayerList(View):
    """Pick a layer; the search box keeps those whose name or kind contains every word."""

    title: ClassVar[str] = "Layer"
    caption_lines: ClassVar[int] = 2  # for a long name, so that nothing moves below
    depends: ClassVar[frozenset[str]] = frozenset({"layer"})
    width: ClassVar[int] = 216
    instant: ClassVar[bool] = True

    def __init__(self, state: ModelState, **options: Unpack[ViewOptions]) -> None:
        super().__init__(state, **options)

    def build(self) -> Sequence[Widget]:
        """Return the search box and the list."""
        box = SearchBox(
            placeholder="search layers", continuous_update=True, layout=Layout(width="212px")
        )
        self._search = named(box, "Search layers by name or kind")
        self._list = named(Select(rows=9, layout=Layout(width="212px")), "Layer")
        self._list.add_class("cvw-mono")
        self._search.observe(self._searched, names="value")
        self._sought: list[str] = []
        self.when_chosen(self._list, lambda layer: self.select(layer=layer))
        self._links = ControlLinks(self.state)
        return [self._search, self._list, self._links]

    def compute(self, selection: Selection) -> tuple[tuple[LayerInfo, ...], str]:
        """Return the layers that the search keeps, and the selected one."""
        sought, layers = self._sought, self.state.layers
        found = tuple(info for info in layers if all(word in _words(info) for word in sought))
        return found, selection.layer

    def draw(self, result: tuple[tuple[LayerInfo, ...], str]) -> None:
        """Fill the list; the selected layer stays selected even if the search hides it."""
        found, layer = result
        options = [(_label(info), info.name) for info in found]
        names = [name for _, name in options]
        if list_options(self._list, options):
            self._links.link([(self._list, "layer", names)])
        self._list.value = layer if layer in names else None
        self.say(f"{len(found)} of {len(self.state.layers)} layers · selected: {layer}")

    def _searched(self, change: Any) -> None:
        self._sought = change.new.lower().split()
        self.redraw()


def _words(info: LayerInfo) -> str:
    return f"{info.name} {info.kind}".lower()


def _label(info: LayerInfo) -> str:
    shape = "×".join(str(size) for size in info.shape)
    return f"{info.name}  {info.kind}  {shape if info.has_channels else 'not shown as channels'}"


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
        self.when_chosen(self._number, lambda channel: self.select(channel=channel))
        self._of = Text()
        links = ControlLinks(self.state)
        links.link([(self._number, "channel", None)])
        return [line(self._number, self._of), links]

    def compute(self, selection: Selection) -> tuple[int, int]:
        """Return the channel and how many the layer has."""
        return selection.channel, channel_count(self.state.layer_info(selection.layer))

    def draw(self, result: tuple[int, int]) -> None:
        """Set the number."""
        channel, count = result
        self._number.max = count - 1
        self._number.value = channel
        self._of.show(f"0 to {count - 1}")
