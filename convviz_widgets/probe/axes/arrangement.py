"""Arrangements: how what a layer puts out, in whatever order, is handed over as (N, C, ...)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.probe.axes.axis import (
    Atom,
    Dim,
    Dims,
    Kind,
    TensorAxis,
    channel_dimension,
    kinds,
    new,
    size_of,
    without,
)


@dataclass(frozen=True)
class Arrangement:
    """How the tensors of one layer become (N, C, ...), whatever order the layer has.

    Attributes
    ----------
    channel_axis : where the layer has its channels: 1, -1, or None where that is not known.
    shape : that of one image, as it is handed over: (C, H, W), (C, T), (F,); as the layer puts it
        out where the channels are not known.
    own : shape of the tensor that it was learned from, with the batch.
    prefix : tokens in front of those that lie on the image, which are cut off.
    steps : what to do; None: nothing.
    """

    channel_axis: int | None
    shape: tuple[int, ...]
    own: tuple[int, ...]
    prefix: int = 0
    steps: _Order | _Regrouping | None = None

    def channels_first(self, tensor: Tensor) -> Tensor:
        """Return a tensor of the layer as (N, C, ...), a view wherever torch can make one.

        Raises
        ------
        InputError
            For a layer of tokens, when the images are of another size than those known.
        """
        return tensor if self.steps is None else self.steps.applied(tensor)

    def prefix_tokens(self, tensor: Tensor) -> Tensor | None:
        """Return the tokens in front of those that lie on the image, (N, C, tokens); None: none."""
        if not self.prefix or not isinstance(self.steps, _Regrouping) or tensor.ndim != 3:
            return None
        return self.steps.in_front(tensor)


@dataclass(frozen=True)
class _Order:
    """The batch and the channels in front, the places in the order that the layer has."""

    order: tuple[int, ...]

    def applied(self, tensor: Tensor) -> Tensor:
        return tensor.permute(self.order)


@dataclass(frozen=True)
class _Regrouping:
    """Dimensions taken apart, brought into order, put together to a map, and rolled back.

    Attributes
    ----------
    own : shape of the tensor, -1 for the dimension that has the batch in it.
    kept : the dimension of tokens, the first of those that lie on the image, and their number.
    parts : sizes of all parts, -1 for the batch.
    order : of the parts, the batch first, then the channels.
    shape : (-1, C, H, W).
    """

    own: tuple[int, ...]
    kept: tuple[int, int, int] | None
    parts: tuple[int, ...]
    order: tuple[int, ...]
    shape: tuple[int, ...]
    shifts: tuple[tuple[int, int], ...] = ()

    def applied(self, tensor: Tensor) -> Tensor:
        fits = len(self.own) == tensor.ndim and all(
            expected in (-1, got) for expected, got in zip(self.own, tensor.shape, strict=True)
        )
        if not fits:
            raise InputError(
                f"got a layer's output {tuple(tensor.shape)}, expected {self.own}: which tokens "
                "lie where is known for images of the size that was given first alone"
            )
        if self.kept is not None:
            tensor = tensor.narrow(*self.kept)
        count = tensor.numel() // -prod(self.parts)
        parts = [count if size == -1 else size for size in self.parts]
        ordered = tensor.reshape(parts).permute(self.order)
        found = ordered.reshape(count, *self.shape[1:])
        for dim, shift in self.shifts:
            found = torch.roll(found, -shift, dim)
        return found

    def in_front(self, tensor: Tensor) -> Tensor | None:
        if self.kept is None or -1 not in self.own:
            return None
        dim, first, _ = self.kept
        at = self.own.index(-1)
        return tensor.narrow(dim, 0, first).permute(at, 3 - at - dim, dim)


def arranged(dims: Dims | None, shape: Sequence[int]) -> Arrangement:
    """Return how a tensor is handed over.

    Parameters
    ----------
    dims : what its dimensions are; None where no image went into it.
    shape : (N, ...), that of the tensor.
    """
    own = tuple(shape)
    dims = None if dims is None else _with_batch(dims)
    at = None if dims is None else _batch_dimension(dims)
    if dims is None or at is None:
        return Arrangement(None, own[1:], own)
    dims, kept, prefix = _on_the_image(dims)
    channels = 1 if len(dims) == 2 and _is_batch(dims[0]) else channel_dimension(dims)
    last = len(dims) - 1
    if channels is not None:
        rest = without((*dims[:channels], *dims[channels + 1 :]), dims[channels])
        dims = (*rest[:channels], dims[channels], *rest[channels:])
    if channels is None or channels not in (1, last) or (channels == at and len(dims) > 2):
        return Arrangement(None, own[1:], own)
    axis = 1 if channels == 1 and (last > 1 or (at == 0 and _is_batch(dims[0]))) else -1
    found = None
    if not _in_order(dims, at, channels) or kept is not None:
        found = _regrouping(own, dims, at, channels, kept)
    if found is not None:
        return Arrangement(axis, found.shape[1:], own, prefix, found)
    if not _is_batch(dims[at]):
        return Arrangement(None, own[1:], own)
    order = (at, channels, *(i for i in range(len(dims)) if i not in (at, channels)))
    steps = None if order == tuple(range(len(dims))) else _Order(order)
    return Arrangement(axis, tuple(own[i] for i in order[1:]), own, 0, steps)


def _with_batch(dims: Dims) -> Dims:
    """Take a first dimension for the batch where nothing else is known of it, nor of another."""
    if any(Kind.BATCH in kinds(dim) for dim in dims) or not dims:
        return dims
    if kinds(dims[0]) <= {Kind.UNKNOWN}:
        return (new(Kind.BATCH, size_of(dims[0])), *dims[1:])
    return dims


def _is_batch(dim: Dim) -> bool:
    return kinds(dim) == {Kind.BATCH} and sum(atom.kind is Kind.BATCH for atom in dim) == 1


def _batch_dimension(dims: Dims) -> int | None:
    """Return the dimension that the images come first in."""
    holding = [index for index, dim in enumerate(dims) if Kind.BATCH in kinds(dim)]
    if len(holding) != 1:
        return None
    atoms = [atom for atom in dims[holding[0]] if atom.size > 1 or atom.kind is Kind.BATCH]
    first = atoms[0]
    alone = sum(atom.kind is Kind.BATCH for atom in atoms) == 1
    return holding[0] if alone and first.kind is Kind.BATCH and first.whole else None


def _on_the_image(dims: Dims) -> tuple[Dims, tuple[int, int, int] | None, int]:
    """Return the dimensions without the tokens that do not lie on the image."""
    for index, dim in enumerate(dims):
        if len(dim) == 1 and dim[0].whole and dim[0].axis.grid:
            axis = dim[0].axis
            cut = (*dims[:index], axis.grid, *dims[index + 1 :])
            return cut, (index, axis.prefix, size_of(axis.grid)), axis.prefix
    return dims, None, 0


def _in_order(dims: Dims, at: int, channels: int) -> bool:
    """Tell whether each dimension of places is a whole axis of its own."""
    others = [dim for index, dim in enumerate(dims) if index not in (at, channels)]
    return _is_batch(dims[at]) and all(len(dim) == 1 and dim[0].whole for dim in others)


def _regrouping(
    own: tuple[int, ...],
    dims: Dims,
    at: int,
    channels: int,
    kept: tuple[int, int, int] | None,
) -> _Regrouping | None:
    """Return how the places come together to a map; None where they are none."""
    numbered = [(index, atom) for index, dim in enumerate(dims) for atom in dim]
    batch = next(n for n, (_, atom) in enumerate(numbered) if atom.kind is Kind.BATCH)
    features = [n for n, (index, _) in enumerate(numbered) if index == channels]
    places = [
        n
        for n, (index, atom) in enumerate(numbered)
        if n != batch and index != channels and (atom.size > 1 or atom.kind is Kind.PLACE)
    ]
    atoms = [numbered[n][1] for n in places]
    axes = _whole_axes(atoms)
    if axes is None:
        return None
    ordered = sorted(places, key=lambda n: (numbered[n][1].axis.rank, -numbered[n][1].stride))
    used = {batch, *features, *places}
    rest = [n for n in range(len(numbered)) if n not in used]  # of size one
    sizes = tuple(-1 if n == batch else atom.size for n, (_, atom) in enumerate(numbered))
    shape = (-1, prod(sizes[n] for n in features), *(axis.size for axis in axes))
    shifts = tuple((place + 2, axis.shift) for place, axis in enumerate(axes) if axis.shift)
    return _Regrouping(
        own=tuple(-1 if index == at else size for index, size in enumerate(own)),
        kept=kept,
        parts=sizes,
        order=(batch, *features, *ordered, *rest),
        shape=shape,
        shifts=shifts,
    )


def _whole_axes(atoms: Sequence[Atom]) -> list[TensorAxis] | None:
    """Return the axes that atoms make up, rows first; None where some are in parts or no places."""
    axes = list({id(atom.axis): atom.axis for atom in atoms}.values())
    ranks = [axis.rank for axis in axes]
    if len(set(ranks)) < len(ranks) or any(axis.kind is not Kind.PLACE for axis in axes):
        return None
    if any(axis.shift and axis.cut for axis in axes):  # nobody knows what lies where
        return None
    for axis in axes:
        parts = sorted((a for a in atoms if a.axis is axis), key=lambda a: a.stride)
        stride = 1
        for part in parts:
            if part.stride != stride:
                return None
            stride *= part.size
        if stride != axis.size:
            return None
    return sorted(axes, key=lambda axis: axis.rank)
