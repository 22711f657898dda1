"""Picture rows: what goes into an image-to-image model, what should come out, what does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor

from convviz_widgets.instrument import ImageSet
from convviz_widgets.instrument.pictures import as_pictures
from convviz_widgets.tensors import DIVERGING, Limits, normalize, palette, quantize

NAMES = ("input", "target", "output", "difference")

NOT_A_NUMBER = np.array([255, 0, 255], np.uint8)


@dataclass(frozen=True, eq=False)
class PictureRow:
    """One image: four pictures, each uint8 (H, W, 3) or None where there is none.

    Attributes
    ----------
    difference : (H, W), output minus target, the mean of the channels; minus the input where there
        is no target, None where sizes differ.
    not_finite : how many values of the output are NaN or infinite.
    """

    image: int
    input: np.ndarray | None
    target: np.ndarray | None
    output: np.ndarray | None
    difference: np.ndarray | None
    not_finite: int = 0


def picture_row(
    images: ImageSet, image: int, output: Tensor | None, drawn: Tensor | None = None
) -> PictureRow:
    """Return the pictures of one image.

    Parameters
    ----------
    output : (C, H, W); None where it is not known yet.
    drawn : (C, H, W), what stands in for the image.
    """
    try:
        seen = images.input(image)[0] if drawn is None else drawn
        shown, target = images.preprocessing.undone(seen), images.target(image)
    except Exception:  # whatever a data set raises: the others are still fine
        return PictureRow(image, None, None, None, None)
    wanted = None if target is None else _plain(target, images)
    if output is None:
        return PictureRow(image, shown, _pixels(wanted), None, None)
    found = _plain(output, images)
    reference = wanted
    if wanted is None:
        undone = images.preprocessing
        own = seen.double() * undone.scale.reshape(-1, 1, 1) + undone.shift.reshape(-1, 1, 1)
        reference = own.numpy()
    fits = reference is not None and reference.shape == found.shape
    difference = (found - reference).mean(axis=0) if fits else None
    missing = int((~np.isfinite(found)).sum())
    return PictureRow(image, shown, _pixels(wanted), _pixels(found), difference, missing)


def picture_of(output: Tensor, images: ImageSet) -> np.ndarray | None:
    """Return an output (C, H, W) as a picture, uint8 (H, W, 3)."""
    return _pixels(_plain(output, images))


def tiles_of_rows(rows: Sequence[PictureRow], side: int, limit: float) -> np.ndarray:
    """Return all inputs, then targets, outputs, differences: uint8 (4·n, side, side, 4).

    ``limit`` is the end of the differences' scale. What there is not is transparent.
    """
    scale = Limits(-limit, limit, True)
    colours = palette(DIVERGING[0])
    columns = [
        [row.input for row in rows],
        [row.target for row in rows],
        [row.output for row in rows],
        [
            None
            if row.difference is None
            else colours[quantize(normalize(row.difference[None], scale))[0]][..., :3]
            for row in rows
        ],
    ]
    return np.stack([fitted(pixels, side) for column in columns for pixels in column])


def limit_of(rows: Sequence[PictureRow]) -> float:
    """Return the largest magnitude of all differences."""
    found = [np.abs(row.difference) for row in rows if row.difference is not None]
    finite = [each[np.isfinite(each)] for each in found]
    return max((float(each.max()) for each in finite if each.size), default=0.0)


def fitted(pixels: np.ndarray | None, side: int) -> np.ndarray:
    """Return a picture (H, W, 3) in the middle of a square: uint8 (side, side, 4).

    Enlarged by repeating pixels, shrunk by their means, its proportions kept.
    """
    square = Image.new("RGBA", (side, side))
    if pixels is not None:
        image = Image.fromarray(np.ascontiguousarray(pixels))
        scale = side / max(image.size)
        method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
        width, height = (max(1, round(length * scale)) for length in image.size)
        small = image.resize((width, height), method)
        square.paste(small, ((side - width) // 2, (side - height) // 2))
    return np.asarray(square)


def _plain(picture: Tensor, images: ImageSet) -> np.ndarray:
    """Return a picture (C, H, W) on the scale of [0, 1], float64."""
    return as_pictures(picture.detach().cpu()[None], images)[0].numpy()


def _pixels(picture: np.ndarray | None) -> np.ndarray | None:
    """Return a picture (C, H, W) as uint8 (H, W, 3), clipped; what is no number is magenta."""
    if picture is None or picture.ndim != 3:
        return None
    rgb = picture[:3] if len(picture) >= 3 else np.repeat(picture[:1], 3, axis=0)
    known = np.isfinite(rgb).all(axis=0)
    clipped = np.nan_to_num(rgb, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    pixels = np.rint(clipped * 255).astype(np.uint8).transpose(1, 2, 0)
    return np.where(known[..., np.newaxis], pixels, NOT_A_NUMBER)
