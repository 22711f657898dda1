"""Escaped texts and labels, numbers in words; the style sheet, the accent colour and the icons."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from ipywidgets import HTML, Layout, Widget
from PIL import ImageFont

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
"""CSS that hides icons from screen readers: they read the tooltip, not the icon's character."""

STYLE = """<style>
.cvw-view { color: var(--jp-ui-font-color1, #222); }
.cvw-line, .cvw-line > .widget-html-content {
  line-height: 20px; min-height: 20px; font-size: 13px; overflow: hidden; margin: 0;
  text-overflow: ellipsis; white-space: nowrap; color: var(--jp-ui-font-color1, #222); }
.cvw-title > .widget-html-content { font-weight: 600; }
.cvw-quiet, .cvw-quiet > .widget-html-content { line-height: 18px; min-height: 18px; }
.cvw-quiet > .widget-html-content { color: var(--jp-ui-font-color2, #666); font-size: 12px; }
.cvw-wrap, .cvw-wrap > .widget-html-content { white-space: normal; }
.cvw-wrap > .widget-html-content { overflow: visible; overflow-wrap: anywhere; }
.cvw-wrap > .widget-html-content, .cvw-problem > .widget-html-content { padding-right: 4px; }
.cvw-busy > .widget-html-content { color: #d9480f; text-align: right; }
.cvw-problem > .widget-html-content {
  color: var(--jp-error-color0, #b71c1c); white-space: pre-wrap; overflow-wrap: anywhere; }
.cvw-pixels, .cvw-pixels img { image-rendering: pixelated; max-width: none !important; margin: 0; }
.cvw-through { pointer-events: none; }
.cvw-frame { background: var(--jp-layout-color1, #fff); border-radius: 3px; }
.cvw-frame canvas { outline-offset: -2px; }
.cvw-frame canvas:focus { outline: 2px solid #d9480f; }
.cvw-pad canvas { cursor: crosshair; touch-action: none; }
.cvw-mono select { font-family: var(--jp-code-font-family, monospace); font-size: 12px;
  overflow-x: hidden; }
.jupyter-widgets.cvw-tabs > .lm-TabBar .lm-TabBar-tab {
  flex: 1 1 auto; min-width: 0; padding: 0 6px; }
.jupyter-widgets.cvw-tabs > .lm-TabBar .lm-TabBar-tabLabel { text-align: center; }
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


UNSEEN = re.compile(
    r"[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters but tab and new line, what turns the direction of text, halves of characters.

A page drops or obeys the former, and a half cannot be sent to it at all.
"""


def readable(text: str) -> str:
    r"""Return text in which what cannot be seen, or turns what follows around, is written out.

    >>> readable("conv\x00\u202e1")
    'conv\\x00\\u202e1'
    """
    return UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def escaped(text: str) -> str:
    """Return text as HTML that shows it letter by letter; every name goes through here.

    >>> escaped("<b>")
    '&lt;b&gt;'
    """
    return html.escape(readable(text))


class Style(HTML):
    """The style sheet of the views; takes no room."""

    def __init__(self) -> None:
        super().__init__(STYLE)
        self.layout.display = "none"


def cut_in_the_middle(name: str, most: int) -> str:
    """Return a name of at most so many characters, 3 at least; both of its ends stay.

    >>> cut_in_the_middle("checkpoint_best_of_fold_3.pt", 16), cut_in_the_middle("best.pt", 16)
    ('checkpoi…ld_3.pt', 'best.pt')
    """
    if len(name) <= most:
        return name
    tail = (most - 1) // 2
    return f"{name[: most - 1 - tail]}…{name[-tail:]}"


class Text(HTML):
    """One escaped piece of text. ``kind`` is title, quiet, wrap, busy or problem."""

    def __init__(self, text: str = "", kind: str = "", **layout: Any) -> None:
        super().__init__(escaped(text))
        self.add_class("cvw-line")
        for name in kind.split():
            self.add_class(f"cvw-{name}")
        for name, value in layout.items():
            setattr(self.layout, name, value)
        if layout.get("overflow") == "auto":
            self.tabbable = True  # keys scroll what has the focus

    def show(self, text: str) -> None:
        """Show another text; an equal one sends nothing."""
        self.value = escaped(text)

    @property
    def text(self) -> str:
        """What is read on the page; `value` holds it escaped."""
        return html.unescape(str(self.value))


class WrittenByPage(Widget):
    """A widget of which the page writes some traits by itself, from the frame that it shows.

    What the kernel writes into them is what a page that is loaded again begins with: on its way to
    a page that has moved on it would be of another checkpoint than the rest.
    """

    written: ClassVar[frozenset[str]] = frozenset({"value"})

    def _should_send_property(self, key: str, value: Any) -> bool:
        # Private to ipywidgets 8; see `FrameBook`, which uses it for the same reason.
        return key not in self.written and bool(super()._should_send_property(key, value))


class PageText(WrittenByPage, Text):
    """A text that the page writes; see `Frame`."""


class PageHTML(WrittenByPage, HTML):
    """HTML that the page writes; see `Frame`."""


WIDTH = 84
"""Width of the labels of strips, in pixels."""


class StripLabels(HTML):
    """A name and a number for each strip, in lines as high as the strips."""

    def __init__(self) -> None:
        super().__init__(layout=Layout(width=f"{WIDTH}px", flex="0 0 auto", margin="0"))

    def show(self, labels: Sequence[tuple[str, str]], height: int) -> None:
        """Write (name, number) of each strip; ``height`` is a strip's with its gap, in pixels."""
        cell = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
        lines = "".join(
            f'<div style="height:{height}px;line-height:{height}px;display:flex;font-size:12px;'
            f'color:var(--jp-ui-font-color1,#222)"><span style="flex:1;{cell}">'
            f"{escaped(name)}</span>"
            f'<span style="{cell};padding-right:10px;color:var(--jp-ui-font-color2,#666)">'
            f"{escaped(number)}</span></div>"
            for name, number in labels
        )
        self.value = f'<div style="padding-top:2px">{lines}</div>'


COLOURS = {
    "": "var(--jp-ui-font-color1, #222)",
    "quiet": "var(--jp-ui-font-color2, #666)",
    "accent": ACCENT,
}
"""CSS colour of each kind of label."""


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
    return f'<span style="{place};{look};{colour}">{escaped(label.text)}</span>'


def in_words(value: float, digits: int = 4) -> str:
    """Return a number with so many digits; NaN and the infinities by their names."""
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    return f"{value:.{digits}g}"


def range_of(values: np.ndarray) -> str:
    """Say from where to where the finite values go, and how many are not finite."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return "no finite value" if values.size else "no value"
    return f"{finite.min():.3g} to {finite.max():.3g}{not_finite(values)}"


def not_finite(values: np.ndarray) -> str:
    """Say how many values are NaN or infinite, to follow something else; empty for none."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # many times faster, and none of them is NaN or infinite then
            return ""
    count = values.size - int(np.isfinite(values).sum())
    return f", {count:,} NaN or infinite" if count else ""


@cache
def picture_font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Return the font of the words that are drawn into a picture; it has no letters but Latin's."""
    return ImageFont.load_default(size=10)
