"""Drift: how colourful and how contrasted output pictures are, as shares of their targets'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.images import ImageSet
from convviz_widgets.measure.measurement import AnswerFacts

LEAST = 0.02
"""Targets that are less colourful, or less contrasted, than this say nothing."""

LOOKED_AT = 8
"""Targets by whose range one tells whether they are preprocessed."""


@dataclass(frozen=True)
class Drift:
    """Chroma and contrast of output pictures over a set, by those of their targets.

    Attributes
    ----------
    chroma : the set's mean chroma by that of the targets; NaN without a colourful target.
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
        """Sum up a table (N, 4): chroma of output and target, contrast of output and target.

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


class Answers:
    """Counts the classes that a model answers, or compares its pictures with their targets."""

    def __init__(self, images: ImageSet) -> None:
        self._set = images
        self._images = 0
        self._classes: Counter[int] = Counter()
        self._labels: Counter[int] = Counter()
        self._pictures: list[np.ndarray] = []

    def add(self, indices: Sequence[int], result: Any, expected: Tensor | None) -> None:
        """Take the answers to some images, with their labels (B,) or target pictures."""
        self._images += len(indices)
        if not isinstance(result, Tensor) or not torch.isfinite(result).all():
            return
        if result.ndim == 2 and result.shape[1] > 1 and (expected is None or expected.ndim == 1):
            self._classes.update(result.argmax(dim=1).tolist())
            self._labels.update([] if expected is None else expected.tolist())
        if result.ndim == 4 and expected is not None and expected.shape == result.shape:
            pair = [as_pictures(each.cpu(), self._set) for each in (result, expected)]
            grey = [torch.zeros(len(result))] * 2
            colours = [chroma(each) for each in pair] if result.shape[1] == 3 else grey
            columns = [torch.tensor(indices), *colours, *(contrast(each) for each in pair)]
            self._pictures.append(torch.stack([c.double() for c in columns], dim=1).numpy())

    @property
    def facts(self) -> AnswerFacts:
        """What there is to tell so far."""
        if self._pictures:
            return self._of_pictures(np.concatenate(self._pictures))
        if not self._classes:
            return AnswerFacts(self._images)
        ((commonest, count),) = self._classes.most_common(1)
        labels = self._labels.most_common(1)
        return AnswerFacts(
            self._images,
            commonest=commonest,
            share=count / self._classes.total(),
            label_share=labels[0][1] / self._labels.total() if labels else float("nan"),
        )

    def _of_pictures(self, table: np.ndarray) -> AnswerFacts:
        """Return the facts of (N, 5): image, chroma and contrast of output and target."""
        drift = Drift.of(table[:, 1:])
        coloured = table[table[:, 2] >= LEAST]
        palest = coloured[np.argmin(coloured[:, 1] / coloured[:, 2]), 0] if len(coloured) else None
        return AnswerFacts(
            self._images,
            pictures=len(table),
            chroma=drift.chroma,
            contrast=drift.contrast,
            palest=None if palest is None else int(palest),
        )


def as_pictures(values: Tensor, images: ImageSet) -> Tensor:
    """Return outputs or targets (N, C, H, W) of an image set on the scale of [0, 1].

    Targets that leave that range are preprocessed as the inputs are, which is undone.
    """
    targets = [images.target(index) for index in range(min(LOOKED_AT, len(images)))]
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
