"""How points look by their class: colour and shape, and the legend that says so."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
from ipywidgets import HTML, Layout

from convviz_widgets.views.plot import CURVES
from convviz_widgets.views.text import QUIET

GLYPHS = {"circle": "●", "square": "■", "triangle": "▲", "diamond": "◆"}
"""Shapes of points, and the same in a line of text."""

Look = tuple[str, str]
"""Colour and shape."""

UNLABELLED: Look = (QUIET, "circle")


def look_of(label: int) -> Look:
    """Return the look of a class: the colours first, then the same in another shape.

    After 28 classes they begin anew. Images without a label (-1) are grey.
    """
    if label < 0:
        return UNLABELLED
    shapes = tuple(GLYPHS)
    return CURVES[label % len(CURVES)], shapes[label // len(CURVES) % len(shapes)]


def class_name(label: int, names: Sequence[str] | None) -> str:
    """Return what a class is called."""
    if label < 0:
        return "no label"
    return names[label] if names is not None and label < len(names) else f"class {label}"


def rows_by_look(labels: np.ndarray) -> dict[Look, np.ndarray]:
    """Return the rows of each look that occurs among labels (n,)."""
    found: dict[Look, list[np.ndarray]] = {}
    for label in np.unique(labels):
        found.setdefault(look_of(int(label)), []).append(np.flatnonzero(labels == label))
    return {look: np.sort(np.concatenate(rows)) for look, rows in found.items()}


class PointLegend(HTML):
    """The classes with their points, in a box of constant size that scrolls."""

    def __init__(self, width: int, height: int) -> None:
        still = Layout(width=f"{width}px", height=f"{height}px", flex="0 0 auto", margin="0")
        still.overflow = "auto"
        super().__init__(layout=still)
        self.add_class("cvw-quiet")

    def show(self, labels: np.ndarray, names: Sequence[str] | None) -> None:
        """List the classes of labels (n,), each with how many there are."""
        present, counts = np.unique(labels, return_counts=True)
        rows = zip(present.tolist(), counts.tolist(), strict=True)
        self.value = "".join(_row(*look_of(k), class_name(k, names), n) for k, n in rows)


def _row(colour: str, shape: str, name: str, count: int) -> str:
    glyph = f'<span style="color:{colour}" aria-hidden="true">{GLYPHS[shape]}</span>'
    return (
        '<div style="white-space:nowrap;line-height:17px;overflow:hidden;text-overflow:ellipsis">'
        f"{glyph} {html.escape(name)} ({count:,})</div>"
    )
