"""Legends: which colour means what."""

from __future__ import annotations

from ipywidgets import HBox, Layout, VBox

from convviz_widgets.views.text import Text


def legend(*entries: tuple[str, str, str]) -> HBox:
    """Return a line of entries (name, colour, "solid" or "dashed")."""
    still = Layout(overflow="hidden", flex="0 0 auto", flex_flow="row wrap", min_height="22px")
    return HBox([_entry(*entry) for entry in entries], layout=still)


def _entry(name: str, colour: str, stroke: str) -> HBox:
    swatch = VBox(layout=Layout(width="18px", height="4px", margin="9px 4px 0 6px"))
    swatch.layout.border_top = f"3px {stroke} {colour}"
    return HBox([swatch, Text(name, "quiet")], layout=Layout(overflow="hidden", flex="0 0 auto"))
