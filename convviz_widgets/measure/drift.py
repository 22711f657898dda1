"""Colour drift, computed: chroma and contrast of output pictures beside those of their targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.images import ImageSet

DRIFT = ("chroma", "chroma of the target", "contrast", "contrast of the target")
"""What is measured of each output picture."""

LEAST = 0.02
"""Least chroma, or contrast, of a target; the share of a smaller one would mean nothing."""

_RANGE_TARGETS = 8
"""Number of targets whose range tells whether they are preprocessed."""


@dataclass(frozen=True)
class Drift:
    """Chroma and contrast of output pictures over a set, divided by those of their targets.

    Attributes
    ----------
    chroma : the set's mean chroma divided by that of the targets; NaN without a colourful target.
    contrast : median over the images of the standard deviation of the luminance, each by its
        target's; NaN without a target that has some.
    coloured, contrasted : images that each is taken over.
    """

    chroma: float
    contrast: float
    coloured: int
    contrasted: int

    @classmethod
    def of(cls, table: np.ndarray) -> Drift:
        """Sum up a table (N, 4) of `picture_drift`.

        Targets below `LEAST` say nothing, nor do outputs that are not finite.
        """
        finite = np.isfinite(table)
        coloured = table[finite[:, :2].all(axis=1) & (table[:, 1] >= LEAST)]
        contrasted = table[finite[:, 2:].all(axis=1) & (table[:, 3] >= LEAST)]
        ratios = contrasted[:, 2] / contrasted[:, 3]
        return cls(
            float(coloured[:, 0].sum() / coloured[:, 1].sum()) if len(coloured) else float("nan"),
            float(np.median(ratios)) if len(ratios) else float("nan"),
            len(coloured),
            len(contrasted),
        )


def picture_drift(
    outputs: Tensor, targets: Sequence[Tensor | None], images: ImageSet
) -> np.ndarray:
    """Return `DRIFT` of pictures (N, C, H, W): float64 (N, 4).

    NaN where a picture has no target of its shape; the chroma of pictures without three channels.
    """
    found = np.full((len(outputs), len(DRIFT)), np.nan)
    shape = outputs.shape[1:]
    pairs = [
        (i, each) for i, each in enumerate(targets) if each is not None and each.shape == shape
    ]
    if not pairs:
        return found
    rows = [row for row, _ in pairs]
    expected = torch.stack([target for _, target in pairs]).to("cpu", torch.float32)
    for column, values in enumerate((outputs[rows], expected)):
        pictures = as_pictures(values, images)  # (n, C, H, W)
        if shape[0] == 3:
            found[rows, column] = chroma(pictures)
        found[rows, 2 + column] = contrast(pictures)
    return found


def as_pictures(values: Tensor, images: ImageSet) -> Tensor:
    """Return outputs or targets (N, C, H, W) of an image set on the scale of [0, 1].

    Targets that leave that range are preprocessed as the inputs are, which is undone.
    """
    targets = [images.target(index) for index in range(min(_RANGE_TARGETS, len(images)))]
    known = [target for target in targets if target is not None]
    is_plain = all(target.min() >= 0 and target.max() <= 1 for target in known)
    if is_plain or values.shape[1] != images.shape[0]:
        return values.double()
    scale, shift = images.preprocessing.scale, images.preprocessing.shift
    return values.double() * scale.reshape(-1, 1, 1) + shift.reshape(-1, 1, 1)


def chroma(pictures: Tensor) -> Tensor:
    """Return the mean of √Σ_c(x_c − grey)² over the positions of each picture: (N,).

    Grey is the mean of the channels. HSV's saturation would call dark noise colourful.
    """
    grey = pictures.mean(dim=1, keepdim=True)
    return (pictures - grey).square().sum(dim=1).sqrt().mean(dim=(1, 2))


def contrast(pictures: Tensor) -> Tensor:
    """Return the standard deviation of the luminance, the mean of the channels: (N,)."""
    return pictures.mean(dim=1).flatten(1).std(dim=1, correction=0)
