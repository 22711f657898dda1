"""Walks a tree of widgets: finds controls by name, closes it, keeps it awake in a cell.

Figures stand in it only while they are seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ipywidgets import Box, Widget

SHARED = "_canvas_manager"
"""The trait by which every canvas refers to the one manager that draws for all of them."""


def widget_tree(root: Widget) -> Iterator[Widget]:
    """Yield ``root`` and every widget that its traits refer to, each once."""
    seen: set[int] = set()
    pending = [root]
    while pending:
        widget = pending.pop()
        if id(widget) in seen:
            continue
        seen.add(id(widget))
        yield widget
        for name in widget.keys:
            if name == SHARED:
                continue
            pending.extend(_widgets(getattr(widget, name)))


def _widgets(value: Any) -> Iterator[Widget]:
    if isinstance(value, Widget):
        yield value
    elif isinstance(value, dict):
        yield from (item for item in value.values() if isinstance(item, Widget))
    elif isinstance(value, (list, tuple)):
        yield from (item for item in value if isinstance(item, Widget))


def close_tree(root: Widget) -> None:
    """Close a widget with all of its own: closing a box alone leaves its children registered."""
    for widget in list(widget_tree(root)):
        Widget.close(widget)


def listen(root: Widget) -> None:
    """Let the kernel act on every control below ``root`` while a cell runs.

    The kernel routes a widget's messages to the shell that last sent on its comm, so that a widget
    which a cell has made or updated stays deaf until that cell ends. Without the remembered shell
    they go to the subshell that the front end asked for.
    """
    if root.comm is not None:
        # Private to ipykernel 7.4; without it there is nothing to drop.
        vars(root.comm).pop("_reply_subshell_id", None)
    for child in getattr(root, "children", ()):
        listen(child)


def controls_below(box: Widget) -> Iterator[Widget]:
    """Yield the controls below a box that are seen, in the order of the page."""
    for child in getattr(box, "children", ()):
        if child.layout.display == "none" or child.layout.visibility == "hidden":
            continue
        if parts := getattr(child, "named_parts", ()):
            yield from parts
        elif name_of(child):
            yield child
        else:
            yield from controls_below(child)


def name_of(control: Widget) -> str:
    """Return what a control is called on the page; empty for what only shows something."""
    return str(getattr(control, "description", "") or getattr(control, "tooltip", "") or "")


class FigureFrames:
    """The frames of a view's figures, each of which stands in its own only while it is seen.

    A figure of bqplot that is updated while the page is still making it fails there; so does one
    that is made in a hidden tab, where it has no size, when the page is reloaded.
    """

    def __init__(self) -> None:
        self._figures: dict[Box, Widget] = {}
        self._emptied: set[Box] = set()

    def place(self, frame: Box, figure: Widget) -> None:
        """Put a figure that has been drawn into its frame."""
        self._figures[frame] = figure
        self._emptied.discard(frame)
        frame.add_class("cvw-frame")  # the focus shows
        self.fill()

    def empty(self, frame: Box) -> None:
        """Take the figure out of its frame until it is placed again."""
        self._emptied.add(frame)
        frame.children = ()

    def fill(self) -> None:
        """Put back what `clear` has taken out."""
        for frame, figure in self._figures.items():
            if frame not in self._emptied and frame.children != (figure,):
                frame.children = (figure,)

    def clear(self) -> None:
        """Take all figures out of their frames: they are no longer seen."""
        for frame in self._figures:
            frame.children = ()

    def close(self) -> None:
        """Close the figures: what is in no frame is not below the view."""
        for figure in self._figures.values():
            close_tree(figure)
        self._figures.clear()
