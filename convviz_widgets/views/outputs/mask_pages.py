"""MaskPages: input, target mask, predicted mask and where they differ, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ipywidgets import HTML, Layout, Widget
from torch import Tensor

from convviz_widgets.errors import number_of
from convviz_widgets.images import ImageSet
from convviz_widgets.measure.responses import UNKNOWN, read_values
from convviz_widgets.measure.segmentation import MaskCounts
from convviz_widgets.probe.masks import IGNORED, class_masks
from convviz_widgets.probe.output_kinds import OutputKind
from convviz_widgets.state import Question, Selection
from convviz_widgets.tensors import class_colours, evenly_spread
from convviz_widgets.views.outputs.picture_pages import (
    LARGE,
    SMALL,
    PicturePage,
    PicturePages,
    page_question,
)
from convviz_widgets.widgets.text import cut_in_the_middle, escaped
from convviz_widgets.widgets.thumbnails import asked_of, class_name, in_square

NAMES = ("input", "target", "prediction", "wrong")

COUNTED = 256
"""Images over which the intersection over union is taken."""

NAMED = 6
"""Classes of which a caption names the intersection over union."""

LISTED = 40
"""Classes that the legend lists."""

LONGEST_NAME = 24
"""Characters of a class's name in the legend and the caption."""

VALUE = 28
"""Pixels of a number in the legend, which has its room before it is known."""

IGNORED_COLOUR, NO_SCORE_COLOUR = (128, 128, 128), (255, 0, 255)
"""Colours of what does not count, and of a prediction of NaN."""

RIGHT_COLOUR, WRONG_COLOUR = (64, 64, 64), (240, 228, 66)
"""Colours of positions that agree with the target, and that do not."""


@dataclass(frozen=True, eq=False)
class MaskRow:
    """One image: its picture uint8 (H, W, 3), and its masks (H, W), None where there is none."""

    input: np.ndarray | None
    target: np.ndarray | None
    prediction: np.ndarray | None


class MaskPages(PicturePages):
    """The pages of an `OutputGallery` for a model that puts out a map of class scores.

    Attributes
    ----------
    legend : the colours of the classes, each with its intersection over union.
    """

    def below(self) -> Sequence[Widget]:
        """Return the legend."""
        layout = Layout(flex="0 0 auto", overflow="hidden", min_height="42px", margin="4px 0 0 0")
        self.legend = HTML(layout=layout)
        return [self.legend]

    def questions(self, checkpoint: int) -> tuple[Question, ...]:
        """Return the question about the page, then that about all images."""
        return (
            page_question(self._state, checkpoint, self._images),
            self._count_question(checkpoint),
        )

    def picture(self, selection: Selection) -> PicturePage:
        """Return what is known by now.

        Raises
        ------
        InputError
            The target of the image is no mask.
        """
        own = self._output(selection)
        self._select_page(selection.image, own)
        history, images = self._state.output_history, self._state.image_set
        answered = history.get(page_question(self._state, selection.checkpoint, self._images))
        drawn = selection.drawing.input if selection.drawing else None
        first = mask_row(images, selection.image, own, self._kind, drawn, strict=True)
        rows = [
            first
            if image == selection.image
            else mask_row(
                images, image, None if answered is None else answered.output(image), self._kind
            )
            for image in self._images
        ]
        counted = history.get(self._count_question(selection.checkpoint))
        self._counts = None if counted is None else counted.masks
        classes = self._kind.classes or 0
        return PicturePage(
            mask_tiles([first], LARGE, classes),
            mask_tiles(rows, SMALL, classes),
            self._images,
            selection.image,
            self._in_words(selection, self._counts),
            NAMES,
        )

    def draw_below(self, page: PicturePage) -> None:
        """Send the legend."""
        self.legend.value = legend_of(self._state.image_set, self._kind, self._counts)

    @property
    def _kind(self) -> OutputKind:
        return self._state.output_kind

    def _output(self, selection: Selection) -> Tensor:
        """Return the mask that is predicted for the selected image, (H, W)."""
        values = read_values(self._kind, self._state.output(selection=selection), 1)
        known = values.isfinite().all()
        return self._kind.masks(values)[0] if known else torch.full(values.shape[2:], UNKNOWN)

    def _count_question(self, checkpoint: int) -> Question:
        images = evenly_spread(len(self._state.image_set), COUNTED)
        return self._state.output_history.question(checkpoint, images)

    def _in_words(self, selection: Selection, counts: MaskCounts | None) -> str:
        images = self._state.image_set
        drawn = f", {selection.drawing.how}" if selection.drawing else ""
        of = asked_of(self._count_question(selection.checkpoint), images)
        return " · ".join(
            part
            for part in (
                f"{selection.label} · {images.name(selection.image)}{drawn}",
                "" if counts is None else counts_in_words(counts, images, of),
                self._kind.note,
            )
            if part
        )


