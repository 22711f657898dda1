"""A portrait: one image, enlarged, with a few words below."""

from __future__ import annotations

import numpy as np
from ipywidgets import Image as ImageWidget
from ipywidgets import Layout, VBox
from PIL import Image

from convviz_widgets.tensors import rgb_png
from convviz_widgets.views.raster import EMPTY_PNG
from convviz_widgets.views.text import Text


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
