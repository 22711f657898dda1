"""Raster, TileRaster and Overlay: a picture on the page, its tiles, and a pane over a plot."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

import numpy as np
from ipywidgets import DOMWidget, GridBox, Layout
from PIL import Image
from traitlets import Bool, Dict, Int, List, Unicode

from convviz_widgets.state import ModelState
from convviz_widgets.tensors import Box, Mosaic, rgb_png
from convviz_widgets.widgets.frames import Frame, FrameBook
from convviz_widgets.widgets.gestures import ARROWS, Gestures, Pointer
from convviz_widgets.widgets.page_element import module_text

BAR = 18
"""Height of the colour bar in CSS pixels."""

EMPTY_PNG = rgb_png(np.zeros((1, 1, 4), np.uint8))


class Shapes:
    """Lines, frames and words over a plot, as commands for the page.

    It is drawn on as on a canvas: with the colours and widths that are set at that time.
    """

    def __init__(self) -> None:
        self.stroke_style = self.fill_style = "#000000"
        self.line_width = 1.0
        self.font, self.text_align = "10px sans-serif", "start"
        self.commands: list[list[Any]] = []

    def stroke_line(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """Draw a line."""
        self.stroke_lines([(x1, y1), (x2, y2)])

    def stroke_lines(self, points: Sequence[tuple[float, float]]) -> None:
        """Draw lines from point to point."""
        places = [[float(x), float(y)] for x, y in points]
        self._add("lines", self.stroke_style, places)

    def stroke_rect(self, x: float, y: float, width: float, height: float) -> None:
        """Draw a frame."""
        self._add("rectangle", self.stroke_style, *map(float, (x, y, width, height)))

    def fill_rect(self, x: float, y: float, width: float, height: float) -> None:
        """Fill a rectangle."""
        self._add("filled", self.fill_style, *map(float, (x, y, width, height)))

    def fill_text(self, text: str, x: float, y: float) -> None:
        """Write text."""
        self._add("text", self.fill_style, text, float(x), float(y), self.font, self.text_align)

    def _add(self, kind: str, colour: str, *what: Any) -> None:
        self.commands.append([kind, colour, self.line_width, *what])


class Raster(FrameBook):
    """A frame of constant size that shows one picture, scrolls it, and follows the pointer.

    The kernel sends each pixel as it is to be seen: the page never makes it smaller.

    What is seen can be read (`png`, `pixels`, `size`, `boxes`), and what a user does to it can be
    done in code, as its `gestures` do: `click`, `point_at`, `leave`, `drag`, `press`.

    Parameters
    ----------
    width, height
        Size of the frame in CSS pixels; a larger picture scrolls inside.
    state, traits
        As for a `FrameBook`.
    """

    written_by_pages = frozenset({"act", "pointer"})
    _esm = Unicode(
        module_text("renderRaster", "store", "element", "book", "palette", "shapes", "raster")
    ).tag(sync=True)
    width = Int(1).tag(sync=True)
    height = Int(1).tag(sync=True)
    label = Unicode("").tag(sync=True)
    """What a screen reader calls the picture, where a frame does not say."""
    tiled = Bool(False).tag(sync=True)
    """Whether tiles can be picked, by pointer and keys."""
    pane = Bool(False).tag(sync=True)
    """Whether it lies over something else, and shows no picture itself."""
    listens = Bool(False).tag(sync=True)
    """Whether pointer and keys mean anything on it."""
    reports = Bool(False).tag(sync=True)
    """Whether the kernel is told where the pointer is."""
    pointer = Dict().tag(sync=True, echo_update=False)
    """What the pointer did last, where that is reported; no act, which the next move would undo."""
    bar = Bool(False).tag(sync=True)
    """Whether there is a colour bar below."""
    field = Unicode("").tag(sync=True)
    """Field of the selection that says which tile is selected; empty: ``selected`` does."""
    selected = Int(None, allow_none=True).tag(sync=True)
    """The tile that is selected."""
    highlight_boxes: List[Any] = List().tag(sync=True)
    """What is outlined beside the selected tile: x, y, width, height."""
    drawing: List[Any] = List().tag(sync=True)
    """What is drawn over the picture: the commands of `Shapes`."""
    palettes = Dict().tag(sync=True)
    """Red, green and blue of each colour of a colour map, by its name."""
    caption_id = Unicode("").tag(sync=True)
    """The HTML widget into which the page writes the caption of the frame that it shows."""
    pointed_id = Unicode("").tag(sync=True)
    """That into which it writes what is under the pointer."""

    def __init__(
        self, width: int, height: int, state: ModelState | None = None, **traits: Any
    ) -> None:
        self.gestures = heard = Gestures()
        self.click, self.point_at = heard.click, heard.point_at
        self.leave, self.drag, self.press = heard.leave, heard.drag, heard.press
        self.drawn_by_frames = False
        """Whether the page takes what is drawn over it from the frames of a view."""
        super().__init__(state, width=width, height=height, **traits)
        self.layout.flex, self.layout.margin = "0 0 auto", "0"
        self.layout.width = f"{width}px"
        self.observe(self._follow_pointer, names="pointer")
        if self.bar:  # it stands close below the picture: what is below both stays where it is
            self.layout.height = f"{height + BAR}px"

    def on_click(self, callback: Pointer) -> None:
        """Call ``callback(x, y)`` with the pixel that is pressed."""
        self.listens = True
        self.gestures.on_click(callback)

    def on_release(self, callback: Pointer) -> None:
        """Call ``callback(x, y)`` with the pixel on which the button is let go."""
        self.listens = True
        self.gestures.on_release(callback)

    def on_move(self, callback: Pointer, leave: Callable[[], None]) -> None:
        """Call ``callback(x, y)`` with the pixel under the pointer, ``leave()`` when it goes."""
        self.listens = self.reports = True
        self.gestures.on_move(callback, leave)

    def on_arrow(self, callback: Pointer) -> None:
        """Call ``callback(dx, dy)`` for an arrow key."""
        self.listens = True
        self.gestures.on_arrow(callback)

    @property
    def png(self) -> bytes:
        """The file of the picture that is seen."""
        return bytes(self.frame.get("picture", EMPTY_PNG))

    @property
    def pixels(self) -> np.ndarray:
        """The picture that is seen: uint8 (height, width, 4), red, green, blue and opacity.

        >>> view = cvw.ActivationMosaic(state)
        >>> view.raster.pixels.shape[:2] == view.raster.size[::-1]
        True
        """
        return np.asarray(Image.open(io.BytesIO(self.png)).convert("RGBA"))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture on the page, in CSS pixels."""
        return self.frame.get("width", 0), self.frame.get("height", 0)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """What is outlined in the picture, in its pixels."""
        return tuple(Box(*box) for box in self.highlight_boxes)

    def show_picture(
        self, png: bytes, width: int, height: int, boxes: Sequence[Box] = (), alt: str = ""
    ) -> None:
        """Show a picture of ``width`` × ``height`` pixels with these boxes highlighted.

        ``alt`` is what a screen reader says of it.
        """
        with self.hold_sync():
            self.highlight(*boxes)
            self.show(Frame(png, width, height, alt=alt))

    def _should_send_property(self, key: str, value: Any) -> bool:
        # Private to ipywidgets 8; see `FrameBook`, which uses it for the same reason.
        if key == "drawing" and self.drawn_by_frames:
            return False
        return super()._should_send_property(key, value)

    def highlight(self, *boxes: Box) -> None:
        """Outline these boxes, in pixels of the picture, instead of those before."""
        self.highlight_boxes = [[box.x, box.y, box.width, box.height] for box in boxes]

    def paint(self, drawing: Callable[[Shapes], None]) -> None:
        """Draw over the picture, in CSS pixels, instead of what was drawn before."""
        shapes = Shapes()
        drawing(shapes)
        self.drawing = shapes.commands

    def _follow_pointer(self, change: Any) -> None:
        place = change.new.get("move")
        if _is_place(place):
            self.gestures.tell("mouse_move", *place)
        elif change.new.get("leave"):
            self.gestures.leave()

    def hear(self, message: Any) -> None:
        """Act on a press, a key, or a question."""
        super().hear(message)
        if not isinstance(message, dict):
            return
        for name, event in (("down", "mouse_down"), ("up", "mouse_up")):
            if _is_place(message.get(name)):
                self.gestures.tell("mouse_move", *message[name])
                self.gestures.tell(event, *message[name])
        if isinstance(message.get("key"), str):
            self.gestures.press(message["key"])
        if _is_place(message.get("ask")):
            self.tell({"words": self.asked(*message["ask"])})

    asked: Callable[[int, int], str] = staticmethod(lambda _x, _y: "")
    """Returns what is at a pixel, in words, where the page does not know."""


