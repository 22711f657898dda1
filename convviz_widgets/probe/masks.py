"""Masks: the class at every position of an image, as segmentation models learn it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from convviz_widgets.errors import InputError

IGNORED = -1
"""Stands for a position that no class is asked for at: every negative number, and 255."""

_VOID = 255  # how Pascal VOC and Cityscapes mark what is not to be judged


def class_masks(targets: Tensor, classes: int) -> Tensor:
    """Return target masks as classes: int64 (N, H, W), `IGNORED` where a position does not count.

    Parameters
    ----------
    targets : (N, H, W) or (N, 1, H, W), whole numbers from 0 to classes − 1 of any type, negative
        ones and 255 for what is ignored; or (N, classes, H, W), one 1 among zeros at each position.
    classes : how many there are scores for.

    Raises
    ------
    InputError
        In one line with the remedy: other shapes, fractions, or a class without a score.
    """
    if targets.ndim == 4 and targets.shape[1] == classes > 1:
        return _of_one_hot(targets)
    masks = targets[:, 0] if targets.ndim == 4 and targets.shape[1] == 1 else targets
    if masks.ndim != 3:
        raise InputError(
            f"targets {tuple(targets.shape)} are no masks: expected class indices (N, H, W), or "
            f"one of {classes} classes at each position as (N, {classes}, H, W)"
        )
    if not _is_whole(masks):
        raise InputError(
            "the target masks hold fractions: a mask holds whole class indices (N, H, W); "
            "ToTensor divides a picture by 255, so make it of torch.from_numpy(np.array(mask))"
        )
    return _counted(masks.long(), classes)


def is_one_hot(targets: Tensor) -> bool:
    """Tell whether (N, K, ...) holds one 1 among zeros along K everywhere."""
    ones = targets == 1
    return bool((ones | (targets == 0)).all() and (ones.sum(1) == 1).all())


def is_mask(target: Tensor, classes: int) -> bool:
    """Tell whether a target of one image can only be a mask for so many scores a position.

    Parameters
    ----------
    target : (H, W), (1, H, W) or (classes, H, W).
    classes : more than one.
    """
    if target.ndim == 2 or (target.ndim == 3 and len(target) == 1):
        return True
    return target.ndim == 3 and len(target) == classes and is_one_hot(target[None])


def is_binary_mask(target: Tensor) -> bool:
    """Tell whether a target (H, W) or (1, H, W) of one image holds 0, 1 and ignored alone."""
    is_flat = target.ndim == 2 or (target.ndim == 3 and len(target) == 1)
    is_known = (target == 0) | (target == 1) | (target < 0) | (target == _VOID)
    return bool(is_flat and is_known.all())


def is_black_and_white(targets: Tensor) -> bool:
    """Tell whether masks hold 0 and 255 alone: a picture of one class, which 255 would hide."""
    return bool(((targets == 0) | (targets == _VOID)).all() and (targets == _VOID).any())


def resized_scores(values: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return a map of scores (N, K, H, W) at another size, as torchvision's models do it."""
    if tuple(values.shape[2:]) == tuple(size):
        return values
    return F.interpolate(values, tuple(size), mode="bilinear", align_corners=False)


def _of_one_hot(targets: Tensor) -> Tensor:
    if not is_one_hot(targets):
        raise InputError(
            f"targets {tuple(targets.shape)} hold several classes, or none, at a position: "
            "expected masks of class indices (N, H, W); give loss= where labels overlap"
        )
    return targets.long().argmax(1)


def _is_whole(masks: Tensor) -> bool:
    return not masks.is_floating_point() or bool((masks == masks.round()).all())


def _counted(masks: Tensor, classes: int) -> Tensor:
    ignored = masks < 0
    if classes <= _VOID:
        ignored = ignored | (masks == _VOID)
    known = masks[~ignored]
    highest = int(known.max()) if known.numel() else 0
    if highest >= classes:
        raise InputError(
            f"class {highest} of the target masks has no score: the model puts out {classes}; "
            "numbers below zero and 255 are ignored"
        )
    return torch.where(ignored, IGNORED, masks)
