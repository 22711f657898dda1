"""The names of strips, each beside its own."""

from __future__ import annotations

import html
from collections.abc import Sequence

from ipywidgets import HTML, Layout

WIDTH = 84


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
            f"{html.escape(name)}</span>"
            f'<span style="{cell};padding-right:10px;color:var(--jp-ui-font-color2,#666)">'
            f"{html.escape(number)}</span></div>"
            for name, number in labels
        )
        self.value = f'<div style="padding-top:2px">{lines}</div>'