FARTHEST = 2**24
"""No pixel of any page lies farther away."""


def _is_place(value: Any) -> TypeGuard[list[int]]:
    """Tell whether what came from a page is x and y of a pixel."""
    return isinstance(value, list) and len(value) == 2 and all(map(_is_pixel, value))


def _is_pixel(value: Any) -> bool:
    return type(value) is int and abs(value) < FARTHEST  # a bool is an int, too


class TileRaster(Raster):
    """A raster of tiles, which reports the tile that pointer and keys mean.

    Parameters
    ----------
    width, height
        Size of the frame in CSS pixels.
    picked
        Called with the tile that is clicked, or led to by a key.
    moved
        Called with how many tiles an arrow key leads on, or back, where that is not in the picture.
    pointed
        Called with the tile under the pointer, None for none, where code moves it there: the page
        follows the pointer by itself.
    state, traits
        As for a `Raster`.

    Attributes
    ----------
    mosaic : where the tiles lie; None while there are none.
    """

    def __init__(
        self,
        width: int,
        height: int,
        state: ModelState | None = None,
        *,
        picked: Callable[[int], Any],
        moved: Callable[[int], Any],
        pointed: Callable[[int | None], Any] = lambda _tile: None,
        **traits: Any,
    ) -> None:
        super().__init__(width, height, state, **({"tiled": True, "listens": True} | traits))
        self.mosaic: Mosaic | None = None
        self._picked, self._moved = picked, moved
        self.gestures.on_click(self._clicked)
        self.gestures.on_move(lambda x, y: pointed(self._tile_at(x, y)), lambda: pointed(None))
        self.gestures.on("key_down", self._led)

    def show_tiles(self, png: bytes, mosaic: Mosaic, selected: int | None, **words: Any) -> None:
        """Show the picture of a mosaic, one tile of it outlined."""
        self.selected = selected
        self.show(Frame(png, mosaic.width, mosaic.height, mosaic, **words))

    def show_nothing(self) -> None:
        """Show no tile."""
        self.selected = None
        self.show(Frame(EMPTY_PNG))

    def show(self, frame: Frame, now: dict[str, Any] | None = None, key: int | None = None) -> bool:
        """Show a frame; see `FrameBook.show`."""
        self.mosaic = frame.mosaic
        return super().show(frame, now, key)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """What is outlined in the picture, in its pixels."""
        if self.selected is None or self.mosaic is None or self.selected >= self.mosaic.count:
            return super().boxes
        return (self.mosaic.box(self.selected), *super().boxes)

    def acted(self, what: dict[str, Any]) -> None:
        """Pick a tile."""
        tile = what.get("pick")
        if type(tile) is int and self.mosaic is not None and 0 <= tile < self.mosaic.count:
            self._picked(tile)

    def _tile_at(self, x: int, y: int) -> int | None:
        return self.mosaic.tile_at(x, y) if self.mosaic else None

    def _clicked(self, x: int, y: int) -> None:
        tile = self._tile_at(x, y)
        if tile is not None:
            self._picked(tile)

    def _led(self, key: str, *_others: bool) -> None:
        if self.mosaic is not None and key in ARROWS:
            dx, dy = ARROWS[key]
            self._moved(dx + dy * self.mosaic.columns)


