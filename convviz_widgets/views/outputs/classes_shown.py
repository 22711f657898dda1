"""ClassesShown: the probabilities of one image by class, and where they come from, in words."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from convviz_widgets.images import ImageSet
from convviz_widgets.probe.output_kinds import (
    BINARY,
    MULTILABEL,
    NUMBER,
    SEGMENTATION,
    OutputKind,
)
from convviz_widgets.widgets.thumbnails import class_name


@dataclass(frozen=True, eq=False)
class ClassesShown:
    """The classes that a kind of output has probabilities for, and which of them are true."""

    kind: OutputKind
    images: ImageSet

    @property
    def named(self) -> bool:
        """Whether there are classes: one number that may be anything has none."""
        return self.kind.name != NUMBER and (self.kind.name != BINARY or self.kind.is_certain)

    def name(self, index: int) -> str:
        """Return what a class is called."""
        return class_name(self.images, index)

    def shares(self, found: Tensor) -> Tensor:
        """Return the probabilities (K,) of one image, or the share of each class in its mask.

        Parameters
        ----------
        found : (1, K), as the model puts them out, or the predicted mask (1, H, W).
        """
        kind = self.kind
        if kind.name == SEGMENTATION:
            known = found[found >= 0].long()
            if not len(known):
                return torch.full((kind.classes or 0,), torch.nan)
            return torch.bincount(known, minlength=kind.classes or 0) / len(known)
        shares = kind.probabilities(found)[0]
        return shares if self.named else shares[-1:]

    def truths(self, image: int) -> tuple[int, ...]:
        """Return the true classes of an image: its label, or those of its row of labels."""
        label, target = self.images.label(image), self.images.target(image)
        if target is not None and target.ndim == 1 and target.shape == self.kind.shape:
            return tuple(torch.nonzero(target > 0.5).flatten().tolist())
        return () if label is None or self.kind.name == SEGMENTATION else (label,)

    def true_name(self, image: int, classes: int) -> str:
        """Return the true classes in words; "" where every position has one of its own."""
        truths = self.truths(image)
        if not truths:
            return "" if self.kind.name == SEGMENTATION else "not known"
        names = ", ".join(map(self.name, truths))
        beyond = self.named and max(truths) >= classes
        return f"{names}, WHICH HAS NO SCORE AMONG {classes}" if beyond else names


def how_in_words(kind: OutputKind, values: Tensor, is_named: bool, positive: str) -> str:
    """Return where the probabilities come from.

    Parameters
    ----------
    values : (1, ...), of one image.
    is_named : whether one number is known to be of two classes.
    positive : the name of class 1.
    """
    count = kind.shape[0]
    if not is_named:
        what = "itself" if kind.squashed else "its sigmoid"
        return (
            f"one output: {values.item():.4g}, the bar is {what}: a probability only if "
            "trained as one"
        )
    if kind.name == SEGMENTATION:
        size = "×".join(map(str, kind.mask_size or kind.shape[1:]))
        return f"share of the {size} positions at which each of {kind.classes} classes is predicted"
    if kind.name == BINARY:
        said = "one probability" if kind.squashed else f"sigmoid of one logit, {values.item():.4g}"
        return f"{said}, that of {positive}"
    if kind.name == MULTILABEL:
        return f"{'' if kind.squashed else 'sigmoid of '}{count} labels, which do not sum to 1"
    return f"{count} probabilities" if kind.squashed else f"softmax of {count} classes"


def has_rows_of_labels(images: ImageSet) -> bool:
    """Tell whether the images have a row of targets each, in place of a class."""
    try:
        target = images.target(0)
        return target is not None and target.ndim == 1 and images.label(0) is None
    except Exception:  # whatever a data set raises: the others have labels, or none
        return False
