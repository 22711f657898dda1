"""Thumbnails: a few images of the set side by side, to be picked from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from ipywidgets import Button, DOMWidget, HBox, Layout, VBox
from ipywidgets import Image as ImageWidget
from PIL import Image, ImageColor, ImageDraw, ImageFont

from convviz_widgets.images import ImageSet
from convviz_widgets.tensors import Box, Mosaic, rgb_png, to_rgba
from convviz_widgets.widgets.controls import icon_button
from convviz_widgets.widgets.raster import EMPTY_PNG, Hold, Raster
from convviz_widgets.widgets.text import ACCENT, QUIET, Text

GAP = 2

SIDE = 47
"""Pixels of a thumbnail's longer side."""

BAND = 17
"""Pixels below it for the word."""

FRAME = 3
"""Width of the frame around a sample that there is more than once."""

COLUMNS, ROWS = 11, 5

PAGE = COLUMNS * ROWS

EMPTY = np.full((SIDE, SIDE, 3), 128, np.uint8)
"""In place of an image that cannot be read."""


class Thumbnails(Raster):
    """Images with a word below each, some of them framed, one highlighted.

    Parameters
    ----------
    width, height
        Of the frame in pixels; it scrolls.
    columns
        Images in a row.
    picked
        Called with the image that is clicked, or led to by the arrow keys.
    pointed
        Called with the image under the pointer, None for none.
    before, after, hold
        As for a `Raster`.

    Attributes
    ----------
    images : those that are shown.
    """

    def __init__(
        self,
        width: int,
        height: int,
        columns: int,
        *,
        picked: Callable[[int], Any],
        pointed: Callable[[int | None], Any],
        hold: Hold,
        before: DOMWidget | None = None,
        after: DOMWidget | None = None,
    ) -> None:
        super().__init__(width, height, before=before, after=after, hold=hold)
        self._columns = columns
        self._picked, self._pointed = picked, pointed
        self.images: tuple[int, ...] = ()
        self._selected: int | None = None
        self.on_click(lambda x, y: self._pick(self._image_at(x, y)))
        self.on_move(lambda x, y: pointed(self._image_at(x, y)), lambda: pointed(None))
        self.on_arrow(self._arrow)

    def show_images(self, images: Sequence[int], tiles: np.ndarray, selected: int | None) -> None:
        """Show tiles (n, h, 47, 4) of these images, one of them highlighted if it is there."""
        self.images, self._selected = tuple(images), selected
        if not self.images:
            self.show(EMPTY_PNG, 1, 1)
            return
        mosaic = self._mosaic()
        boxes = (mosaic.box(self.images.index(selected)),) if selected in self.images else ()
        self.show(rgb_png(mosaic.paint(tiles)), mosaic.width, mosaic.height, boxes)

    def beside(self, by: int) -> int | None:
        """Return the image so many places on from the selected one; from outside the first."""
        if self._selected not in self.images:
            return next(iter(self.images), None)
        place = self.images.index(self._selected) + by
        return self.images[place] if 0 <= place < len(self.images) else None

    def box_of(self, image: int) -> Box:
        """Return where an image lies, in pixels."""
        return self._mosaic().box(self.images.index(image))

    def _mosaic(self) -> Mosaic:
        return Mosaic(len(self.images), SIDE + BAND, SIDE, columns=self._columns)

    def _image_at(self, x: int, y: int) -> int | None:
        place = self._mosaic().tile_at(x, y) if self.images else None
        return None if place is None else self.images[place]

    def _pick(self, image: int | None) -> None:
        if image is not None:
            self._picked(image)

    def _arrow(self, dx: int, dy: int) -> None:
        self._pick(self.beside(dx + dy * self._columns))


def tiles_of(
    images: ImageSet, indices: Sequence[int], words: Sequence[str], framed: Sequence[bool]
) -> np.ndarray:
    """Return thumbnails uint8 (n, h, 47, 4) with a word below each; grey what cannot be read."""
    drawn = []
    for index, word, is_framed in zip(indices, words, framed, strict=True):
        try:
            pixels: np.ndarray | None = images.display(index)
        except Exception:  # whatever a data set raises: the others are still fine
            pixels = None
        drawn.append(tile(Sample(pixels, word, ""), is_framed))
    return stacked(drawn)


