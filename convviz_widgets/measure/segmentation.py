"""Segmentation: predicted masks beside the target masks, position by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from convviz_widgets.probe.masks import IGNORED, class_masks, resized_scores
from convviz_widgets.probe.output_kinds import OutputKind


@dataclass(frozen=True, eq=False)
class MaskCounts:
    """Positions of some images, by true and predicted class.

    Attributes
    ----------
    counts : int64 (K, K), true classes by predicted ones.
    images : images with a target mask, and finite scores.
    ignored : positions of their masks that do not count: below zero, or 255.
    unmasked : images without a target mask.
    not_finite : images left out because scores are NaN or infinite.
    """

    counts: np.ndarray
    images: int = 0
    ignored: int = 0
    unmasked: int = 0
    not_finite: int = 0

    def __add__(self, other: MaskCounts) -> MaskCounts:
        return MaskCounts(
            self.counts + other.counts,
            self.images + other.images,
            self.ignored + other.ignored,
            self.unmasked + other.unmasked,
            self.not_finite + other.not_finite,
        )

    @property
    def n(self) -> int:
        """Positions that count."""
        return int(self.counts.sum())

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each class: (K,), NaN for one that is nowhere."""
        both = np.diag(self.counts).astype(np.float64)
        either = self.counts.sum(0) + self.counts.sum(1) - both
        return np.divide(both, either, out=np.full(len(both), np.nan), where=either > 0)

    @property
    def mean_iou(self) -> float:
        """The mean over the classes that are somewhere, true or predicted; NaN for none."""
        known = self.iou[np.isfinite(self.iou)]
        return float(known.mean()) if len(known) else float("nan")


def count_masks(values: Tensor, targets: Sequence[Tensor | None], kind: OutputKind) -> MaskCounts:
    """Count the positions of predicted masks beside those of the targets.

    Parameters
    ----------
    values : (N, *kind.shape), scores; they are resized to each target mask.
    targets : a mask each, as `class_masks` takes it; None: an image without one.

    Raises
    ------
    InputError
        A target is no mask, or holds a class without a score.
    """
    classes = kind.classes or 0
    total = MaskCounts(np.zeros((classes, classes), np.int64))
    for scores, target in zip(values, targets, strict=True):
        if target is None:
            total += MaskCounts(np.zeros_like(total.counts), unmasked=1)
        elif not scores.isfinite().all():
            total += MaskCounts(np.zeros_like(total.counts), not_finite=1)
        else:
            total += _of_one(scores, target, kind)
    return total


def _of_one(scores: Tensor, target: Tensor, kind: OutputKind) -> MaskCounts:
    classes = kind.classes or 0
    mask = class_masks(target[None], classes)  # (1, H, W)
    predicted = kind.predicted(resized_scores(scores[None], mask.shape[1:]))
    counts = mask != IGNORED
    places = mask[counts] * classes + predicted[counts]
    table = np.bincount(places.numpy(), minlength=classes**2).reshape(classes, classes)
    return MaskCounts(table, images=1, ignored=int((~counts).sum()))
