"""DrawingRaster and DrawingOverlay: a picture under a canvas on which a person draws."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from typing import Any, TypedDict, Unpack

import numpy as np
from ipycanvas import Canvas, hold_canvas
from ipywidgets import Box as WidgetBox
from ipywidgets import DOMWidget, GridBox, Layout
from ipywidgets import Image as ImageWidget
from PIL import Image

from convviz_widgets.tensors import Box
from convviz_widgets.widgets.gestures import Gestures
from convviz_widgets.widgets.raster import EMPTY_PNG
from convviz_widgets.widgets.text import ACCENT

Hold = Callable[[], AbstractContextManager[Any]]

EVENTS = (
    "mouse_move",
    "mouse_down",
    "mouse_up",
    "mouse_out",
    "touch_start",
    "touch_move",
    "touch_end",
    "touch_cancel",
    "key_down",
)
"""What a canvas is listened to for, as ipycanvas calls it."""


class CanvasGestures(Gestures):
    """What a user does on a canvas with pointer and keys.

    Parameters
    ----------
    canvas
        The canvas that is listened to.
    left
        Called with ``onward=`` when a key leaves the canvas: True for Tab, else False.
    """

    def __init__(self, canvas: Canvas, left: Callable[..., Any]) -> None:
        super().__init__()
        for event in EVENTS:
            getattr(canvas, f"on_{event}")(partial(self.tell, event))

        def pressed(key: str, shift: bool = False, *_others: bool) -> None:
            if key in ("Tab", "Escape"):
                left(onward=key == "Tab" and not shift)

        self.on("key_down", pressed)

    def on_stroke(
        self,
        press: Callable[[float, float], None],
        move: Callable[[float, float], None],
        lift: Callable[[], None],
    ) -> None:
        """Call ``press(x, y)``, ``move(x, y)`` and ``lift()`` for each stroke of mouse or finger.

        A stroke ends at the edge: whether the button is let go outside is not heard.
        """
        is_down = False

        def pressed(x: float, y: float) -> None:
            nonlocal is_down
            is_down = True
            press(x, y)

        def moved(x: float, y: float) -> None:
            if is_down:
                move(x, y)

        def lifted(*_place: Any) -> None:
            nonlocal is_down
            if is_down:
                is_down = False
                lift()

        def first(callback: Callable[[float, float], None]) -> Callable[[list[Any]], None]:
            def touched(touches: list[Any]) -> None:
                for x, y in touches[:1]:
                    callback(x, y)

            return touched

        self.on("mouse_down", lambda x, y: pressed(*(self._pointer or (x, y))))  # see below
        self.on("mouse_move", moved)
        self.on("touch_start", first(pressed))
        self.on("touch_move", first(moved))
        for ending in ("mouse_up", "mouse_out", "touch_end", "touch_cancel"):
            self.on(ending, lifted)

    def _pressed_at(self, x: float, y: float) -> tuple[int, int]:
        # The canvas takes the focus before it asks where it lies: one that is partly out of
        # sight scrolls in between, and x and y are off. The move before was read right.
        return self._pointer or (int(x), int(y))


class CanvasOptions(TypedDict, total=False):
    """Where the focus goes from a canvas, and what it waits for; see `DrawingOverlay`."""

    before: DOMWidget | None
    after: DOMWidget | None
    hold: Hold


class DrawingOverlay(GridBox):
    """A transparent canvas on a widget: it draws highlights and reports pointer and keys.

    It hears, and does in code, what its `Gestures` do: `on_click`, `click` and so on.

    Parameters
    ----------
    under
        The widget that is seen through the canvas.
    before
        The control that takes the focus on Escape or Shift+Tab: a canvas swallows every key.
    after
        The one that takes it on Tab. Where one of the two is missing the other does.
    hold
        The state's ``hold``: a page that is ready asks from a thread of its own to be painted,
        and must not do so in the middle of a publication.

    Attributes
    ----------
    size : width and height in pixels.
    """

    def __init__(
        self,
        under: DOMWidget,
        *,
        before: DOMWidget | None = None,
        after: DOMWidget | None = None,
        hold: Hold = nullcontext,
    ) -> None:
        self.before, self.after, self.hold = before, after, hold
        self._under = under
        self._canvas = Canvas(width=1, height=1)
        for part in (under, self._canvas):
            part.layout.flex, part.layout.margin = "0 0 auto", "0"
            part.layout.grid_area = "1 / 1"
        still = Layout(flex="0 0 auto", margin="0", overflow="hidden")
        super().__init__([under, self._canvas], layout=still)
        self.size = (0, 0)
        self._drawing: Callable[[Canvas], None] = lambda canvas: None
        self._canvas.on_client_ready(self.repaint)
        heard = CanvasGestures(self._canvas, self._leave)
        self.on_click, self.on_release = heard.on_click, heard.on_release
        self.on_move, self.on_stroke, self.on_arrow = heard.on_move, heard.on_stroke, heard.on_arrow
        self.click, self.point_at, self.leave = heard.click, heard.point_at, heard.leave
        self.drag, self.press = heard.drag, heard.press

    def resize(self, width: int, height: int) -> None:
        """Give the widget and the canvas the same size in pixels; the drawing is forgotten."""
        if (width, height) != self.size:
            self.size = (width, height)
            for part in (self._under, self._canvas, self):
                part.layout.width, part.layout.height = f"{width}px", f"{height}px"
            self._canvas.width, self._canvas.height = width, height

    def paint(self, drawing: Callable[[Canvas], None]) -> None:
        """Draw on the empty canvas, now and again whenever a page has lost it."""
        self._drawing = drawing
        self._paint()

    def repaint(self) -> None:
        """Draw the same again: a page that is ready has an empty canvas, and asks for it."""
        with self.hold():
            self._paint()

    def _paint(self) -> None:
        with hold_canvas():
            self._canvas.clear()
            self._drawing(self._canvas)
            _scratch().clear()

    def focus(self) -> None:
        """Take the focus."""
        self._canvas.focus()

    def _leave(self, onward: bool) -> None:
        control = (self.after or self.before) if onward else (self.before or self.after)
        if control is not None:
            control.focus()


class DrawingRaster(WidgetBox):
    """A frame of constant size that shows one picture, scrolls it, and follows the pointer.

    The picture is an image widget, so it survives a reload of the page. The kernel sends each
    pixel as it is to be seen: the page never scales it down.

    What is seen can be read (`png`, `pixels`, `size`, `boxes`), and what a user does to it can be
    done in code, as on an `DrawingOverlay`: `click`, `point_at`, `leave`, `drag`, `press`.

    Parameters
    ----------
    width, height
        Size of the frame in CSS pixels; a larger picture scrolls inside.
    options
        Those of an `DrawingOverlay`.
    """

    def __init__(
        self,
        width: int,
        height: int,
        **options: Unpack[CanvasOptions],
    ) -> None:
        self._image = ImageWidget(value=EMPTY_PNG, format="png")
        self._image.add_class("cvw-pixels")
        self.overlay = DrawingOverlay(self._image, **options)
        overlay = self.overlay
        self.on_click, self.on_move = overlay.on_click, overlay.on_move
        self.on_arrow, self.on_stroke = overlay.on_arrow, overlay.on_stroke
        self.click, self.point_at, self.leave = overlay.click, overlay.point_at, overlay.leave
        self.drag, self.press, self.repaint = overlay.drag, overlay.press, overlay.repaint
        self._shown: tuple[int, int, tuple[Box, ...]] = (0, 0, ())
        frame = Layout(width=f"{width}px", height=f"{height}px", flex="0 0 auto", margin="0")
        frame.overflow, frame.display = "auto", "block"
        super().__init__([self.overlay], layout=frame)
        self.add_class("cvw-frame")

    @property
    def png(self) -> bytes:
        """The file of the picture that is seen."""
        return bytes(self._image.value)

    @property
    def pixels(self) -> np.ndarray:
        """The picture that is seen: uint8 (height, width, 4), red, green, blue and opacity.

        >>> view = cvw.Sketchpad(state)
        >>> view.raster.pixels.shape[:2] == view.raster.size[::-1]
        True
        """
        return np.asarray(Image.open(io.BytesIO(self.png)).convert("RGBA"))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture on the page, in CSS pixels."""
        return self.overlay.size

    @property
    def boxes(self) -> tuple[Box, ...]:
        """What is outlined in the picture, in its pixels."""
        return self._shown[2]

    def show(self, png: bytes, width: int, height: int, boxes: Sequence[Box] = ()) -> None:
        """Show a picture of ``width`` × ``height`` pixels with these boxes highlighted."""
        self.overlay.resize(width, height)
        self._image.value = png
        if self._shown != (width, height, tuple(boxes)):
            self._shown = (width, height, tuple(boxes))
            self.overlay.paint(partial(_outline, boxes=tuple(boxes)))

    def highlight(self, *boxes: Box) -> None:
        """Outline these boxes, in pixels of the picture, instead of those before."""
        width, height, before = self._shown
        if boxes != before:
            self._shown = (width, height, boxes)
            self.overlay.paint(partial(_outline, boxes=boxes))


@cache
def _scratch() -> Canvas:
    """Return a hidden canvas: clearing it completes each batch of drawing commands.

    After a reload the first message lacks its canvas and kills the queue (ipycanvas issue 322).
    """
    return Canvas(width=1, height=1)


def _outline(canvas: Canvas, boxes: Sequence[Box]) -> None:
    """Draw the accent with a light line inside, so that it reads on any colour below."""
    for box in boxes:
        for inset, width, colour in ((1, 2, ACCENT), (2.5, 1, "#ffffff")):
            canvas.line_width = width
            canvas.stroke_style = colour
            canvas.stroke_rect(
                box.x + inset, box.y + inset, box.width - 2 * inset, box.height - 2 * inset
            )
