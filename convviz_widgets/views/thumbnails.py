"""Thumbnails: a few images of the set side by side, to be picked from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ipywidgets import DOMWidget

from convviz_widgets.instrument import ImageSet
from convviz_widgets.tensors import Box, Mosaic, rgb_png
from convviz_widgets.views.gallery_page import BAND, SIDE, stacked, tile
from convviz_widgets.views.gallery_shelves import Sample
from convviz_widgets.views.raster import EMPTY_PNG, Hold, Raster


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
