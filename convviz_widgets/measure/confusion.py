"""Confusion matrix: how often each class is taken for each other one, and on which images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convviz_widgets.measure.responses import Responses

Cell = tuple[range, range]
"""True classes and answered classes: one of each, or a block of them."""


@dataclass(frozen=True, eq=False)
class Confusion:
    """The labelled images that were answered, by true class and answer.

    Attributes
    ----------
    classes : K.
    images, labels, predicted : int64 (n,), every image that counts.
    probability : float32 (n,), of the answer.
    unlabelled : images left out because their class is not known.
    beyond : images left out because their label has no class score.
    not_finite : images left out because their scores are NaN or infinite.
    unread : images left out because they cannot be read.
    """

    classes: int
    images: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray
    unlabelled: int = 0
    beyond: int = 0
    not_finite: int = 0
    unread: int = 0

    @classmethod
    def of(cls, answered: Responses) -> Confusion:
        """Count what a model answered to images."""
        labels, predicted, classes = answered.labels, answered.predicted, answered.classes
        has_label, fits = labels >= 0, labels < classes
        counts = has_label & fits & (predicted >= 0)
        return cls(
            classes,
            answered.indices[counts],
            labels[counts],
            predicted[counts],
            answered.probability[counts],
            unlabelled=int((~has_label).sum()),
            beyond=int((~fits).sum()),
            not_finite=int((has_label & fits & (predicted < 0)).sum()),
            unread=len(answered.failures),
        )

    @property
    def n(self) -> int:
        """Images that count."""
        return len(self.images)

    @property
    def accuracy(self) -> float:
        """Share of the images whose answer is right; NaN without any."""
        return float((self.labels == self.predicted).mean()) if self.n else float("nan")

    @property
    def standard_error(self) -> float:
        """Binomial standard error of the accuracy: √(p (1 − p) / n)."""
        return float(np.sqrt(self.accuracy * (1 - self.accuracy) / self.n)) if self.n else 0.0

    @cached_property
    def counts(self) -> np.ndarray:
        """Images by true class and answer: int64 (K, K)."""
        places = self.labels * self.classes + self.predicted
        return np.bincount(places, minlength=self.classes**2).reshape(self.classes, self.classes)

    @property
    def shares(self) -> np.ndarray:
        """Share of the images of each true class: (K, K), NaN for classes without images."""
        totals = self.counts.sum(axis=1, keepdims=True)
        return np.divide(
            self.counts, totals, out=np.full(self.counts.shape, np.nan), where=totals > 0
        )

    def images_in(self, cell: Cell) -> np.ndarray:
        """Return the images of a cell, the most certain answers first."""
        rows, columns = cell
        inside = (
            (self.labels >= rows.start)
            & (self.labels < rows.stop)
            & (self.predicted >= columns.start)
            & (self.predicted < columns.stop)
        )
        found = np.flatnonzero(inside)
        return self.images[found[np.argsort(-self.probability[found], kind="stable")]]

    def largest(self, count: int) -> list[tuple[int, int, int]]:
        """Return (true class, answer, images) of the fullest cells, all errors before the rest."""
        rows, columns = np.nonzero(self.counts)
        found = self.counts[rows, columns]
        order = np.lexsort((columns, rows, -found, rows == columns))[:count]
        return [(int(rows[i]), int(columns[i]), int(found[i])) for i in order]
