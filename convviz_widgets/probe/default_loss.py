"""The default loss of each kind of output, for gradients of a state that was given none."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.probe.masks import IGNORED, class_masks, resized_scores
from convviz_widgets.probe.output_kinds import (
    LOGITS,
    MULTILABEL,
    NUMBER,
    PICTURE,
    PROBABILITIES,
    SEGMENTATION,
    OutputKind,
)

NO_LOSS = "gradients need a loss: give the images labels, or the state loss="


def default_loss(kind: OutputKind, result: Any, target: Tensor | None) -> Tensor:
    """Return the loss that a model with this kind of output is usually trained with.

    Cross-entropy of class scores; of probabilities their negative logarithm, not a softmax of
    them. Binary cross-entropy of one logit and of several labels. Of a map of scores the mean of
    the cross-entropy over the positions that count. Of pictures the mean squared difference.

    Parameters
    ----------
    result : what the model returned for N images.
    target : labels (N,), several labels (N, K), masks (N, H, W) or pictures (N, C, H, W).

    Raises
    ------
    InputError
        The targets do not fit the kind, or there are none.
    """
    if target is None:
        raise InputError(NO_LOSS)
    values = kind.values(result, len(target))
    target = target.to(values.device)
    if kind.name in (LOGITS, PROBABILITIES):
        return _of_classes(kind, values, target)
    if kind.name == MULTILABEL:
        return _of_labels(kind, values, target)
    if kind.name == SEGMENTATION:
        return _of_masks(kind, values, target)
    if kind.name == PICTURE:
        return _of_pictures(values, target)
    return _of_one(kind, values, target)


def _of_classes(kind: OutputKind, values: Tensor, target: Tensor) -> Tensor:
    if target.shape == values.shape:  # soft labels, or one-hot ones
        return -(target * _logarithm(kind, values)).sum(1).mean()
    if target.ndim == 2:
        raise InputError(
            f"targets {tuple(target.shape)} do not fit {kind.classes} class scores: give the "
            "images labels, or the state loss="
        )
    if target.ndim != 1:
        raise InputError(NO_LOSS)
    _check_highest(kind, target)
    return F.nll_loss(_logarithm(kind, values), target)


def _of_labels(kind: OutputKind, values: Tensor, target: Tensor) -> Tensor:
    if target.ndim == 1:
        _check_highest(kind, target)
        target = F.one_hot(target, values.shape[1])
    if target.shape != values.shape:
        raise InputError(
            f"{values.shape[1]} labels an image need targets (N, {values.shape[1]}) of 0 and 1, "
            f"got {tuple(target.shape)}: give ImageSet targets=, or the state loss="
        )
    return _binary(kind, values, target)


def _of_one(kind: OutputKind, values: Tensor, target: Tensor) -> Tensor:
    flat = target.reshape(len(target), -1)
    if kind.name == NUMBER or flat.shape[1] != 1:
        raise InputError(
            "the model puts out one number an image, and the labels are not 0 and 1 alone: give "
            "the state loss=, such as one that compares the number with the label"
        )
    _check_highest(kind, flat)
    return _binary(kind, values, flat)


def _of_masks(kind: OutputKind, values: Tensor, target: Tensor) -> Tensor:
    if target.ndim < 3:
        raise InputError(
            "the model puts out a map of class scores: gradients need masks, ImageSet(targets=) "
            "of class indices (N, H, W), or the state loss="
        )
    if kind.overlaps:
        raise InputError(
            "the model puts out a probability of its own for each class at a position, and the "
            "masks one class: give the state loss=, such as one that sums binary cross-entropies"
        )
    masks = class_masks(target, kind.classes or 0)
    counts = masks != IGNORED
    if not counts.any():
        raise InputError("every position of these target masks is ignored: there is no loss")
    sized = resized_scores(values, masks.shape[1:])
    if kind.is_sigmoid:
        return _binary(kind, sized[:, 0][counts], masks[counts])
    return F.nll_loss(_logarithm(kind, sized), masks, ignore_index=IGNORED)


def _of_pictures(values: Tensor, target: Tensor) -> Tensor:
    if target.ndim == 1:
        raise InputError(NO_LOSS)
    if target.shape != values.shape:
        raise InputError(
            f"the model puts out pictures {tuple(values.shape)}, the targets are "
            f"{tuple(target.shape)}: give the state loss="
        )
    return F.mse_loss(values, target.to(values.dtype))


def _logarithm(kind: OutputKind, values: Tensor) -> Tensor:
    """Return the logarithms of the probabilities; of one that is 0 that of the least number."""
    if not kind.squashed:
        return values.log_softmax(1)
    return values.clamp_min(torch.finfo(values.dtype).tiny).log()


def _binary(kind: OutputKind, values: Tensor, target: Tensor) -> Tensor:
    wanted = target.to(values.dtype)
    if kind.squashed:
        # Not torch's own, which raises for NaN. As there, no logarithm is below -100.
        likely, unlikely = values.log().clamp_min(-100), (-values).log1p().clamp_min(-100)
        return -(wanted * likely + (1 - wanted) * unlikely).mean()
    return F.binary_cross_entropy_with_logits(values, wanted)


def _check_highest(kind: OutputKind, labels: Tensor) -> None:
    highest = int(labels.max())
    if highest >= (kind.classes or 0):
        raise InputError(f"label {highest} has no class score: the model puts out {kind.classes}")
