"""What was given in place of images, and what would make images of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

COLOURS = (1, 3, 4)
"""How many channels a picture has, wherever it has them."""


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
