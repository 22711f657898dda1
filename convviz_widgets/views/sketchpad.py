"""Sketchpad: the selected image to be painted over, and every view follows."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

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
from convviz_widgets.widgets.raster import Raster
from convviz_widgets.widgets.text import ACCENT
from convviz_widgets.widgets.view import ViewOptions

SIDE = 296
"""Of the frame in CSS pixels."""

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
"""What there is to paint with: a colour by its hexadecimal digits, or by what it is taken from."""


@dataclass(frozen=True)
class Sheet:
    """The picture as it is now, how large it is shown, and the line about it."""

    png: bytes
    width: int
    height: int
    """In screen pixels."""
    scale: float
    """Screen pixels for each pixel of the picture."""
    image: int
    caption: str


class SketchpadOptions(ViewOptions, total=False):
    """Options of `Sketchpad`."""

    paint: str
    colour: str
    size: int
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
        self._easel, self._ticker = Easel(), Ticker(self._frame)
        self._scale = 1.0
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
        after = self._sources()
        self.raster = Raster(SIDE, SIDE, before=soft, after=after.children[0], hold=self.state.hold)
        self.raster.add_class("cvw-pad")
        self.raster.on_stroke(self._pressed, self._moved, self._lifted)
        self.raster.on_arrow(lambda _dx, _dy: None)  # but Tab and Escape lead out
        most = max(1, min(LARGEST, min(self.state.image_set.shape[1:]) // 2))
        brush = line(
            choice(self, "paint", "Paint", list(PAINTS.items()), 214),
            self._picker(),
            slider(self, "size", "Size", max(most, self.size), 204),
            soft,
        )
        return [brush, HBox([self.raster, after], layout=Layout(flex="0 0 auto"))]

    def _picker(self) -> ColorPicker:
        """Return the field for a colour; whoever picks one paints with it."""
        picker = named(
            ColorPicker(value=self.colour, concise=True, layout=Layout(width="40px")), "Colour"
        )

        def pick() -> None:
            self.colour, self.paint = picker.value, PICKED

        picker.observe(lambda _change: self.guarded(pick), names="value")
        return picker

    def _sources(self) -> VBox:
        """Return the buttons that change the whole sheet."""
        wide = {"width": "150px", "flex": "0 0 auto", "margin": "2px 0 2px 12px"}
        clear = Button(description="Clear", layout=Layout(**wide))
        clear.on_click(lambda _button: self.guarded(self.clear))
        back = Button(description="Back to the image", layout=Layout(**wide))
        back.on_click(lambda _button: self.guarded(lambda: self.state.select(drawing=None)))
        self._upload = FileUpload(accept="image/*", description="Upload", layout=Layout(**wide))
        self._upload.observe(self._uploaded, names="value")
        last = len(self.state.image_set) - 1
        self._number = BoundedIntText(min=0, max=last, description="Image", layout=Layout(**wide))
        self._number.style.description_width = "initial"
        self._number.observe(self._numbered, names="value")
        return VBox([clear, back, self._upload, self._number], layout=Layout(flex="0 0 auto"))

    # -- show ---------------------------------------------------------------------------------

    def compute(self, selection: Selection) -> Sheet:
        """Return what the model is shown, enlarged by a whole number."""
        display = self.state.display(selection=selection)  # (H, W, 3)
        height, width = display.shape[:2]
        longest = max(height, width)
        enlarge, reduce = max(1, SIDE // longest), -(-longest // SIDE)
        shown = np.asarray(Image.fromarray(display).reduce(reduce))  # (h, w, 3), the mean of each
        caption = (
            f"{selection.image_name} · {width} × {height} pixels, "
            f"{self._changed(selection)} · n = 1 image"
        )
        if reduce > 1:
            caption += f" · each pixel the mean of {reduce}×{reduce}"
        return Sheet(
            rgb_png(shown),  # the page enlarges it, pixel by pixel: a frame has to be quick
            enlarge * shown.shape[1],
            enlarge * shown.shape[0],
            enlarge / reduce,
            selection.image,
            caption,
        )

    def draw(self, result: Sheet) -> None:
        """Send the picture and the number of the image."""
        self._scale = result.scale
        self.raster.show(result.png, result.width, result.height)
        self._number.value = result.image
        self.say(result.caption)

    def close(self) -> None:
        """Act on no stroke any more."""
        self._ticker.close()
        super().close()

    def _changed(self, selection: Selection) -> str:
        if selection.drawing is None:
            return "as they are"
        original = self.state.image_set.input(selection.image)[0]
        other = (selection.drawing.input != original).any(dim=0)
        return f"{int(other.sum()):,} of them other than in the image"

    def _show_problem(self, problem: str, hide: bool = False) -> None:
        super()._show_problem(problem, hide)
        self.raster.layout.visibility = "hidden" if hide else "visible"

    # -- draw on it ---------------------------------------------------------------------------

    def clear(self) -> None:
        """Leave nothing but black, or white for a brush that is black."""
        colour = WHITE if self.paint == BLACK else BLACK
        with self.state.hold() as selection:
            original = self.state.image_set.input(selection.image)[0]
            plain = mixed(colour, original, self.state.image_set.preprocessing)
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
        return self._ticker.count

    def wait(self, timeout: float | None = None) -> bool:
        """Return once all strokes are painted; False when ``timeout`` seconds have passed."""
        return self._ticker.wait(timeout)

    def _pressed(self, x: float, y: float) -> None:
        name = self.colour if self.paint == PICKED else self.paint
        self._easel.press(self._point(x, y), Brush(self.size, self.soft), name)
        self._ticker.ask()

    def _moved(self, x: float, y: float) -> None:
        self._easel.move(self._point(x, y))
        self._ticker.ask()

    def _lifted(self) -> None:
        self._easel.lift()

    def _point(self, x: float, y: float) -> tuple[float, float]:
        """Return column and row in the picture of a place on the canvas."""
        return x / self._scale, y / self._scale

    def _frame(self) -> None:
        """Paint what was noted since the frame before; the thread of the ticker comes here."""
        self.guarded(self._paint_noted)

    def _paint_noted(self) -> None:
        with self.state.hold() as selection:
            picture = self.state.input(selection=selection)
            drawing = self._easel.paint(selection.shown, picture, self._mix)
            if drawing is not None:
                self.state.select(drawing=drawing)

    def _mix(self, name: str) -> Tensor:
        images = self.state.image_set
        return mixed(name, images.input(self.state.selection.image)[0], images.preprocessing)

    def _uploaded(self, change: Any) -> None:
        if not change.new:
            return
        (*_, given) = change.new
        self.guarded(lambda: self.upload(str(given["name"]), bytes(given["content"])))
        self._upload.value = ()  # so that the same file can be taken once more

    def _numbered(self, change: Any) -> None:
        if not self.state.publishing_here():
            self.guarded(lambda: self.state.select(image=change.new))


Mix = Callable[[str], Tensor]
"""From the name of a paint to its values, (C, 1, 1) or (C, H, W) as the model takes them."""


@dataclass(frozen=True)
class Press:
    """The beginning of a stroke."""

    point: Point
    brush: Brush
    paint: str


class Stroke:
    """One stroke over a picture (C, H, W); where it does not reach, the values stay as they are."""

    def __init__(self, begun: Press, picture: Tensor, paint: Tensor) -> None:
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


class Easel:
    """Holds the stroke under way, on whatever picture is selected.

    `press`, `move` and `lift` only note what happened; `paint` does all of it.
    """

    def __init__(self) -> None:
        self._noted: deque[Press | Point | None] = deque()
        self._stroke: Stroke | None = None
        self._on: Shown | None = None

    def press(self, point: Point, brush: Brush, paint: str) -> None:
        """Begin a stroke."""
        self._noted.append(Press(point, brush, paint))

    def move(self, point: Point) -> None:
        """Go on with it."""
        self._noted.append(point)

    def lift(self) -> None:
        """End it."""
        self._noted.append(None)

    def paint(self, shown: Shown, picture: Tensor, mix: Mix) -> Drawing | None:
        """Return what is shown, with all on it that was noted; None where that is nothing.

        Parameters
        ----------
        shown, picture
            What is selected, and its values (C, H, W). A stroke that began on another is over.
        mix
            Gives the values of a paint.
        """
        if shown != self._on:
            self._stroke = None
        before = picture
        while self._noted:
            noted = self._noted.popleft()
            if isinstance(noted, Press):
                self._stroke = Stroke(noted, picture, mix(noted.paint))
            elif self._stroke is not None and noted is not None:
                self._stroke.go_to(noted)
            if self._stroke is not None and (noted is None or not self._noted):
                picture = self._stroke.painted
            if noted is None:
                self._stroke = None
        if picture is before:
            return None
        self._on = Drawing(image_of(shown), picture, _how(shown))
        return self._on


def _how(shown: Shown) -> str:
    """Say that a picture was painted over, once."""
    before = shown.how if isinstance(shown, Drawing) else ""
    over = Drawing.how
    return before if over in before else f"{before}, {over}".lstrip(", ")


def mixed(paint: str, original: Tensor, preprocessing: Preprocessing) -> Tensor:
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
