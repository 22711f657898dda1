"""The picture of a top-9: patches, reconstructions, their labels and outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convviz_widgets.tensors import Box, rgb_png
from convviz_widgets.tensors.energy_box import energy_box
from convviz_widgets.views.nine import (
    HEIGHT,
    LABEL,
    TILE,
    WIDTH,
    Window,
    as_rgb,
    limits_of,
    on_screen,
    painted,
    place,
)
from convviz_widgets.views.raster import EMPTY_PNG
from convviz_widgets.views.text import ACCENT
from convviz_widgets.views.tile_labels import Label
from convviz_widgets.views.top_slots import Change, Slot

MUCH = 0.75
"""Share of the image from which on a receptive field is shown as the whole image."""


@dataclass(frozen=True, eq=False)
class TopPicture:
    """What there is to draw of the nine, for one selection."""

    png: bytes
    labels: tuple[Label, ...]
    slots: tuple[Slot, ...] = ()
    outlines: tuple[Box, ...] = ()
    selected: int | None = None
    """The slot of the selected image."""
    caption: str = ""

    @classmethod
    def message(cls, text: str, caption: str = "") -> TopPicture:
        """Return the picture where there is none."""
        return cls(EMPTY_PNG, (Label(text, 0, HEIGHT // 2 - 8, WIDTH),), caption=caption)


@dataclass(frozen=True, eq=False)
class Painted:
    """The tiles, and what the caption must say of them."""

    png: bytes
    outlines: tuple[Box, ...]
    seen: str
    scale: float | None
    """The end of the one scale; None: each has its own."""


def paint_slots(
    slots: Sequence[Slot],
    pictures: Sequence[np.ndarray | None],
    image_size: tuple[int, int],
    *,
    whole: bool,
    own_scale: bool,
) -> Painted:
    """Paint patches and reconstructions.

    Parameters
    ----------
    pictures
        uint8 (H, W, 3), the image of each slot; None: cannot be read.
    whole
        Show whole images, as is done anyhow where a receptive field is most of the image.
    """
    large = any(_is_large(slot, image_size) for slot in slots)
    windows = [
        Window.whole(*image_size) if whole or large or slot.box is None else Window.of(slot.box)
        for slot in slots
    ]
    maps = [None if slot.map is None else as_rgb(slot.map) for slot in slots]
    limits = limits_of(maps, windows, own_scale)
    outlines = [_outline_of(slot, large) if whole or large else None for slot in slots]
    size = "×".join(map(str, windows[0].size))
    outlined = "outlined: 90 % of |R|²" if large else "outlined: the receptive field"
    return Painted(
        rgb_png(painted(pictures, maps, windows, limits)),
        tuple(
            on_screen(box, window, slot, right)
            for slot, (box, window) in enumerate(zip(outlines, windows, strict=True))
            for right in (False, True)
            if box is not None
        ),
        f"whole images, {outlined}" if whole or large else f"receptive field {size} pixels",
        None if own_scale else limits[0].high,
    )


def labels_of(slots: Sequence[Slot]) -> tuple[Label, ...]:
    """Return the value below each patch, and what is new below each reconstruction."""
    labels = []
    for index, slot in enumerate(slots):
        (x, y), (right, _) = place(index, False), place(index, True)
        below = y + TILE + (LABEL - 16) // 2
        labels.append(Label(f"{slot.value:.3g}", x, below, TILE))
        if slot.map is None:
            middle = y + TILE // 2
            labels.append(Label("nothing to", right, middle - 16, TILE, "quiet"))
            labels.append(Label("reconstruct: ≤ 0", right, middle, TILE, "quiet"))
        if slot.change is not None:
            text, kind = _in_words(slot.change)
            labels.append(Label(text, right, below, TILE, kind))
    return tuple(labels)


def draw_outlines(canvas: Any, picture: TopPicture | None) -> None:
    """Outline what the units see, and the tiles of the selected image."""
    if picture is None:
        return
    for box in picture.outlines:
        for inset, colour in ((0.5, "#ffffff"), (1.5, "#000000")):
            canvas.line_width, canvas.stroke_style = 1, colour
            width, height = box.width - 2 * inset, box.height - 2 * inset
            canvas.stroke_rect(box.x + inset, box.y + inset, width, height)
    if picture.selected is not None:
        for right in (False, True):
            x, y = place(picture.selected, right)
            canvas.line_width, canvas.stroke_style = 2, ACCENT
            canvas.stroke_rect(x + 1, y + 1, TILE - 2, TILE - 2)


def _is_large(slot: Slot, image_size: tuple[int, int]) -> bool:
    return slot.box is None or slot.box.share(image_size) > MUCH


def _outline_of(slot: Slot, large: bool) -> tuple[int, int, int, int] | None:
    """Return top, left, bottom and right of the receptive field, or of most of the signal."""
    if not large and slot.box is not None:
        return slot.box.top, slot.box.left, slot.box.bottom, slot.box.right
    return None if slot.map is None else energy_box(np.square(slot.map).sum(0))


def _in_words(change: Change) -> tuple[str, str]:
    if change.picture:
        return "new picture", "accent"
    if change.similarity is None:
        return "", "quiet"
    pattern = f"new pattern {change.similarity:.2f}"
    return (pattern, "accent") if change.pattern else ("same", "quiet")