class ChosenImages(VBox):
    """Thumbnails in a strip of constant size, page by page.

    Parameters
    ----------
    view
        Says what goes wrong when a button is pressed.
    width, rows
        Of the strip: pixels, and lines of thumbnails.
    before
        The control that takes the focus when it leaves the strip backwards.
    picture
        Returns an image, uint8 (H, W, 3); one that raises is grey.
    picked
        Called with the number of the image that is clicked.
    clear
        Called by the button that chooses none.
    """

    def __init__(
        self,
        view: Any,
        width: int,
        rows: int,
        *,
        before: Button,
        picture: Callable[[int], np.ndarray],
        picked: Callable[[int], Any],
        clear: Callable[[], Any],
    ) -> None:
        self._picture, self._picked = picture, picked
        self._columns = (width - GAP) // (SIDE + GAP)
        self._page = self._columns * rows
        self._images: tuple[int, ...] = ()
        self._first = 0
        self._painted: tuple[int, ...] = ()
        self._selected: int | None = None
        self._words = Text(kind="quiet", flex="1 1 0", min_width="0")
        self._back = icon_button(view, "angle-left", "page back", lambda: self._turn(-1), 30, 22)
        self._on = icon_button(view, "angle-right", "page on", lambda: self._turn(1), 30, 22)
        self._clear = Button(description="Clear", layout=Layout(width="64px", height="24px"))
        self._clear.layout.flex = "0 0 auto"
        self._clear.on_click(lambda _button: view.guarded(clear))
        height = GAP + rows * (SIDE + GAP)
        self.raster = Raster(width, height, before=before, after=self._clear, hold=view.state.hold)
        self.raster.on_click(self._clicked)
        self.raster.on_arrow(self._arrow)
        line = HBox(
            [self._words, self._back, self._on, self._clear],
            layout=Layout(width=f"{width}px", height="28px", overflow="hidden", flex="0 0 auto"),
        )
        line.layout.align_items = "center"
        super().__init__([line, self.raster], layout=Layout(flex="0 0 auto", overflow="hidden"))

    def show(self, images: Sequence[int], words: str, selected: int) -> None:
        """List these images, with what they are in words; ``selected`` is framed."""
        if tuple(images) != self._images:
            self._images, self._first = tuple(images), 0
        self._selected = selected
        self._text = words
        self._draw()

    @property
    def words(self) -> str:
        """What is said of the images, as HTML."""
        return str(self._words.value)

    def _draw(self) -> None:
        shown = self._images[self._first : self._first + self._page]
        paged = len(self._images) > self._page
        ends = f", shown {self._first + 1:,}–{self._first + len(shown):,}" if paged else ""
        self._words.show(self._text + ends)
        for button in (self._back, self._on):
            button.layout.display = "" if paged else "none"
        self._clear.layout.display = "" if shown else "none"
        mosaic = self._mosaic()
        boxes = [mosaic.box(shown.index(self._selected))] if self._selected in shown else []
        if shown != self._painted:
            self._painted = shown
            if not shown:
                self.raster.show(EMPTY_PNG, 1, 1)
                return
            tiles = np.stack([to_rgba(self._thumbnail(image) / 255) for image in shown])
            self.raster.show(rgb_png(mosaic.paint(tiles)), mosaic.width, mosaic.height, boxes)
        elif shown:
            self.raster.highlight(*boxes)

    def _mosaic(self) -> Mosaic:
        count = min(self._page, len(self._images) - self._first)
        return Mosaic(count, SIDE, SIDE, columns=self._columns, gap=GAP)

    def _thumbnail(self, image: int) -> np.ndarray:
        try:
            return square_thumbnail(self._picture(image))
        except Exception:  # whatever a data set raises: the others are still fine
            return EMPTY

    def _turn(self, by: int) -> None:
        first = self._first + by * self._page
        if 0 <= first < len(self._images):
            self._first = first
            self._draw()

    def _clicked(self, x: int, y: int) -> None:
        tile = self._mosaic().tile_at(x, y) if self._images else None
        if tile is not None:
            self._picked(self._images[self._first + tile])

    def _arrow(self, dx: int, dy: int) -> None:
        if self._selected not in self._images:
            return
        moved = self._images.index(self._selected) + dx + dy * self._columns
        if 0 <= moved < len(self._images):
            self._first = moved // self._page * self._page
            self._picked(self._images[moved])


def class_name(images: ImageSet, index: int) -> str:
    """Return what a class is called: by its name, else by its number."""
    names = images.class_names
    return names[index] if names and index < len(names) else f"class {index}"


