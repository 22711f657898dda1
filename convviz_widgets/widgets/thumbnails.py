"""Thumbnails, ChosenImages, CaptionedImage and PageSlider; `class_name` and `asked_of` in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ipywidgets import Button, HBox, IntSlider, Layout, VBox
from PIL import Image, ImageColor, ImageDraw

from convviz_widgets.images import ImageSet
from convviz_widgets.state import Question
from convviz_widgets.tensors import Mosaic, rgb_png
from convviz_widgets.widgets.controls import icon_button, line, named
from convviz_widgets.widgets.raster import Raster, TileRaster
from convviz_widgets.widgets.text import ACCENT, QUIET, Text, picture_font

SIDE = 47
"""Pixels of a thumbnail's longer side."""

GAP = 2
"""Pixels between thumbnails without words."""

BAND = 17
"""Pixels below a thumbnail for the word."""

FRAME = 3
"""Width of the frame around a sample that there is more than once."""

GREY = (128, 128, 128, 255)
"""Colour around an image, and in place of one that cannot be read."""

COLUMNS, ROWS = 11, 5

PAGE = COLUMNS * ROWS

MOST_ASKED = 1024
"""Images that a classifier answers unasked."""


def in_square(
    pixels: np.ndarray | None,
    side: int = SIDE,
    *,
    around: tuple[int, ...] | None = None,
    whole: bool = False,
) -> np.ndarray:
    """Return an image in the middle of a square, its longer side as large as that.

    Enlarged by repeating pixels, shrunk by averaging them, its proportions kept.

    Parameters
    ----------
    pixels
        uint8 (H, W, 3); None for an empty square.
    side
        Side of the square, in pixels.
    around
        Red, green, blue and opacity of what is around it; None: transparent.
    whole
        Enlarge it a whole number of times.

    Returns
    -------
    numpy.ndarray
        uint8 (side, side, 4).
    """
    square = Image.new("RGBA", (side, side), around)
    if pixels is not None:
        image = Image.fromarray(np.ascontiguousarray(pixels))
        scale = side / max(image.size)
        if whole and scale > 1:
            scale = int(scale)
        method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
        width, height = (max(1, round(length * scale)) for length in image.size)
        small = image.resize((width, height), method)
        square.paste(small, ((side - width) // 2, (side - height) // 2))
    return np.asarray(square)


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


def tile(sample: Sample, framed: bool) -> np.ndarray:
    """Return a sample as a tile: uint8 (64, 47, 4), RGBA, transparent around the picture."""
    unreadable = (*ImageColor.getrgb(QUIET), 255) if sample.pixels is None else None
    picture = Image.new("RGBA", (SIDE, SIDE + BAND))
    picture.paste(Image.fromarray(in_square(sample.pixels, around=unreadable)))
    draw = ImageDraw.Draw(picture)
    if framed:
        draw.rectangle((0, 0, SIDE - 1, SIDE - 1), outline=ACCENT, width=FRAME)
    draw.text(
        (SIDE / 2, SIDE + 2),
        _fitting(sample.label),
        fill=ACCENT if framed else QUIET,
        font=picture_font(),
        anchor="ma",
    )
    return np.asarray(picture)


def _fitting(label: str) -> str:
    """Return as much of a word as there is room for; the font has no letters beyond Latin's."""
    word = label.encode("latin-1", "replace").decode("latin-1")
    while word and picture_font().getlength(word) > SIDE:
        word = word.removesuffix("…")[:-1] + "…" if len(word) > 2 else ""
    return word


def stacked(tiles: Sequence[np.ndarray]) -> np.ndarray:
    """Return tiles as one array (n, 64, 47, 4); n may be 0."""
    return np.stack(tiles) if tiles else np.zeros((0, SIDE + BAND, SIDE, 4), np.uint8)


def tiles_of(
    images: ImageSet, indices: Sequence[int], words: Sequence[str], framed: Sequence[bool]
) -> np.ndarray:
    """Return thumbnails uint8 (n, h, 47, 4) with a word below each; grey what cannot be read."""
    return stacked(
        [
            tile(Sample(readable(images.display, index), word, ""), is_framed)
            for index, word, is_framed in zip(indices, words, framed, strict=True)
        ]
    )


def readable(picture: Callable[[int], np.ndarray], index: int) -> np.ndarray | None:
    """Return an image (H, W, 3), None where it cannot be read."""
    try:
        return picture(index)
    except Exception:  # whatever a data set raises: the others are still fine
        return None


def tile_mosaic(count: int, columns: int = COLUMNS) -> Mosaic:
    """Return where tiles with their words lie."""
    return Mosaic(count, SIDE + BAND, SIDE, columns=columns)


def class_name(images: ImageSet, index: int) -> str:
    """Return what a class is called: by its name, else by its number."""
    names = images.class_names
    return names[index] if names and index < len(names) else f"class {index}"


class Thumbnails(TileRaster):
    """Images with a word below each, some of them framed, one highlighted.

    Parameters
    ----------
    width, height
        Size of the frame in pixels; it scrolls.
    columns
        Images in a row.
    picked
        Called with the image that is clicked, or led to by the arrow keys.
    pointed
        Called with the image under the pointer, None for none.
    traits
        As for a `Raster`. With a ``pointed_id`` the page says by itself what the pointer is on.

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
        **traits: Any,
    ) -> None:
        super().__init__(
            width,
            height,
            picked=lambda tile: picked(self.images[tile]),
            moved=self._move_on,
            pointed=lambda tile: pointed(None if tile is None else self.images[tile]),
            reports="pointed_id" not in traits,
            **traits,
        )
        self._columns, self._picked_image = columns, picked
        self.images: tuple[int, ...] = ()
        self._selected: int | None = None

    def show_images(
        self,
        images: Sequence[int],
        tiles: np.ndarray,
        selected: int | None,
        names: Sequence[str] = (),
    ) -> None:
        """Show tiles (n, h, 47, 4) of these images, one of them highlighted if it is there.

        ``names`` says what each of them is.
        """
        self.images, self._selected = tuple(images), selected
        if not self.images:
            self.show_nothing()
            return
        mosaic = tile_mosaic(len(self.images), self._columns)
        place = self.images.index(selected) if selected in self.images else None
        self.show_tiles(rgb_png(mosaic.paint(tiles)), mosaic, place, names=tuple(names))

    def beside(self, by: int) -> int | None:
        """Return the image so many places on from the selected one; from outside the first."""
        if self._selected not in self.images:
            return next(iter(self.images), None)
        place = self.images.index(self._selected) + by
        return self.images[place] if 0 <= place < len(self.images) else None

    def _move_on(self, by: int) -> None:
        image = self.beside(by)
        if image is not None:
            self._picked_image(image)


class ChosenImages(VBox):
    """Thumbnails in a strip of constant size, page by page.

    Parameters
    ----------
    view
        Says what goes wrong when a button is pressed.
    width, rows
        Width of the strip in pixels, and its lines of thumbnails.
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
        picture: Callable[[int], np.ndarray],
        picked: Callable[[int], Any],
        clear: Callable[[], Any],
    ) -> None:
        self._picture, self._picked = picture, picked
        self._name = view.state.image_set.name
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
        self.raster = TileRaster(
            width,
            height,
            picked=lambda tile: picked(self._images[self._first + tile]),
            moved=self._move_on,
            label="chosen images",
        )
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
        place = shown.index(self._selected) if self._selected in shown else None
        if not shown:
            self.raster.show_nothing()
        elif shown != self._painted:
            mosaic = Mosaic(len(shown), SIDE, SIDE, columns=self._columns, gap=GAP)
            squares = [in_square(readable(self._picture, image), around=GREY) for image in shown]
            names = tuple(map(self._name, shown))
            self.raster.show_tiles(
                rgb_png(mosaic.paint(np.stack(squares))), mosaic, place, names=names
            )
        else:
            self.raster.selected = place
        self._painted = shown

    def _turn(self, by: int) -> None:
        first = self._first + by * self._page
        if 0 <= first < len(self._images):
            self._first = first
            self._draw()

    def _move_on(self, by: int) -> None:
        if self._selected not in self._images:
            return
        moved = self._images.index(self._selected) + by
        if 0 <= moved < len(self._images):
            self._first = moved // self._page * self._page
            self._picked(self._images[moved])


class CaptionedImage(VBox):
    """An image in a square of constant size, and words of two lines.

    Parameters
    ----------
    side, width
        Side of the square, and width of the words below it, in pixels.
    """

    def __init__(self, side: int, width: int) -> None:
        self._side = side
        self._raster = Raster(side, side)
        self._words = Text(kind="quiet wrap", height="54px", width=f"{width}px", overflow="hidden")
        frame = Layout(flex="0 0 auto", overflow="hidden", margin="0")
        super().__init__([self._raster, self._words], layout=frame)

    def show(self, pixels: np.ndarray | None, words: str) -> None:
        """Show an image uint8 (H, W, 3), None for none, and what it is."""
        png = rgb_png(in_square(pixels, self._side, whole=True))
        self._raster.show_picture(png, self._side, self._side, alt=words)
        self._words.show(words)

    @property
    def words(self) -> str:
        """What is said below, as HTML."""
        return str(self._words.value)


def asked_of(question: Question, images: ImageSet) -> str:
    """Say how many of all images are asked about, where not all are; to follow n."""
    asked, total = len(question.images), len(images)
    return "" if asked == total else f" ({asked:,} asked of {total:,}, evenly spread)"


class PageSlider:
    """A slider of pages, with words beside it.

    Parameters
    ----------
    turned
        Called with the place of the first sample of the page that the user turns to.

    Attributes
    ----------
    slider : the control.
    row : what stands in the page.
    """

    def __init__(self, turned: Callable[[int], Any]) -> None:
        still = Layout(width="330px", flex="0 0 auto")
        self.slider = named(IntSlider(min=0, max=0, readout=False, layout=still), "Page")
        self.slider.observe(self._slid, names="value")
        self._words = Text(kind="quiet", flex="1 1 0", min_width="0")
        self.row = line(self.slider, self._words)
        self._turned, self._is_shown = turned, False

    def show(self, first: int, count: int) -> None:
        """Show the page that begins with the sample at place ``first`` of ``count``."""
        self._is_shown = True
        self.slider.max = max(0, (count - 1) // PAGE)
        self.slider.value = first // PAGE
        self._is_shown = False
        last = min(count, first + PAGE)
        self._words.show(f"{first + 1:,}–{last:,} of {count:,}" if count else "none")

    @property
    def place(self) -> str:
        """Which samples the page shows, of how many: "1–55 of 80"."""
        return self._words.text

    def _slid(self, change: Any) -> None:
        if not self._is_shown:
            self._turned(PAGE * int(change.new))
