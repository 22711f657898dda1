"""The chosen images: a strip of thumbnails, of which a click selects one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ipywidgets import Button, HBox, Layout, VBox

from convviz_widgets.tensors import Mosaic, rgb_png, to_rgba
from convviz_widgets.views.image_strip import EMPTY, SIDE, thumbnail
from convviz_widgets.views.option_controls import icon_button
from convviz_widgets.views.raster import EMPTY_PNG, Raster
from convviz_widgets.views.text import Text

GAP = 2


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
            return thumbnail(self._picture(image))
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
