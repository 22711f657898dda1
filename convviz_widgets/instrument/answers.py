"""Answers: what a model says to many images, in few numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.instrument.image_set import ImageSet
from convviz_widgets.instrument.pictures import as_pictures, chroma, contrast

COMMONEST = "commonest class"
SHARE = "share of the commonest class"
LABEL_SHARE = "share of the commonest label"
PICTURES = "pictures"
CHROMA = "chroma of the outputs, by that of the targets"
CONTRAST = "contrast of the outputs, by that of the targets"
WORST = "palest image"

LEAST = 0.02
"""Targets that are less colourful, or less contrasted, than this say nothing."""


class Answers:
    """Counts the classes that a model answers, or compares its pictures with their targets."""

    def __init__(self, images: ImageSet) -> None:
        self._images = images
        self._classes: Counter[int] = Counter()
        self._labels: Counter[int] = Counter()
        self._pictures: list[np.ndarray] = []

    def add(self, indices: Sequence[int], result: Any, expected: Tensor | None) -> None:
        """Take the answers to some images, with their labels (B,) or target pictures."""
        if not isinstance(result, Tensor) or not torch.isfinite(result).all():
            return
        if result.ndim == 2 and result.shape[1] > 1 and (expected is None or expected.ndim == 1):
            self._classes.update(result.argmax(dim=1).tolist())
            self._labels.update([] if expected is None else expected.tolist())
        if result.ndim == 4 and expected is not None and expected.shape == result.shape:
            pair = [as_pictures(each.cpu(), self._images) for each in (result, expected)]
            grey = [torch.zeros(len(result))] * 2
            colours = [chroma(each) for each in pair] if result.shape[1] == 3 else grey
            columns = [torch.tensor(indices), *colours, *(contrast(each) for each in pair)]
            self._pictures.append(torch.stack([c.double() for c in columns], dim=1).numpy())

    @property
    def numbers(self) -> dict[tuple[str, str], float]:
        """What there is to tell, by names of this module."""
        found = {**self._of_classes(), **self._of_pictures()}
        return {("", name): float(value) for name, value in found.items()}

    def _of_classes(self) -> dict[str, float]:
        if not self._classes:
            return {}
        ((commonest, count),) = self._classes.most_common(1)
        numbers = {COMMONEST: commonest, SHARE: count / self._classes.total()}
        if self._labels:
            numbers[LABEL_SHARE] = self._labels.most_common(1)[0][1] / self._labels.total()
        return numbers

    def _of_pictures(self) -> dict[str, float]:
        if not self._pictures:
            return {}
        table = np.concatenate(self._pictures)  # (N, 5)
        coloured, contrasted = table[table[:, 2] >= LEAST], table[table[:, 4] >= LEAST]
        numbers: dict[str, float] = {PICTURES: len(table)}
        if len(coloured):
            numbers[CHROMA] = coloured[:, 1].sum() / coloured[:, 2].sum()
            numbers[WORST] = coloured[np.argmin(coloured[:, 1] / coloured[:, 2]), 0]
        if len(contrasted):
            numbers[CONTRAST] = float(np.median(contrasted[:, 3] / contrasted[:, 4]))
        return numbers