class Overlay(GridBox):
    """A transparent pane over a widget: it draws on top, and reports pointer and keys.

    It hears, and does in code, what its `Gestures` do: `on_click`, `click` and so on.

    Parameters
    ----------
    under
        The widget that is seen through the pane.

    Attributes
    ----------
    pane : what lies over the widget.
    size : width and height in pixels.
    """

    def __init__(self, under: DOMWidget, label: str = "plot") -> None:
        self._under = under
        self.pane = pane = Raster(1, 1, pane=True, listens=True, label=label)
        for part in (under, pane):
            part.layout.flex, part.layout.margin = "0 0 auto", "0"
            part.layout.grid_area = "1 / 1"
        still = Layout(flex="0 0 auto", margin="0", overflow="hidden")
        super().__init__([under, pane], layout=still)
        self.on_click, self.on_release = pane.on_click, pane.on_release
        self.on_move, self.on_arrow, self.paint = pane.on_move, pane.on_arrow, pane.paint
        self.click, self.point_at, self.leave = pane.click, pane.point_at, pane.leave
        self.drag, self.press = pane.drag, pane.press

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in CSS pixels."""
        return self.pane.width, self.pane.height

    def resize(self, width: int, height: int) -> None:
        """Give the widget and the pane the same size in pixels."""
        for part in (self._under, self.pane, self):
            part.layout.width, part.layout.height = f"{width}px", f"{height}px"
        self.pane.width, self.pane.height = width, height
