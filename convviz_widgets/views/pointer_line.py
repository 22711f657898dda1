"""The line below a picture: what is under the pointer, and two buttons that step on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ipywidgets import Box, Button, Layout

from convviz_widgets.views.option_controls import icon_button
from convviz_widgets.views.text import Text

STEPS = (("angle-left", "previous", -1), ("angle-right", "next", 1))
"""Icon of each button, its word, and how far it goes."""

NARROW = 300
"""Pixels below which the buttons leave too little room for the text, and go under it."""


class PointerLine(Box):
    """Text of constant height, and buttons for those who cannot point at the picture.

    Parameters
    ----------
    view
        Says what goes wrong when a button is pressed.
    width
        In pixels: the picture's.
    steps
        What the buttons step through, as they are called: "channel". Without it there are none.
    step
        Called with -1 or 1.
    """

    def __init__(
        self, view: Any, width: int, steps: str = "", step: Callable[[int], Any] | None = None
    ) -> None:
        alone = width < NARROW
        self._text = Text(kind="quiet", flex="0 0 100%" if alone else "1 1 0", min_width="0")
        self.buttons: tuple[Button, ...] = ()
        if step is not None and steps:
            self.buttons = tuple(
                icon_button(view, icon, f"{word} {steps}", partial(step, by), 30, 22)
                for icon, word, by in STEPS
            )
        height = 46 if alone and self.buttons else 24
        still = Layout(width=f"{width}px", height=f"{height}px", flex="0 0 auto", margin="0")
        still.align_items, still.overflow, still.flex_flow = "center", "hidden", "row wrap"
        super().__init__([self._text, *self.buttons], layout=still)

    def show(self, text: str) -> None:
        """Say what is under the pointer."""
        self._text.show(text)

    @property
    def value(self) -> str:
        """What the line says, as HTML."""
        return str(self._text.value)

    def first_button(self) -> Button | None:
        """Return the control that follows the picture, if there is one."""
        return next(iter(self.buttons), None)
