"""Labels that lie over a picture: text of the page, in the colours of its theme."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from ipywidgets import HTML

from convviz_widgets.views.text import ACCENT

COLOURS = {
    "": "var(--jp-ui-font-color1, #222)",
    "quiet": "var(--jp-ui-font-color2, #666)",
    "accent": ACCENT,
}


@dataclass(frozen=True)
class Label:
    """A piece of text in the middle of a rectangle. ``kind`` is "", quiet or accent."""

    text: str
    x: int
    y: int
    width: int
    kind: str = ""


class TileLabels(HTML):
    """Escaped labels at fixed places."""

    def show(self, labels: Sequence[Label], width: int, height: int) -> None:
        """Show these labels over a picture of ``width`` × ``height`` pixels."""
        spans = "".join(map(_span, labels))
        size = f"position:relative;width:{width}px;height:{height}px"
        self.value = f'<div style="{size}">{spans}</div>'


def _span(label: Label) -> str:
    place = f"position:absolute;left:{label.x}px;top:{label.y}px;width:{label.width}px"
    look = "font-size:11px;line-height:16px;text-align:center;overflow:hidden;white-space:nowrap"
    colour = f"color:{COLOURS[label.kind]}"
    return f'<span style="{place};{look};{colour}">{html.escape(label.text)}</span>'
