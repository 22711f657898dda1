"""Kernels: the weight of any layer in one order of axes, (outputs, inputs of a group, h, w)."""

from __future__ import annotations

import math

import numpy as np

from convviz_widgets.errors import InputError


def kernels(
    weight: np.ndarray,
    groups: int = 1,
    feeding_shape: tuple[int, ...] | None = None,
    transposed: bool = False,
) -> np.ndarray:
    """Return a weight as PyTorch keeps it as (O, I/groups, h, w).

    Parameters
    ----------
    weight
        (O, I/groups, ...) with one to three kernel axes, transposed (I, O/groups, ...), or fully
        connected (O, F). A kernel in one dimension becomes one line; in three, its depth slices
        are laid side by side.
    groups
        Of the convolution.
    feeding_shape
        (C, H, W) of the map that feeds a fully connected layer; its weights then look like a
        convolution of that size. None or (F,): F inputs of one position each.
    transposed
        Whether the weight is that of a transposed convolution.

    Raises
    ------
    InputError
        For a weight of other shapes, or one that does not fit `groups` or `feeding_shape`.
    """
    if not 2 <= weight.ndim <= 5 or 0 in weight.shape:
        raise InputError(
            f"a weight of shape {weight.shape} has no filters to show; expected that of a "
            "convolution or a fully connected layer"
        )
    if weight.ndim == 2:
        return _fully_connected(weight, feeding_shape)
    grouped = weight.shape[0]  # inputs of a transposed convolution, outputs otherwise
    if groups < 1 or grouped % groups:
        raise InputError(f"{groups} groups do not fit a weight of shape {weight.shape}")
    if transposed:
        apart = weight.reshape(groups, grouped // groups, *weight.shape[1:])
        weight = apart.swapaxes(1, 2).reshape(-1, grouped // groups, *weight.shape[2:])
    return _flat(weight)


def _fully_connected(weight: np.ndarray, feeding_shape: tuple[int, ...] | None) -> np.ndarray:
    outputs, inputs = weight.shape
    channels, *extent = feeding_shape or (inputs,)
    shape = (channels, *(1,) * (2 - len(extent)), *extent)
    if len(shape) != 3 or math.prod(shape) != inputs:
        raise InputError(
            f"a map of shape {feeding_shape} does not feed a layer with {inputs} inputs; "
            f"expected (C, H, W) with C·H·W = {inputs}"
        )
    return weight.reshape(outputs, *shape)


def _flat(weight: np.ndarray) -> np.ndarray:
    """Return (O, I, [[d,] h,] w) as (O, I, h, d·w)."""
    outputs, inputs, *kernel = weight.shape
    depth, height, width = (1,) * (3 - len(kernel)) + tuple(kernel)
    deep = weight.reshape(outputs, inputs, depth, height, width)
    return deep.swapaxes(2, 3).reshape(outputs, inputs, height, depth * width)