def page_mosaic(count: int) -> Mosaic:
    """Return where the tiles of a page lie."""
    return Mosaic(count, SIDE + BAND, SIDE, columns=COLUMNS)


def tile(sample: Sample, framed: bool) -> np.ndarray:
    """Return a sample as a tile: uint8 (64, 47, 4), RGBA, transparent around the picture."""
    picture = Image.new("RGBA", (SIDE, SIDE + BAND))
    if sample.pixels is None:
        picture.paste(ImageColor.getrgb(QUIET), (0, 0, SIDE, SIDE))
    else:
        small = thumbnail(sample.pixels)
        picture.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    draw = ImageDraw.Draw(picture)
    if framed:
        draw.rectangle((0, 0, SIDE - 1, SIDE - 1), outline=ACCENT, width=FRAME)
    draw.text(
        (SIDE / 2, SIDE + 2),
        fitting(sample.label),
        fill=ACCENT if framed else QUIET,
        font=_font(),
        anchor="ma",
    )
    return np.asarray(picture)


def thumbnail(pixels: np.ndarray) -> Image.Image:
    """Return an image (H, W, 3) with its longer side at 47 pixels: shrunk by averaging."""
    image = Image.fromarray(pixels)
    scale = SIDE / max(image.size)
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image.resize((width, height), method)


def fitting(label: str) -> str:
    """Return as much of a word as there is room for; the font has no letters beyond Latin's."""
    word = label.encode("latin-1", "replace").decode("latin-1")
    while word and _font().getlength(word) > SIDE:
        word = word.removesuffix("…")[:-1] + "…" if len(word) > 2 else ""
    return word


def stacked(tiles: Sequence[np.ndarray]) -> np.ndarray:
    """Return tiles as one array (n, 64, 47, 4); n may be 0."""
    return np.stack(tiles) if tiles else np.zeros((0, SIDE + BAND, SIDE, 4), np.uint8)


@cache
def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=10)


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample, preprocessing undone.

    Attributes
    ----------
    pixels : uint8 (H, W, 3), None where it cannot be read.
    label : its class, to stand below it.
    line : what it is, in words.
    values, clipped : numbers in it, and how many of them lie outside of [0, 255] when undone.
    """

    pixels: np.ndarray | None
    label: str
    line: str
    values: int = 0
    clipped: int = 0


def square_thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Return an image ``(H, W, 3)`` scaled to a square of 48 pixels, its proportions kept."""
    image = Image.fromarray(pixels)
    scale = SIDE / max(image.size)
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    width, height = (max(1, round(length * scale)) for length in image.size)
    square = Image.new("RGB", (SIDE, SIDE), (128, 128, 128))
    square.paste(image.resize((width, height), method), ((SIDE - width) // 2, (SIDE - height) // 2))
    return np.asarray(square)


class Portrait(VBox):
    """An image in a square of constant size, and words of two lines.

    Parameters
    ----------
    side, width
        Of the square, and of the words below it, in pixels.
    """

    def __init__(self, side: int, width: int) -> None:
        self._side = side
        still = Layout(width=f"{side}px", height=f"{side}px", flex="0 0 auto", margin="0")
        self._image = ImageWidget(value=EMPTY_PNG, format="png", layout=still)
        self._image.add_class("cvw-pixels")
        self._words = Text(kind="quiet wrap", height="54px", width=f"{width}px", overflow="hidden")
        frame = Layout(flex="0 0 auto", overflow="hidden", margin="0")
        super().__init__([self._image, self._words], layout=frame)

    def show(self, pixels: np.ndarray | None, words: str) -> None:
        """Show an image uint8 (H, W, 3), None for none, and what it is."""
        self._image.value = EMPTY_PNG if pixels is None else rgb_png(fitted(pixels, self._side))
        self._words.show(words)

    @property
    def words(self) -> str:
        """What is said below, as HTML."""
        return str(self._words.value)


def fitted(pixels: np.ndarray, side: int) -> np.ndarray:
    """Return an image (H, W, 3) as (side, side, 4), its longer side as large as that.

    Enlarged a whole number of times, or shrunk by averaging; transparent where nothing is.
    """
    image = Image.fromarray(pixels)
    scale = side / max(image.size)
    scale = int(scale) if scale > 1 else scale
    method = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
    width, height = (max(1, round(length * scale)) for length in image.size)
    square = Image.new("RGBA", (side, side))
    square.paste(image.resize((width, height), method), ((side - width) // 2, (side - height) // 2))
    return np.asarray(square)
