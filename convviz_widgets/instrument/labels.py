"""Class indices, as data sets and people give them: one whole number an image, or None."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from torch import Tensor

from convviz_widgets.errors import InputError


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
            f"{_described(value)}; {_hint(value)}"
        )
    if classes is not None and value >= classes:
        raise InputError(f"label {value} of image {index} has no name; class_names holds {classes}")
    return int(value)


def _check_column(shape: tuple[int, ...]) -> None:
    if len(shape) == 1:
        return
    hint = "one class index an image"
    if len(shape) == 2:
        hint = "labels.squeeze(1)" if shape[1] == 1 else "labels.argmax(1) where they are one-hot"
    raise InputError(f"labels have shape {shape}, expected (N,): {hint}")


def _described(value: Any) -> str:
    if isinstance(value, Tensor | np.ndarray):
        kind = str(value.dtype).removeprefix("torch.")
        return f"{kind} {tuple(value.shape)}"
    text = repr(value) if isinstance(value, int | float | str) else ""
    return text if 0 < len(text) <= 40 else f"a {type(value).__name__}"


def _hint(value: Any) -> str:
    if isinstance(value, Tensor | np.ndarray):
        one_hot = value.ndim == 1 and len(value) > 1
        return "argmax() gives the class of a one-hot row" if one_hot else "item() gives a number"
    if isinstance(value, float):
        return "labels.long() gives whole numbers"
    return "labels= stands in for it, None means no label"
