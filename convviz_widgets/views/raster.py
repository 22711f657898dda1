"""Pixels in a page: a PNG that survives a reload, under a canvas for pointer and highlight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from ipycanvas import Canvas, hold_canvas
from ipywidgets import Box as WidgetBox
from ipywidgets import DOMWidget, GridBox, Image, Layout

from convviz_widgets.tensors import Box, rgb_png
from convviz_widgets.views.text import ACCENT

Pointer = Callable[[int, int], None]

ARROWS = {"ArrowLeft": (-1, 0), "ArrowRight": (1, 0), "ArrowUp": (0, -1), "ArrowDown": (0, 1)}

EMPTY_PNG = rgb_png(np.zeros((1, 1, 4), np.uint8))


class Raster(WidgetBox):
    """A frame of constant size that shows one picture, scrolls it, and follows the pointer.

    The picture is an `Image`, so it survives a reload of the page; a transparent canvas on it
    draws the highlights and reports clicks, moves and arrow keys. The kernel sends each pixel as
    it is to be seen: the page never scales it down.

    Parameters
    ----------
    width, height
        Size of the frame in CSS pixels; a larger picture scrolls inside.
    leave_to
        The control that takes the focus on Tab or Escape, because a canvas swallows both.
    """

    def __init__(self, width: int, height: int, *, leave_to: DOMWidget | None = None) -> None:
        still = {"flex": "0 0 auto", "margin": "0", "grid_area": "1 / 1"}
        self.leave_to = leave_to
        self._image = Image(value=EMPTY_PNG, format="png", layout=Layout(**still))
        self._image.add_class("cvw-pixels")
        self._canvas = Canvas(width=1, height=1, layout=Layout(**still))
        self._size = (0, 0)
        self._boxes: tuple[Box, ...] = ()
        self._grid = GridBox(
            [self._image, self._canvas],
            layout=Layout(flex="0 0 auto", margin="0", overflow="hidden"),
        )
        super().__init__(
            [self._grid],
            layout=Layout(
                width=f"{width}px",
                height=f"{height}px",
                flex="0 0 auto",
                overflow="auto",
                margin="0",
                display="block",
            ),
        )
        self.add_class("cvw-frame")
        self._canvas.on_client_ready(self._paint)
        self._pointer: tuple[int, int] | None = None
        self._canvas.on_mouse_move(self._follow)
        self._canvas.on_mouse_out(self._forget)

    # -- show ---------------------------------------------------------------------------------

    def show(self, png: bytes, width: int, height: int, boxes: Sequence[Box] = ()) -> None:
        """Show a picture of ``width`` × ``height`` pixels with these boxes highlighted."""
        if (width, height) != self._size:
            self._resize(width, height)
        self._image.value = png
        self.highlight(*boxes)

    def highlight(self, *boxes: Box) -> None:
        """Outline these boxes, in pixels of the picture, instead of those before."""
        if boxes != self._boxes:
            self._boxes = boxes
            self._paint()

    def _resize(self, width: int, height: int) -> None:
        self._size = (width, height)
        for part in (self._image, self._canvas, self._grid):
            part.layout.width, part.layout.height = f"{width}px", f"{height}px"
        self._canvas.width, self._canvas.height = width, height
        self._boxes = ()  # a canvas that changes its size forgets its drawing

    def _paint(self) -> None:
        with hold_canvas():
            self._canvas.clear()
            for box in self._boxes:
                _outline(self._canvas, box)
            _scratch().clear()

    # -- pointer and keys ---------------------------------------------------------------------

    def on_click(self, callback: Pointer) -> None:
        """Call ``callback(x, y)`` with the pixel of the picture that is clicked."""

        def pressed(x: float, y: float) -> None:
            # The canvas takes the focus before it asks where it lies: one that is partly out of
            # sight scrolls in between, and x and y are off. The move before was read right.
            callback(*(self._pointer or (int(x), int(y))))

        self._canvas.on_mouse_down(pressed)

    def on_move(self, callback: Pointer, leave: Callable[[], None]) -> None:
        """Call ``callback(x, y)`` with the pixel under the pointer, ``leave()`` when it goes."""
        self._canvas.on_mouse_move(lambda x, y: callback(int(x), int(y)))
        self._canvas.on_mouse_out(lambda _x, _y: leave())

    def _follow(self, x: float, y: float) -> None:
        self._pointer = int(x), int(y)

    def _forget(self, _x: float, _y: float) -> None:
        self._pointer = None

    def on_arrow(self, callback: Pointer) -> None:
        """Call ``callback(dx, dy)`` for an arrow key; Tab and Escape leave the canvas."""

        def pressed(key: str, *_modifiers: bool) -> None:
            if key in ARROWS:
                callback(*ARROWS[key])
            elif key in ("Tab", "Escape") and self.leave_to is not None:
                self.leave_to.focus()

        self._canvas.on_key_down(pressed)


@cache
def _scratch() -> Canvas:
    """Return the canvas that nobody looks at: clearing it ends each batch well.

    After a reload the first message lacks its canvas and kills the queue (ipycanvas issue 322).
    """
    return Canvas(width=1, height=1)


def _outline(canvas: Canvas, box: Box) -> None:
    """Draw the accent with a light line inside, so that it reads on any colour below."""
    for inset, width, colour in ((1, 2, ACCENT), (2.5, 1, "#ffffff")):
        canvas.line_width = width
        canvas.stroke_style = colour
        canvas.stroke_rect(
            box.x + inset, box.y + inset, box.width - 2 * inset, box.height - 2 * inset
        )
