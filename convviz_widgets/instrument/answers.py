"""Answers: what a model says to many images, in few numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.instrument.drift import LEAST, Drift
from convviz_widgets.instrument.image_set import ImageSet
from convviz_widgets.instrument.measurement import AnswerFacts
from convviz_widgets.instrument.pictures import as_pictures, chroma, contrast


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
