"""Text in a page: always escaped, because names and messages come from strangers."""

from __future__ import annotations

import html
from typing import Any

from ipywidgets import HTML

ICONS = {
    "angle-left": "f104",
    "angle-right": "f105",
    "expand": "f065",
    "fast-backward": "f049",
    "fast-forward": "f050",
    "pause": "f04c",
    "play": "f04b",
    "step-backward": "f048",
    "step-forward": "f051",
}
"""Character of each icon in Font Awesome."""

SILENT_ICONS = "\n".join(
    f'.cvw-icon .fa-{name}::before {{ content: "\\{code}" / ""; }}' for name, code in ICONS.items()
)
"""Without these a button's name is its icon, a character that no voice can read; so its tooltip."""

STYLE = """<style>
.cvw-view { color: var(--jp-ui-font-color1, #222); }
.cvw-line, .cvw-line > .widget-html-content {
  line-height: 20px; min-height: 20px; font-size: 13px; overflow: hidden; margin: 0;
  text-overflow: ellipsis; white-space: nowrap; color: var(--jp-ui-font-color1, #222); }
.cvw-title > .widget-html-content { font-weight: 600; }
.cvw-quiet, .cvw-quiet > .widget-html-content { line-height: 18px; min-height: 18px; }
.cvw-quiet > .widget-html-content { color: var(--jp-ui-font-color2, #666); font-size: 12px; }
.cvw-wrap, .cvw-wrap > .widget-html-content { white-space: normal; }
.cvw-busy > .widget-html-content { color: #d9480f; text-align: right; }
.cvw-problem > .widget-html-content {
  color: var(--jp-error-color0, #b71c1c); white-space: pre-wrap; overflow-wrap: anywhere; }
.cvw-pixels, .cvw-pixels img { image-rendering: pixelated; max-width: none !important; margin: 0; }
.cvw-frame { background: var(--jp-layout-color1, #fff); border-radius: 3px; }
.cvw-frame canvas { outline-offset: -2px; }
.cvw-frame canvas:focus { outline: 2px solid #d9480f; }
.cvw-pad canvas { cursor: crosshair; touch-action: none; }
.cvw-mono select { font-family: var(--jp-code-font-family, monospace); font-size: 12px;
  overflow-x: hidden; }
.cvw-tabs > .lm-TabBar .lm-TabBar-tab { flex: 1 1 auto; min-width: 0; padding: 0 6px; }
.cvw-tabs > .lm-TabBar .lm-TabBar-tabLabel { text-align: center; }
.cvw-named { position: relative; }
.cvw-named > .widget-label { position: absolute; width: 1px; height: 1px; min-width: 0; margin: 0;
  padding: 0; overflow: hidden; clip-path: inset(50%); }
"""
STYLE += SILENT_ICONS + "\n</style>"
"""Colours come from the theme, so that light and dark both read; the accent is the one colour."""

QUIET = "#8a8a8a"
"""A grey for the labels of axes that reads on white and on black."""

ACCENT = "#d9480f"
"""The one accent colour: what is selected, and what is being computed."""


class Style(HTML):
    """The style sheet of the views; takes no room."""

    def __init__(self) -> None:
        super().__init__(STYLE)
        self.layout.display = "none"


class Text(HTML):
    """One escaped piece of text. ``kind`` is title, quiet, wrap, busy or problem."""

    def __init__(self, text: str = "", kind: str = "", **layout: Any) -> None:
        super().__init__(html.escape(text))
        self.add_class("cvw-line")
        for name in kind.split():
            self.add_class(f"cvw-{name}")
        for name, value in layout.items():
            setattr(self.layout, name, value)

    def show(self, text: str) -> None:
        """Show another text; an equal one sends nothing."""
        self.value = html.escape(text)
