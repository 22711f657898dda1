"""What ConfusionMatrix draws: a painted matrix, the images of one of its cells, and its caption."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convviz_widgets.instrument.confusion import Cell, Confusion
from convviz_widgets.views.class_cells import ClassCells


@dataclass(frozen=True, eq=False)
class ConfusionPicture:
    """A painted matrix, and one of its cells.

    Attributes
    ----------
    found : what it counts.
    cells : where its cells lie.
    png : the picture.
    cell : the one whose images are listed; None: there is none.
    listed, tiles : its first images and their thumbnails.
    heading : the cell in words.
    caption : the line under the picture.
    """

    found: Confusion
    cells: ClassCells
    png: bytes
    cell: Cell | None
    listed: tuple[int, ...]
    tiles: np.ndarray
    heading: str
    caption: str


def caption_of(
    found: Confusion, cells: ClassCells, step: int, of: str, colour: str, high: float
) -> str:
    """Return the line under the matrix.

    Parameters
    ----------
    of : of how many images it was asked, if not of all.
    colour, high : what the colours show, and the upper end of their scale.
    """
    left = (
        (found.unlabelled, "without a label"),
        (found.beyond, f"with a label that has none of the {found.classes} scores"),
        (found.not_finite, "with scores that are NaN or infinite"),
        (found.unread, "that cannot be read"),
    )
    out = ", ".join(f"{count:,} {why}" for count, why in left if count)
    block = cells.reduce
    parts = (
        f"step {step:,} · n = {found.n:,} images{of}",
        f"accuracy {found.accuracy:.1%} ± {found.standard_error:.1%} (binomial standard error)",
        f"colour: {colour}, 0 to {high:.2g}",
        f"each pixel the largest of {block}×{block} cells" if block > 1 else "",
        f"left out: {out}" if out else "",
    )
    return " · ".join(filter(None, parts))


def first_cell(found: Confusion, cells: ClassCells) -> Cell:
    """Return the cell with the most errors; without any, the fullest."""
    truth, answer, _ = found.largest(1)[0]
    return cells.cell(truth // cells.reduce, answer // cells.reduce)


def why_empty(found: Confusion) -> str:
    """Say why no image counts."""
    if found.unlabelled and not (found.beyond or found.not_finite):
        return (
            f"None of n = {found.unlabelled:,} images has a label, so the matrix has no rows. "
            "ImageSet(inputs, labels) says which class each image is of."
        )
    return (
        f"No image counts: {found.unlabelled:,} have no label, {found.beyond:,} a label that has "
        f"none of the {found.classes} class scores, {found.not_finite:,} scores that are NaN or "
        f"infinite, {found.unread:,} cannot be read."
    )
