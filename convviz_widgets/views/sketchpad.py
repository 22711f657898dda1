"""Sketchpad: paint over the selected image, and every view follows."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
import torch
from ipywidgets import BoundedIntText, Button, ColorPicker, FileUpload, HBox, Layout, VBox, Widget
from PIL import Image
from torch import Tensor
from traitlets import Bool, Enum, Int, Unicode, default, validate

from convviz_widgets.errors import InputError
from convviz_widgets.images.picture_file import read_picture
from convviz_widgets.images.preprocessing import Preprocessing
from convviz_widgets.state import Drawing, ModelState, Selection, Shown, Ticker, image_of
from convviz_widgets.tensors import Brush, rgb_png
from convviz_widgets.tensors.strokes import Point
from convviz_widgets.widgets import View
from convviz_widgets.widgets.controls import choice, line, named, slider, switch
from convviz_widgets.widgets.drawing import DrawingRaster
from convviz_widgets.widgets.text import ACCENT
from convviz_widgets.widgets.view import ViewOptions

SIDE = 296
"""Side of the frame in CSS pixels."""

LARGEST = 16
"""The largest brush, in pixels of the picture, or half of it where that is less."""

MEAN, IMAGE, PICKED = "mean", "image", "picked"

BLACK, GREY, WHITE = "#000000", "#808080", "#ffffff"

PAINTS = {
    "black": BLACK,
    "white": WHITE,
    "grey": GREY,
    "the image's mean": MEAN,
    "picked colour": PICKED,
    "eraser: the image": IMAGE,
}
"""Paints by their names on the page: hexadecimal digits, or what the colour is taken from."""


@dataclass(frozen=True)
class SketchpadPicture:
    """The picture as it is now, how large it is shown, and the line about it."""

    png: bytes
    width: int
    height: int
    """Height in screen pixels, as the width is."""
    scale: float
    """Screen pixels for each pixel of the picture."""
    image: int
    caption: str


class SketchpadOptions(ViewOptions, total=False):
    """Options of `Sketchpad`."""

    paint: Literal["#000000", "#ffffff", "#808080", "mean", "picked", "image"]
    colour: str
    size: int | None
    soft: bool


class Sketchpad(View):
    """Paint over the selected image with mouse or finger, on the pixels that the model sees.

    What is drawn stands in for the image until another one is selected, or the button leads back
    to it; every view of the state follows. Pixels that no stroke has touched keep their exact
    values. Pointer events are only noted: once a frame all that were noted are painted, with one
    forward pass for them together.

    Without a pointer a picture can be uploaded instead, or an image picked by its number. In code
    `raster` is drawn on as with a mouse.

    Examples
    --------
    >>> view = cvw.Sketchpad(state, paint="#ffffff", size=1)
    >>> view.raster.drag((1, 1), (2 * view.scale, 1))
    >>> view.wait(60)
    True
    >>> view.caption
    'image 0, painted over · 6 × 6 pixels, ... of them other than in the image · n = 1 image'
    >>> view.control("Back to the image").click()
    >>> state.selection.drawing is None
    True
    """

    title: ClassVar[str] = "Sketchpad"
    depends: ClassVar[frozenset[str]] = frozenset({"image"})
    instant: ClassVar[bool] = True

    paint = Enum(tuple(PAINTS.values()), WHITE, help="What the brush leaves.").tag(option=True)
    colour = Unicode(ACCENT, help='The picked colour, "#rrggbb".').tag(option=True)
    size = Int(min=1, help="Diameter of the brush in pixels of the picture.").tag(option=True)
    soft = Bool(False, help="Whether the brush fades towards its rim.").tag(option=True)

    def __init__(self, state: ModelState, **options: Unpack[SketchpadOptions]) -> None:
        self._painter = StrokePainter(state, self.guarded)
        self._scale = 1.0
        if options.get("size") is None:  # a tenth of the picture
            options.pop("size", None)
        super().__init__(state, **options)

    @default("size")
    def _size(self) -> int:
        return max(1, round(min(self.state.image_set.shape[1:]) / 10))

    @validate("colour")
    def _checked_colour(self, proposal: Any) -> str:
        rgb(proposal.value)
        return str(proposal.value)

    # -- what there is on the page ------------------------------------------------------------

    def build(self) -> Sequence[Widget]:
        """Return the brush's controls, the sheet, and what else may be put on it."""
        soft = switch(self, "soft", "soft", 70)
        self._buttons = PictureButtons(self)
        after = self._buttons.children[0]
        self.raster = DrawingRaster(SIDE, SIDE, before=soft, after=after, hold=self.state.hold)
        self.raster.add_class("cvw-pad")
        self.raster.on_stroke(
            self._pressed,
            lambda x, y: self._painter.move(self._point(x, y)),
            self._painter.lift,
        )
        most = max(1, min(LARGEST, min(self.state.image_set.shape[1:]) // 2))
        brush = line(
            choice(self, "paint", "Paint", list(PAINTS.items()), 214),
            _colour_picker(self),
            slider(self, "size", "Size", max(most, self.size), 204),
            soft,
        )
        return [brush, HBox([self.raster, self._buttons], layout=Layout(flex="0 0 auto"))]

    # -- show ---------------------------------------------------------------------------------

    def compute(self, selection: Selection) -> SketchpadPicture:
        """Return what the model is shown, enlarged by a whole number."""
        display = self.state.display(selection=selection)  # (H, W, 3)
        height, width = display.shape[:2]
        longest = max(height, width)
        enlarge, reduce = max(1, SIDE // longest), -(-longest // SIDE)
        shown = np.asarray(Image.fromarray(display).reduce(reduce))  # (h, w, 3), the mean of each
        caption = (
            f"{selection.image_name} · {width} × {height} pixels, "
            f"{_changed(self.state, selection)} · n = 1 image"
        )
        if reduce > 1:
            caption += f" · each pixel the mean of {reduce}×{reduce}"
        return SketchpadPicture(
            rgb_png(shown),  # the page enlarges it, pixel by pixel: a frame has to be quick
            enlarge * shown.shape[1],
            enlarge * shown.shape[0],
            enlarge / reduce,
            selection.image,
            caption,
        )

    def draw(self, result: SketchpadPicture) -> None:
        """Send the picture and the number of the image."""
        self._scale = result.scale
        self.raster.show(result.png, result.width, result.height)
        self._buttons.show_number(result.image)
        self.say(result.caption)

    def close(self) -> None:
        """Act on no stroke any more."""
        self._painter.ticker.close()
        super().close()

    def _show_problem(self, problem: str, hide: bool = False) -> None:
        super()._show_problem(problem, hide)
        self.raster.layout.visibility = "hidden" if hide else "visible"

    # -- draw on it ---------------------------------------------------------------------------

    def clear(self) -> None:
        """Leave nothing but black, or white for a brush that is black."""
        colour = WHITE if self.paint == BLACK else BLACK
        with self.state.hold() as selection:
            original = self.state.image_set.input(selection.image)[0]
            plain = values_of(colour, original, self.state.image_set.preprocessing)
            self.state.select(drawing=plain.to(original).expand_as(original))

    def upload(self, name: str, content: bytes) -> None:
        """Put the middle of a picture file in place of the image.

        Raises
        ------
        InputError
            It is too large, or cannot be read.
        """
        images = self.state.image_set
        channels, height, width = images.shape
        pixels = read_picture(name, content, height, width)
        with self.state.hold() as selection:
            as_taken = images.preprocessing.done(pixels, channels)
            as_taken = as_taken.to(self.state.input(selection=selection))
            drawing = Drawing(selection.image, as_taken, f"replaced by {name[:40]}")
            self.state.select(drawing=drawing)

    @property
    def scale(self) -> float:
        """Screen pixels for each pixel of the picture."""
        return self._scale

    @property
    def frames(self) -> int:
        """How many frames the strokes so far have taken."""
        return self._painter.ticker.count

    def wait(self, timeout: float | None = None) -> bool:
        """Return once all strokes are painted; False when ``timeout`` seconds have passed."""
        return self._painter.ticker.wait(timeout)

    def _pressed(self, x: float, y: float) -> None:
        name = self.colour if self.paint == PICKED else self.paint
        self._painter.press(self._point(x, y), Brush(self.size, self.soft), name)

    def _point(self, x: float, y: float) -> tuple[float, float]:
        """Return column and row in the picture of a place on the canvas."""
        return x / self._scale, y / self._scale


def _changed(state: ModelState, selection: Selection) -> str:
    if selection.drawing is None:
        return "as they are"
    original = state.image_set.input(selection.image)[0]
    other = (selection.drawing.input != original).any(dim=0)
    return f"{int(other.sum()):,} of them other than in the image"


def _colour_picker(pad: Sketchpad) -> ColorPicker:
    """Return the field for a colour; the one that is picked is painted with."""
    picker = named(
        ColorPicker(value=pad.colour, concise=True, layout=Layout(width="40px")), "Colour"
    )

    def pick() -> None:
        pad.colour, pad.paint = picker.value, PICKED

    picker.observe(lambda _change: pad.guarded(pick), names="value")
    return picker


class PictureButtons(VBox):
    """What takes the place of the whole picture: nothing, the image, an upload, another image."""

    def __init__(self, pad: Sketchpad) -> None:
        self._pad, state = pad, pad.state
        wide = {"width": "150px", "flex": "0 0 auto", "margin": "2px 0 2px 12px"}
        clear = Button(description="Clear", layout=Layout(**wide))
        clear.on_click(lambda _button: pad.guarded(pad.clear))
        back = Button(description="Back to the image", layout=Layout(**wide))
        back.on_click(lambda _button: pad.select(drawing=None))
        self._upload = FileUpload(accept="image/*", description="Upload", layout=Layout(**wide))
        self._upload.observe(self._uploaded, names="value")
        last = len(state.image_set) - 1
        self._number = BoundedIntText(min=0, max=last, description="Image", layout=Layout(**wide))
        self._number.style.description_width = "initial"
        pad.when_chosen(self._number, lambda image: pad.select(image=image))
        buttons = [clear, back, self._upload, self._number]
        super().__init__(buttons, layout=Layout(flex="0 0 auto"))

    def show_number(self, image: int) -> None:
        """Show which image is selected."""
        self._number.value = image

    def _uploaded(self, change: Any) -> None:
        if not change.new:
            return
        (*_, given) = change.new
        self._pad.guarded(lambda: self._pad.upload(str(given["name"]), bytes(given["content"])))
        self._upload.value = ()  # so that the same file can be taken once more


@dataclass(frozen=True)
class StrokeStart:
    """The beginning of a stroke."""

    point: Point
    brush: Brush
    paint: str


class Stroke:
    """One stroke over a picture (C, H, W); where it does not reach, the values stay as they are."""

    def __init__(self, begun: StrokeStart, picture: Tensor, paint: Tensor) -> None:
        self._brush, self._last = begun.brush, begun.point
        self._picture = picture
        self._paint = paint.to(picture).expand_as(picture)
        height, width = picture.shape[1:]
        self._coverage = np.zeros((height, width), np.float32)
        self.go_to(begun.point)

    def go_to(self, point: Point) -> None:
        """Draw a straight line on from where the stroke is."""
        height, width = self._coverage.shape
        covered = self._brush.coverage([self._last, point], height, width)
        np.maximum(self._coverage, covered, out=self._coverage)
        self._last = point

    @property
    def painted(self) -> Tensor:
        """The picture with the stroke on it."""
        coverage = torch.from_numpy(self._coverage).to(self._picture)
        mixed = torch.lerp(self._picture, self._paint, coverage.expand_as(self._picture))
        return torch.where(coverage > 0, mixed, self._picture)  # 0 × infinity is no number


class StrokePainter:
    """Paints strokes onto whatever picture is selected, all that was noted once a frame.

    `press`, `move` and `lift` only note what happened. A stroke that began on another picture is
    over.

    Parameters
    ----------
    guarded
        Does what it is given, and says on the page what cannot be done.

    Attributes
    ----------
    ticker : counts the frames, and can be waited for.
    """

    def __init__(self, state: ModelState, guarded: Callable[[Callable[[], Any]], Any]) -> None:
        self._state = state
        self._noted: deque[StrokeStart | Point | None] = deque()
        self._stroke: Stroke | None = None
        self._on: Shown | None = None
        self.ticker = Ticker(lambda: guarded(self._paint))

    def press(self, point: Point, brush: Brush, paint: str) -> None:
        """Begin a stroke."""
        self._noted.append(StrokeStart(point, brush, paint))
        self.ticker.ask()

    def move(self, point: Point) -> None:
        """Go on with it."""
        self._noted.append(point)
        self.ticker.ask()

    def lift(self) -> None:
        """End it."""
        self._noted.append(None)

    def _paint(self) -> None:
        """Paint what was noted since the frame before; the thread of the ticker comes here."""
        with self._state.hold() as selection:
            shown = selection.shown
            if shown != self._on:
                self._stroke = None
            before = self._state.input(selection=selection)
            painted = self._painted(before, image_of(shown))
            if painted is not before:
                self._on = Drawing(image_of(shown), painted, _how(shown))
                self._state.select(drawing=self._on)

    def _painted(self, picture: Tensor, image: int) -> Tensor:
        """Return the picture (C, H, W) with all on it that was noted."""
        while self._noted:
            noted = self._noted.popleft()
            if isinstance(noted, StrokeStart):
                self._stroke = Stroke(noted, picture, self._values(noted.paint, image))
            elif self._stroke is not None and noted is not None:
                self._stroke.go_to(noted)
            if self._stroke is not None and (noted is None or not self._noted):
                picture = self._stroke.painted
            if noted is None:
                self._stroke = None
        return picture

    def _values(self, paint: str, image: int) -> Tensor:
        images = self._state.image_set
        return values_of(paint, images.input(image)[0], images.preprocessing)


def _how(shown: Shown) -> str:
    """Say that a picture was painted over, once."""
    before = shown.how if isinstance(shown, Drawing) else ""
    over = Drawing.how
    return before if over in before else f"{before}, {over}".lstrip(", ")


def values_of(paint: str, original: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Return the values of a paint, (C, 1, 1), or (C, H, W) for the image itself.

    Parameters
    ----------
    paint
        "#rrggbb", "mean" or "image".
    original
        The image (C, H, W) before anything was painted on it, as the model takes it.
    preprocessing
        What makes colours into what the model takes.
    """
    if paint == IMAGE:
        return original
    if paint == MEAN:
        return original.mean(dim=(1, 2), keepdim=True)
    return preprocessing.done(np.array([[rgb(paint)]]), len(original))


def rgb(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue, in [0, 255], of a colour "#rrggbb"."""
    if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
        raise InputError(f"colour {colour[:40]!r}: expected #rrggbb, such as '#d9480f'")
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue
