"""ImageStrip: thumbnails of the images, as the network sees them with preprocessing undone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Unpack

import numpy as np
from ipywidgets import BoundedIntText, Layout, Widget

from convviz_widgets.state import ModelState, Selection
from convviz_widgets.widgets.controls import icon_button, line, named
from convviz_widgets.widgets.mosaic_view import DrawnMosaic, MosaicView, Picture, Tiles
from convviz_widgets.widgets.page_element import ControlLinks
from convviz_widgets.widgets.text import Text
from convviz_widgets.widgets.thumbnails import GREY, SIDE, in_square
from convviz_widgets.widgets.view import ViewOptions

COLUMNS, ROWS = 4, 2

PAGE = COLUMNS * ROWS


class ImageStrip(MosaicView):
    """A page of thumbnails around the selected image; a click or the number picks one."""

    title: ClassVar[str] = "Image"
    steps: ClassVar[str] = "image"
    caption_lines: ClassVar[int] = 0
    depends: ClassVar[frozenset[str]] = frozenset({"image"})
    width: ClassVar[int] = 216
    instant: ClassVar[bool] = True
    frame: ClassVar[tuple[int, int]] = (216, 104)
    min_tile: ClassVar[int] = SIDE
    max_tile: ClassVar[int] = SIDE

    def __init__(self, state: ModelState, **options: Unpack[ViewOptions]) -> None:
        super().__init__(state, **options)

    def controls(self) -> Sequence[Widget]:
        """Return the number field and the buttons that turn the page."""
        last = len(self.state.image_set) - 1
        self._number = named(BoundedIntText(min=0, max=last, layout=Layout(width="74px")), "Image")
        self.when_chosen(self._number, lambda image: self.select(image=image))
        back = icon_button(self, "fast-backward", "page back", lambda: self._turn(-1), 32)
        onward = icon_button(self, "fast-forward", "page on", lambda: self._turn(1), 32)
        links = ControlLinks(self.state)
        links.link([(self._number, "image", None)])
        return [line(self._number, back, onward, Text(f"to {last:,}")), links]

    def still_shows(self, selection: Selection, painted: Selection) -> bool:
        """Tell whether both images are on one page, and nothing was drawn since."""
        same_page = selection.image // PAGE == painted.image // PAGE
        return same_page and selection.drawing == painted.drawing

    def tiles(self, selection: Selection) -> Tiles:
        """Return the thumbnails of one page."""
        images = self.state.image_set
        first = selection.image // PAGE * PAGE
        shown = range(first, min(first + PAGE, len(images)))
        pictures, reasons = [], {}
        for index in shown:
            try:
                pictures.append(in_square(self._picture_of(index, selection), around=GREY))
            except Exception as error:  # whatever a data set raises: the others are still fine
                pictures.append(in_square(None, around=GREY))
                reasons[index] = str(error)
        return Tiles(
            np.stack(pictures)[..., :3] / 255,
            hatched=np.isin(shown, list(reasons)),
            caption=_unreadable(reasons),
            labels=tuple(self._name_of(index, index in reasons, selection) for index in shown),
        )

    def _picture_of(self, index: int, selection: Selection) -> np.ndarray:
        """Return an image of the set (H, W, 3), or what was painted over it."""
        if index == selection.image:
            return self.state.display(selection=selection)
        return self.state.image_set.display(index)

    def draw(self, result: DrawnMosaic) -> None:
        """Send the page, the highlight and the number."""
        self._number.value = result.selection.image
        self._caption.layout.display = "block" if result.picture.tiles.caption else "none"
        super().draw(result)

    def selected_tile(self, selection: Selection, picture: Picture) -> int | None:
        """Return the selected image's place on its page."""
        return selection.image % PAGE

    def pick(self, tile: int) -> None:
        """Select the image."""
        self.state.select(image=self._first() + tile)

    def _name_of(self, index: int, is_broken: bool, selection: Selection) -> str:
        """Name an image and its class."""
        if is_broken:
            return f"image {index} cannot be read"
        images = self.state.image_set
        label, names, name = images.label(index), images.class_names, images.name(index)
        called = "" if name == f"image {index}" else f" · {name}"
        drawing = selection.drawing
        if drawing is not None and drawing.image == index:
            called = f", {drawing.how}{called}"
        if label is None or names is None or label >= len(names):
            return f"image {index}{called}"
        return f"image {index}{called} · {names[label]}"

    def step(self, by: int) -> None:
        """Select the next image, or the one before: those on other pages, too."""
        moved = self.state.selection.image + by
        if 0 <= moved < len(self.state.image_set):
            self.state.select(image=moved)

    def _first(self) -> int:
        """Return the first image of the page that is shown."""
        assert self._shown_now is not None
        return self._shown_now.selection.image // PAGE * PAGE

    def _turn(self, by: int) -> None:
        last = len(self.state.image_set) - 1
        self.state.select(image=min(last, max(0, self.state.selection.image + by * PAGE)))


def _unreadable(reasons: dict[int, str]) -> str:
    """Say which images cannot be read, and why not the first of them."""
    if not reasons:
        return ""
    numbers = ", ".join(map(str, reasons))
    return f"cannot be read: image {numbers} ({' '.join(next(iter(reasons.values())).split())})"
