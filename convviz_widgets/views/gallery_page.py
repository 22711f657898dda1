"""A page of a gallery: thumbnails with a word below each, those that are not alone framed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from convviz_widgets.tensors import Mosaic
from convviz_widgets.views.gallery_shelves import Sample
from convviz_widgets.views.text import ACCENT, QUIET

SIDE = 47
"""Pixels of a thumbnail's longer side."""

BAND = 17
"""Pixels below it for the word."""

FRAME = 3
"""Width of the frame around a sample that there is more than once."""

COLUMNS, ROWS = 11, 5
PAGE = COLUMNS * ROWS


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
