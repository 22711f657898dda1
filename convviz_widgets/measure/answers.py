"""Answers, summed up: how often each class is answered, or how pictures compare with targets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.images import ImageSet
from convviz_widgets.measure.drift import LEAST, Drift, picture_drift
from convviz_widgets.probe.output_kinds import PICTURE, OutputKind, kind_by_shape


@dataclass(frozen=True)
class AnswerFacts:
    """What a model answers to many images: a class for each, or a picture.

    Attributes
    ----------
    images : images that were answered, finite or not.
    commonest : class that is answered most often; None for a model that puts out something else.
    share : share of the images to which it is answered.
    label_share : largest share of one label among these images; NaN without labels.
    pictures : pairs of output and target picture.
    chroma : mean chroma of the outputs, divided by that of the targets.
    contrast : median over the images of the luminance's standard deviation, each divided by that
        of its target.
    palest : index of the image that lost most colour, None without a colourful target.
    """

    images: int
    commonest: int | None = None
    share: float = math.nan
    label_share: float = math.nan
    pictures: int = 0
    chroma: float = math.nan
    contrast: float = math.nan
    palest: int | None = None


class Answers:
    """Counts the classes that a model answers, or compares its pictures with their targets.

    Parameters
    ----------
    images : those that it is shown.
    kind : what it puts out; None: what the shape of the first answer suggests.
    """

    def __init__(self, images: ImageSet, kind: OutputKind | None = None) -> None:
        self._set, self._kind = images, kind
        self._images = 0
        self._classes: Counter[int] = Counter()
        self._labels: Counter[int] = Counter()
        self._pictures: list[np.ndarray] = []

    def add(self, indices: Sequence[int], result: Any, expected: Tensor | None) -> None:
        """Take the answers to some images, with their labels (B,) or target pictures."""
        self._images += len(indices)
        kind = self._kind or kind_by_shape(result)
        values = None if kind.why else kind.values(result, len(indices))
        if values is None or not torch.isfinite(values).all():
            return
        if kind.answers and (expected is None or expected.ndim == 1):
            self._classes.update(kind.predicted(values).tolist())
            self._labels.update([] if expected is None else expected.tolist())
        if kind.name == PICTURE and expected is not None and expected.shape == values.shape:
            drift = picture_drift(values.cpu(), list(expected), self._set)
            self._pictures.append(np.column_stack([indices, drift]))

    @property
    def facts(self) -> AnswerFacts:
        """What the answers so far come to."""
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
