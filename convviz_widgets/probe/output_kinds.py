"""The kinds of output that a model may have, and how the values of each are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.probe.masks import resized_scores
from convviz_widgets.probe.output_parts import Place, named, part_at

LOGITS, PROBABILITIES, BINARY, MULTILABEL = "logits", "probabilities", "binary", "multilabel"
SEGMENTATION, PICTURE = "segmentation", "picture"

KINDS = (LOGITS, PROBABILITIES, BINARY, MULTILABEL, SEGMENTATION, PICTURE)
"""The kinds that a user can choose by name."""

NUMBER, OTHER = "one number", "something else"
"""What has no classes: one number an image that is no probability, and anything else."""

EXPECTED = "expected class scores (N, K), a map of them (N, K, H, W) or pictures (N, C, H, W)"


@dataclass(frozen=True, eq=False)
class OutputKind:
    """What a model puts out, and how it is read.

    Attributes
    ----------
    name : one of `KINDS`, `NUMBER` or `OTHER`.
    shape : that of the values of one image: (K,), (K, H, W) or (C, H, W).
    classes : how many classes the values tell apart, 2 for one logit; None: they tell none.
    squashed : whether the values are probabilities already, by a softmax or sigmoid of the model.
    overlaps : whether the classes of a map have a probability each that do not sum to 1.
    is_certain : whether what is known beside the values agrees: False where it was guessed.
    place : where the values are in what the model returns.
    choose : the user's function of what the model returns, in place of a place.
    mask_size : (H, W) of the target masks, which the scores are resized to; () for their own.
    note : one line on what was guessed, empty for nothing.
    why : one line on why it cannot be read, for `OTHER`.
    """

    name: str
    shape: tuple[int, ...] = ()
    classes: int | None = None
    squashed: bool = False
    overlaps: bool = False
    is_certain: bool = True
    place: Place = ()
    choose: Callable[[Any], Any] | None = None
    mask_size: tuple[int, ...] = ()
    note: str = ""
    why: str = ""

    def __repr__(self) -> str:
        at = f" at {self.place}" if self.place else ""
        return f"<OutputKind: {self.name} {self.shape}{at}>"

    @property
    def answers(self) -> bool:
        """Whether there is one class, or label, that is most probable for an image."""
        return self.name in (LOGITS, PROBABILITIES, BINARY, MULTILABEL)

    @property
    def remark(self) -> str:
        """How the answer is taken, and what was guessed, in words; empty for plain scores."""
        how = {BINARY: "class 1 from a probability of 0.5", MULTILABEL: "the most probable label"}
        return " · ".join(part for part in (how.get(self.name, ""), self.note) if part)

    @property
    def loss_classes(self) -> int | None:
        """K where the default loss is the cross-entropy of K classes: it starts at ln K."""
        is_one_of = self.name in (LOGITS, PROBABILITIES, BINARY, SEGMENTATION)
        is_known = self.is_certain and not self.overlaps
        return self.classes if is_one_of and is_known else None

    @property
    def is_sigmoid(self) -> bool:
        """Whether each value stands for itself, rather than one class among all."""
        return self.name in (BINARY, NUMBER, MULTILABEL) or self.shape[:1] == (1,)

    def values(self, result: Any, count: int) -> Tensor:
        """Return the values (N, *shape) of what the model returned for ``count`` images.

        Raises
        ------
        InputError
            They are not there, or of another shape: the reason and the remedy in one line.
        """
        if self.why:
            raise InputError(self.why)
        found = part_at(result, self.place) if self.choose is None else self.choose(result)
        if not isinstance(found, Tensor) or found.numel() != count * prod(self.shape):
            wanted = ", ".join(map(str, (count, *self.shape)))
            raise InputError(f"the model puts out {named(found)}, first it was ({wanted})")
        return found.reshape(count, *self.shape)

    def row(self, result: Any) -> Tensor:
        """Return the values (1, K) of what the model returned for one image.

        Raises
        ------
        InputError
            It puts out something else than one row of scores an image.
        """
        values = self.values(result, 1)
        if values.ndim != 2:
            shape = tuple(values.shape)
            raise InputError(f"the model puts out {shape}; class scores have the shape (N, K)")
        return values

    def probabilities(self, values: Tensor) -> Tensor:
        """Return those of all classes (N, K, ...): both of one logit, those of labels as they are.

        Parameters
        ----------
        values : (N, *shape), as `values` returns them.
        """
        if self.name in (MULTILABEL, NUMBER):
            return values if self.squashed else values.sigmoid()
        if self.is_sigmoid:
            positive = values if self.squashed else values.sigmoid()
            # Not 1 − p of a sigmoid, which is 0 where the logit is large.
            negative = 1 - values if self.squashed else (-values).sigmoid()
            return torch.cat([negative, positive], 1)
        return values if self.squashed else values.softmax(1)

    def scores(self, values: Tensor) -> Tensor:
        """Return what a softmax, or of `is_sigmoid` kinds a sigmoid, makes the probabilities of."""
        if not self.squashed:
            return values
        return values.logit() if self.is_sigmoid or self.overlaps else values.log()

    def class_values(self, values: Tensor) -> Tensor:
        """Return one value for each class (N, K, ...), as the model puts it out.

        One logit is that of class 1, and its negative that of class 0; one probability leaves the
        rest to class 0.
        """
        if self.name == MULTILABEL or not self.is_sigmoid:
            return values
        return torch.cat([1 - values if self.squashed else -values, values], 1)

    def predicted(self, values: Tensor) -> Tensor:
        """Return the most probable class: int64 (N,), or (N, H, W) for a map."""
        return self.class_values(values).argmax(1)

    def masks(self, values: Tensor) -> Tensor:
        """Return the most probable class at each position: (N, H, W), of the masks' size."""
        return self.predicted(resized_scores(values, self.mask_size or values.shape[2:]))


def kind_by_shape(result: Any) -> OutputKind:
    """Return the kind that a tensor alone suggests: class scores (N, K), pictures (N, C, H, W)."""
    if isinstance(result, Tensor) and result.ndim == 2 and result.shape[1] > 1:
        return OutputKind(LOGITS, (result.shape[1],), result.shape[1])
    if isinstance(result, Tensor) and result.ndim == 4:
        return OutputKind(PICTURE, tuple(result.shape[1:]))
    return unreadable(result)


def unreadable(found: Any, more: str = "") -> OutputKind:
    """Return the kind of what cannot be read, with what to do about it."""
    remedy = more or "output= takes a function that returns one of them"
    return OutputKind(OTHER, why=f"the model puts out {named(found)}; {EXPECTED}; {remedy}")