def counts_in_words(counts: MaskCounts, images: ImageSet, of: str) -> str:
    """Return the intersection over union in words, with n and what is left out.

    Parameters
    ----------
    of : how many of all images were asked about; see `asked_of`.
    """
    if not counts.n:
        return "no target masks: ImageSet(targets=) of class indices (N, H, W) compares with some"
    iou = counts.iou
    known = np.flatnonzero(np.isfinite(iou))
    named = ", ".join(f"{_short_name(images, i)} {iou[i]:.2f}" for i in known[:NAMED])
    more = f", {len(known) - NAMED} more below" if len(known) > NAMED else ""
    nowhere = len(iou) - len(known)
    left = (
        (counts.ignored, "position", "below zero or 255"),
        (counts.unmasked, "image", "without a mask"),
        (counts.not_finite, "image", "with scores that are NaN or infinite"),
    )
    said = [f"{number_of(count, noun)} {what}" for count, noun, what in left if count]
    ignored = ", ".join(said) or "nothing"
    parts = (
        f"mean IoU {counts.mean_iou:.3f} ({named}{more})",
        f"n = {number_of(counts.images, 'image')}{of}, {counts.n:,} positions",
        f"ignored: {ignored}",
        f"{nowhere:,} of {len(iou):,} classes nowhere, not in the mean" if nowhere else "",
    )
    return " · ".join(filter(None, parts))


def legend_of(images: ImageSet, kind: OutputKind, counts: MaskCounts | None) -> str:
    """Return the colour and name of each class, with its intersection over union, as HTML."""
    classes = kind.classes or 0
    iou = np.full(classes, np.nan) if counts is None else counts.iou
    colours = class_colours(classes)
    few = classes <= LISTED or not np.isfinite(iou).any()  # all of few, so that none moves
    seen = range(classes) if few else np.flatnonzero(np.isfinite(iou))
    entries = [_entry(colours[i], _short_name(images, i), iou[i]) for i in seen[:LISTED]]
    entries += [_entry(IGNORED_COLOUR, "ignored", None)]
    more = f"<span>and {len(seen) - LISTED:,} more</span>" if len(seen) > LISTED else ""
    style = "display:flex;flex-wrap:wrap;gap:0 14px;font-size:12px;line-height:20px"
    return f'<div style="{style}">{"".join(entries)}{more}</div>'


def _short_name(images: ImageSet, index: int) -> str:
    return cut_in_the_middle(class_name(images, int(index)), LONGEST_NAME)


def _entry(colour: Any, name: str, iou: float | None) -> str:
    """Return a box and a name, and the room for a number; None: there will be none."""
    rgb = ",".join(map(str, map(int, colour)))
    box = (
        f'<span style="display:inline-block;width:10px;height:10px;background:rgb({rgb});'
        'border:1px solid #8a8a8a;margin-right:4px"></span>'
    )
    is_known = iou is not None and np.isfinite(iou)
    value = f" {iou:.2f}" if is_known else ""
    room = VALUE if iou is not None and not is_known else 0
    style = f"white-space:nowrap;padding-right:{room}px"
    return f'<span style="{style}">{box}{escaped(name)}{value}</span>'


def mask_row(
    images: ImageSet,
    image: int,
    prediction: Tensor | None,
    kind: OutputKind,
    drawn: Tensor | None = None,
    *,
    strict: bool = False,
) -> MaskRow:
    """Return the picture and the masks of one image.

    Parameters
    ----------
    prediction : (H, W), `UNKNOWN` where there is no class; None where it is not known yet.
    drawn : (C, H, W), what stands in for the image.
    strict : raise for a target that is no mask, instead of leaving the image out.
    """
    found = None if prediction is None else prediction.numpy()
    try:
        seen = images.input(image)[0] if drawn is None else drawn
        shown, target = images.preprocessing.undone(seen), images.target(image)
        mask = None if target is None else class_masks(target[None], kind.classes or 0)[0].numpy()
    except Exception:  # whatever a data set raises: the others are still fine
        if strict:
            raise
        return MaskRow(None, None, found)
    return MaskRow(shown, mask, found)


def mask_tiles(rows: Sequence[MaskRow], side: int, classes: int) -> np.ndarray:
    """Return all inputs, then targets, predictions and errors: uint8 (4·n, side, side, 4)."""
    colours = class_colours(classes)
    columns = [
        [row.input for row in rows],
        [_painted(row.target, colours, IGNORED_COLOUR, side) for row in rows],
        [_painted(row.prediction, colours, NO_SCORE_COLOUR, side) for row in rows],
        [_wrong(row, side) for row in rows],
    ]
    return np.stack([in_square(pixels, side) for column in columns for pixels in column])


def _painted(
    mask: np.ndarray | None, colours: np.ndarray, other: tuple[int, int, int], side: int
) -> np.ndarray | None:
    """Return a mask in its classes' colours, (h, w, 3), and what has no class in another."""
    if mask is None:
        return None
    return np.vstack([colours, np.array([other], np.uint8)])[_at_most(mask, side)]


def _wrong(row: MaskRow, side: int) -> np.ndarray | None:
    """Return where prediction and target differ, (h, w, 3); None unless both are there."""
    if row.target is None or row.prediction is None or row.target.shape != row.prediction.shape:
        return None
    wrong = np.where(row.target == IGNORED, 2, row.target != row.prediction)
    colours = np.array([RIGHT_COLOUR, WRONG_COLOUR, IGNORED_COLOUR], np.uint8)
    return colours[_at_most(wrong, side)]


def _at_most(mask: np.ndarray, side: int) -> np.ndarray:
    """Return a mask no longer than a side: the class nearest to each pixel, none mixed."""
    longest = max(mask.shape)
    if longest <= side:
        return mask
    rows, columns = (
        ((np.arange(max(1, round(size * side / longest))) + 0.5) * longest / side).astype(int)
        for size in mask.shape
    )
    kept = np.ix_(rows.clip(max=mask.shape[0] - 1), columns.clip(max=mask.shape[1] - 1))
    return mask[kept]
