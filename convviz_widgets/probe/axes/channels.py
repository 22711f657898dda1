"""Operations that tell which dimension the channels are: weights that are there for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from convviz_widgets.probe.axes.axis import (
    Atom,
    Dim,
    Dims,
    Kind,
    agreed,
    kinds,
    learn,
    new,
    renewed,
    size_of,
    without,
)
from convviz_widgets.probe.axes.call import Call, Found, listed, operations, rules
from convviz_widgets.probe.recording import tensors_in


def _convolution(call: Call) -> Found:
    dims = call.of()
    weight = call.args[1]
    places = weight.ndim - 2
    first = len(dims) - places
    learn(dims[first - 1], Kind.CHANNEL)
    for rank, dim in enumerate(dims[first:]):
        learn(dim, Kind.PLACE)
        if len(dim) == 1 and dim[0].kind is Kind.PLACE and places > 1:
            dim[0].axis.rank = dim[0].axis.rank or rank
    dims = _apart(dims, first - 1)
    spatial = [
        _places_of(dim, size, rank)
        for rank, (dim, size) in enumerate(zip(dims[first:], call.shape[first:], strict=True))
    ]
    return (*dims[: first - 1], new(Kind.CHANNEL, call.shape[first - 1]), *spatial)


def _places_of(dim: Dim, size: int, rank: int) -> Dim:
    if kinds(dim) == {Kind.PLACE} and size == size_of(dim):
        return dim
    if kinds(dim) == {Kind.PLACE} and len(dim) == 1:
        return new(Kind.PLACE, size, dim[0].axis.rank)
    return new(Kind.PLACE, size, rank)


def _pool(call: Call) -> Found:
    dims = call.of()
    count = len(listed(call.args[1]))
    learn(dims[-count - 1], Kind.CHANNEL)
    return call.resized(dims)


def _pooled(call: Call) -> Found:
    found = _pool(call)
    return [found] * len(tensors_in(call.result))


def _linear(call: Call) -> Found:
    """A product with weights on the right: the last dimension becomes features."""
    return _product(call, 0)


def _added_linear(call: Call) -> Found:
    return _product(call, 1)


def _product(call: Call, place: int) -> Found:
    left, right = call.args[place], call.args[place + 1]
    if id(left) in call.known and id(right) in call.known:
        return _attended(call.of(place), call.of(place + 1), call.shape)
    if id(left) not in call.known:
        if id(right) not in call.known:
            return None
        dims = call.of(place + 1)  # weights on the left: the second dimension from the end
        kind = Kind.CHANNEL if kinds(dims[-2]) == {Kind.CHANNEL} else Kind.UNKNOWN
        rest = without((*dims[:-2], dims[-1]), dims[-2])
        return (*rest[:-1], new(kind, call.shape[-2]), rest[-1])
    dims = call.of(place)
    batched = len(dims) > 2 and call.packet is not torch.ops.aten.linear
    if batched and kinds(dims[-1]) != {Kind.CHANNEL}:  # not a linear layer's: that is unknown
        return (*dims[:-1], new(Kind.UNKNOWN, call.shape[-1]))
    learn(dims[-1], Kind.CHANNEL)
    rest = without(dims[:-1], dims[-1])
    return (*map(_not_channels, rest), new(Kind.CHANNEL, call.shape[-1]))


def _not_channels(dim: Dim) -> Dim:
    return tuple(
        Atom(new(Kind.OTHER, atom.size)[0].axis, 1, atom.size)
        if atom.kind is Kind.CHANNEL
        else atom
        for atom in dim
    )


def _attended(left: Dims, right: Dims, shape: Sequence[int]) -> Dims:
    """Return the dimensions of a product of two tensors of one pass, as in attention."""
    summed_channels = Kind.CHANNEL in kinds(left[-1]) and Kind.CHANNEL in kinds(right[-2])
    rows, columns = left[-2], right[-1]
    around = list(agreed([left[:-2], right[:-2]], shape[:-2])) if len(shape) > 2 else []
    for index, (a, b) in enumerate(zip(left[:-2], right[:-2], strict=True)):
        own = b if Kind.CHANNEL in kinds(columns) else a
        if Kind.CHANNEL in kinds(own) and not summed_channels:
            around[index] = own
    kept = Kind.CHANNEL in kinds(rows) | kinds(columns)
    if summed_channels and not kept:
        around = [_not_channels(dim) for dim in around]
    return (*around, rows, columns)


def _attention(call: Call) -> Found:
    query, value = call.of(0), call.of(2)
    shape = call.shape
    around = list(agreed([dims[:-2] for dims in (query, value)], shape[:-2]))
    for index, dim in enumerate(value[:-2]):
        if Kind.CHANNEL in kinds(dim) and size_of(dim) == shape[index]:
            around[index] = dim
    return [(*around, query[-2], value[-1])]


def _layer_norm(call: Call) -> Found:
    dims, axes = call.of(), len(call.args[1])
    found = _last_is_channels(dims, call.argument(2, "weight")) if axes == 1 else dims
    return [found]


def _last_is_channels(dims: Dims, weight: Any) -> Dims:
    """Let the last dimension be the channels, as one with a weight for each says."""
    learn(dims[-1], Kind.CHANNEL)
    if weight is None:
        return dims
    return _with_channels(dims, len(dims) - 1)


def _apart(dims: Dims, at: int) -> Dims:
    """Return dimensions of which those but one are whole, without what the one has of them."""
    rest = without((*dims[:at], *dims[at + 1 :]), dims[at])
    return (*rest[:at], dims[at], *rest[at:])


def _with_channels(dims: Dims, at: int) -> Dims:
    """Let a dimension be the channels, and no other."""
    if kinds(dims[at]) == {Kind.CHANNEL}:
        return dims
    dims = _apart(dims, at)
    return tuple(
        new(Kind.CHANNEL, size_of(dim)) if index == at else _not_channels(dim)
        for index, dim in enumerate(dims)
    )


def _batch_norm(call: Call) -> Found:
    dims = call.of()
    learn(dims[1], Kind.CHANNEL)
    of_one_image = Kind.BATCH in kinds(dims[1])  # the form of an instance norm
    return [dims if of_one_image or size_of(dims[1]) == 1 else _with_channels(dims, 1)]


def _group_norm(call: Call) -> Found:
    dims = call.of()
    learn(dims[1], Kind.CHANNEL)
    return [dims]


def _shuffled(call: Call) -> Found:
    dims = call.of()
    learn(dims[1], Kind.CHANNEL)
    rows, columns = (new(Kind.PLACE, size, rank) for rank, size in enumerate(call.shape[-2:]))
    return (dims[0], new(Kind.CHANNEL, call.shape[1]), rows, columns)


def _resized(call: Call) -> Found:
    dims = call.of()
    learn(dims[1], Kind.CHANNEL)
    return (*dims[:2], *(renewed(d, s) for d, s in zip(dims[2:], call.shape[2:], strict=True)))


def _grid_sampled(call: Call) -> Found:
    dims = call.of()
    places = (new(Kind.PLACE, size, rank) for rank, size in enumerate(call.shape[2:]))
    return (*dims[:2], *places)


def _unfolded(call: Call) -> Found:
    dims = call.of()
    return (dims[0], new(Kind.CHANNEL, call.shape[1]), new(Kind.PLACE, call.shape[2]))


def _embedding(call: Call) -> Found:
    return (*call.of(1), new(Kind.CHANNEL, call.shape[-1]))


def _halved(call: Call) -> Found:
    dims, at = list(call.of()), call.argument(1, "dim", -1)
    dims[at] = renewed(dims[at], call.shape[at])
    return tuple(dims)


def _copied(call: Call) -> Found:
    source = call.args[1]
    return call.elementwise() if id(source) in call.known else call.of()


CHANNELS = rules(
    [
        ("convolution _convolution", _convolution),
        (
            "avg_pool1d avg_pool2d avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d"
            " adaptive_avg_pool1d",
            _pool,
        ),
        (
            "max_pool2d_with_indices max_pool3d_with_indices adaptive_max_pool2d"
            " adaptive_max_pool3d",
            _pooled,
        ),
        ("mm bmm linear", _linear),
        ("addmm baddbmm", _added_linear),
        (
            "_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention"
            " _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention"
            " _scaled_dot_product_fused_attention_overrideable",
            _attention,
        ),
        ("native_layer_norm _fused_rms_norm rms_norm", _layer_norm),
        (
            "native_batch_norm cudnn_batch_norm miopen_batch_norm _native_batch_norm_legit"
            " _native_batch_norm_legit_no_training _batch_norm_no_update _batch_norm_with_update",
            _batch_norm,
        ),
        ("native_group_norm", _group_norm),
        ("pixel_shuffle pixel_unshuffle", _shuffled),
        ("channel_shuffle native_channel_shuffle", _group_norm),
        (
            "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d"
            " _upsample_nearest_exact2d _upsample_nearest_exact3d upsample_linear1d"
            " upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d _upsample_bilinear2d_aa"
            " _upsample_bicubic2d_aa",
            _resized,
        ),
        ("grid_sampler_2d grid_sampler_3d", _grid_sampled),
        ("im2col", _unfolded),
        ("col2im", _shuffled),
        ("embedding", _embedding),
        ("glu", _halved),
        ("copy_", _copied),
    ]
)
"""Operation → rule."""

CONVOLUTIONS = operations("convolution _convolution")
"""What is run on images alone, so that its result depends on them even where the trace is lost."""
