"""Paints: what a brush leaves on a picture, as the model takes it."""

from __future__ import annotations

import re

import numpy as np
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.instrument.preprocessing import Preprocessing

MEAN, IMAGE, PICKED = "mean", "image", "picked"
BLACK, GREY, WHITE = "#000000", "#808080", "#ffffff"

PAINTS = {
    "black": BLACK,
    "white": WHITE,
    "grey": GREY,
    "the image's mean": MEAN,
    "picked colour": PICKED,
    "eraser: the image": IMAGE,
}
"""What there is to paint with: a colour by its hexadecimal digits, or by what it is taken from."""


def mixed(paint: str, original: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Return the values of a paint, (C, 1, 1), or (C, H, W) for the image itself.

    Parameters
    ----------
    paint
        "#rrggbb", "mean" or "image".
    original
        The image (C, H, W) before anything was painted on it, as the model takes it.
    preprocessing
        What makes colours into what the model takes.
    """
    if paint == IMAGE:
        return original
    if paint == MEAN:
        return original.mean(dim=(1, 2), keepdim=True)
    return preprocessing.done(np.array([[rgb(paint)]]), len(original))


def rgb(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue, in [0, 255], of a colour "#rrggbb"."""
    if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
        raise InputError(f"colour {colour[:40]!r}: expected #rrggbb, such as '#d9480f'")
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue
