"""What operations that mix positions do to receptive fields: reductions, norms, softmax."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import torch
from torch import Tensor

from convviz_widgets.instrument.receptive.field import Field, each


def reduction(field: Field, result: Any, args: tuple[Any, ...]) -> Field:
    """Return the field after a sum, a mean, a maximum, ... over some dimensions."""
    source, output = args[0], result[0] if isinstance(result, tuple) else result
    dims = _dims(args, source.ndim)
    if output.ndim == source.ndim:
        return each(field, lambda axis, dim: axis.whole().at(dim) if dim in dims else axis)

    def reduced(axis: Any, dim: int) -> Any:
        gone = sum(other < dim for other in dims)
        return axis.whole() if dim in dims else axis.at(dim - gone)

    return each(field, reduced)


def along_given(field: Field, result: Any, args: tuple[Any, ...]) -> Field:
    """Return the field after a softmax or a cumulative sum along ``args[1]``."""
    return _mixed(field, {args[1] % args[0].ndim})


def layer_norm(field: Field, result: Any, args: tuple[Any, ...]) -> Field:
    """Return the field after a norm over the last dimensions."""
    ndim = args[0].ndim
    return _mixed(field, range(ndim - len(args[1]), ndim))


def all_positions(field: Field, result: Any, args: tuple[Any, ...]) -> Field:
    """Return the field after a norm over groups of channels and all positions."""
    return _mixed(field, range(1, args[0].ndim))


def batch_norm(field: Field, result: Any, args: tuple[Any, ...]) -> Field:
    """Return the field after a norm by stored statistics, or by those of this batch."""
    of_this_batch = any(argument is True for argument in args)
    return _mixed(field, range(args[0].ndim)) if of_this_batch else field


def matrix(field: Field, result: Tensor, args: tuple[Any, ...]) -> Field:
    """Return the field after a linear layer, which sums over the last dimension."""
    return each(field, lambda axis, dim: axis.whole() if dim == result.ndim - 1 else axis)


def _mixed(field: Field, dims: Container[int]) -> Field:
    return each(field, lambda axis, dim: axis.mixed() if dim in dims else axis)


def _dims(args: tuple[Any, ...], ndim: int) -> set[int]:
    given = args[1] if len(args) > 1 and not isinstance(args[1], bool | torch.dtype) else None
    listed = [given] if isinstance(given, int) else given
    return {dim % ndim for dim in listed or range(ndim)}
