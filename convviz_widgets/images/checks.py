"""Checks of images, target pictures and labels; hints on how to bring images into shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.errors import InputError

COLOURS = (1, 3, 4)
"""Numbers of channels that a picture may have, whichever axis they are on."""


def is_images(value: Any) -> bool:
    """Tell whether this is a batch (N, C, H, W) as a model takes it."""
    return isinstance(value, Tensor) and value.ndim == 4 and value.is_floating_point()


def is_picture(value: Any) -> bool:
    """Tell whether this, beside an image, is a target picture (C, H, W) and no label."""
    return isinstance(value, Tensor) and value.ndim >= 2


def described(value: Any) -> str:
    """Return dtype and shape, or the class of what has neither."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"ndarray {value.dtype} {tuple(value.shape)}"
    return type(value).__name__


def hint(value: Any) -> str:
    """Return what to do with an image, or a batch of them, that is no floating tensor; or ""."""
    if not isinstance(value, Tensor | np.ndarray):
        return ""
    steps = ["torch.from_numpy"] if isinstance(value, np.ndarray) else []
    if value.dtype in (torch.uint8, np.uint8):
        steps.append("divide by 255 and normalise")
    if channels_last(tuple(value.shape)):
        steps.append(f"it looks like {channels_last_hint(value.ndim)}")
    return "; ".join(steps)


def channels_last(shape: tuple[int, ...]) -> bool:
    """Tell whether (N, H, W, C) or (H, W, C) is more likely than channels before the rows."""
    return len(shape) in (3, 4) and shape[-1] in COLOURS and shape[-3] not in COLOURS


def channels_last_hint(ndim: int) -> str:
    """Return the name of that order, and how to put the channels first."""
    return "NHWC: permute(0, 3, 1, 2)" if ndim == 4 else "HWC: permute(2, 0, 1)"


def checked_labels(labels: Iterable[Any], classes: int | None) -> tuple[int | None, ...]:
    """Return a column of labels (N,) as plain numbers, None where there is none.

    Parameters
    ----------
    labels : whole numbers from zero up or None; a tensor, an array, or anything to go through.
    classes : how many classes have a name; None: any number.

    Raises
    ------
    InputError
        A column of another shape, or a label that is no class index.
    """
    if isinstance(labels, Tensor | np.ndarray):
        _check_column(tuple(labels.shape))
    if isinstance(labels, str | bytes) or not hasattr(labels, "__iter__"):
        raise InputError(f"labels: expected one class index an image, got {labels!r}")
    values = labels.tolist() if isinstance(labels, Tensor) else labels
    return tuple(checked_label(value, classes, index) for index, value in enumerate(values))


def checked_label(value: Any, classes: int | None, index: int) -> int | None:
    """Return the label of image ``index`` as a plain number, None as None.

    Raises
    ------
    InputError
        Anything else than a whole number from zero up, or one that has no name.
    """
    if isinstance(value, Tensor | np.ndarray) and value.ndim == 0:
        value = value.item()
    if value is None:
        return None
    if not isinstance(value, int | np.integer | np.bool_) or value < 0:
        raise InputError(
            f"the label of image {index} must be a whole number from zero up, got "
            f"{_label_described(value)}; {_label_hint(value)}"
        )
    if classes is not None and value >= classes:
        raise InputError(f"label {value} of image {index} has no name; class_names holds {classes}")
    return int(value)


def _check_column(shape: tuple[int, ...]) -> None:
    if len(shape) == 1:
        return
    hint = "one class index an image; masks and other pictures go into targets="
    if len(shape) == 2:
        one_hot = "labels.argmax(1) where they are one-hot, targets= for several labels an image"
        hint = "labels.squeeze(1)" if shape[1] == 1 else one_hot
    raise InputError(f"labels have shape {shape}, expected (N,): {hint}")


def _label_described(value: Any) -> str:
    if isinstance(value, Tensor | np.ndarray):
        return described(value)
    text = repr(value) if isinstance(value, int | float | str) else ""
    return text if 0 < len(text) <= 40 else f"a {type(value).__name__}"


def _label_hint(value: Any) -> str:
    if isinstance(value, Tensor | np.ndarray):
        if value.ndim == 1 and len(value) > 1:
            return "argmax() gives the class of a one-hot row, targets= takes several labels"
        return "item() gives a number"
    if isinstance(value, float):
        return "labels.long() gives whole numbers"
    without = ": labels=[None] * len(data_set)" if isinstance(value, Mapping) else ""
    return f"labels= stands in for it, None means no label{without}"
