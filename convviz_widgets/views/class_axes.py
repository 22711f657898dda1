"""The names of the classes beside and above a confusion matrix."""

from __future__ import annotations

import html
from collections.abc import Sequence

from convviz_widgets.views.class_cells import SIDE, ClassCells

LABELS = 84
"""Pixels beside the square for the names of the true classes."""

ABOVE = 74
"""Pixels above it for those of the answers."""

LEGIBLE = 12
"""Pixels of a cell from which on a name fits beside it."""

STYLE = (
    "position:absolute;font-size:11px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;"
    "color:var(--jp-ui-font-color1,#222)"
)


def names_beside(names: Sequence[str], cells: ClassCells) -> str:
    """Return the names of the rows as HTML, escaped; none where the cells are too small."""
    names = names if cells.enlarge >= LEGIBLE else ()
    side = cells.enlarge
    lines = "".join(
        f'<div style="{STYLE};top:{place * side}px;height:{side}px;line-height:{side}px;'
        f'right:6px;width:{LABELS - 8}px;text-align:right">{html.escape(name)}</div>'
        for place, name in enumerate(names)
    )
    return f'<div style="position:relative;width:{LABELS}px;height:{SIDE}px">{lines}</div>'


def names_above(names: Sequence[str], cells: ClassCells) -> str:
    """Return the names of the columns as HTML, upright, escaped, and what the axes mean."""
    names = names if cells.enlarge >= LEGIBLE else ()
    side = cells.enlarge
    lines = "".join(
        f'<div style="{STYLE};left:{LABELS + place * side}px;width:{side}px;line-height:{side}px;'
        f'bottom:4px;height:{ABOVE - 8}px;writing-mode:vertical-rl;transform:rotate(180deg)">'
        f"{html.escape(name)}</div>"
        for place, name in enumerate(names)
    )
    corner = (
        f'<div style="{STYLE};left:0;bottom:2px;width:{LABELS - 4}px;white-space:normal;'
        f'line-height:14px">answered →<br>true class ↓</div>'
    )
    size = f"position:relative;width:{LABELS + SIDE}px;height:{ABOVE}px"
    return f'<div style="{size}">{corner}{lines}</div>'
