"""What each operation of torch does to the dimensions of a tensor, see `axes`.

One forward pass of an example is followed operation by operation, in the form that torch breaks
all functions, methods and modules down to. Convolutions, linear layers and normalisations tell
which dimension of theirs is the channels; everything else hands on what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from convviz_widgets.probe.axes import (
    Atom,
    Dim,
    Dims,
    Kind,
    agreed,
    joined_along,
    kinds,
    learn,
    new,
    of_images,
    regrouped,
    renewed,
    rolled,
    size_of,
    sliced,
    unknown,
    without,
)
from convviz_widgets.probe.recording import storage_of, tensors_in

Found = Any
"""The dimensions of the result, or a list of those of each, or None where a rule does not fit."""

Rule = Callable[["Call"], Found]


class AxisTracer(TorchDispatchMode):
    """Keeps what the dimensions of every tensor are that an image went into, during one pass.

    Parameters
    ----------
    images : (N, C, ...), what the model is given.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self._alive: list[Tensor] = []  # so that no memory, and no id, is used twice in this pass
        self._dims: dict[Any, Dims] = {}  # by tensor, and by place in memory
        self._touched: set[int] = set()  # memory that an image was written into
        self._keep(images, of_images(images.shape))

    def dims_of(self, tensor: Tensor) -> Dims | None:
        """Return what the dimensions of a tensor are; None where no image went into it."""
        found = self._dims.get(id(tensor)) or self._dims.get(_place(tensor))
        if found is not None and tuple(map(size_of, found)) == tuple(tensor.shape):
            return found
        if found is None and _memory(tensor) not in self._touched:
            return None
        self._keep(tensor, unknown(tensor.shape))
        return self._dims[id(tensor)]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Answer torch, which would import its compiler to keep it out, and take seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        sources = [tensor for tensor in tensors_in((args, kwargs)) if tensor.numel()]
        before = {id(tensor): self.dims_of(tensor) for tensor in sources}
        result = func(*args, **kwargs)
        known = {key: dims for key, dims in before.items() if dims is not None}
        if known or func.overloadpacket in _SEEDS:
            self._follow(Call(func, args, kwargs, result, known))
        return result

    def _follow(self, call: Call) -> None:
        results = [tensor for tensor in tensors_in(call.result) if tensor.numel()]
        for tensor, dims in zip(results, call.dims(results), strict=True):
            if dims is not None:
                self._keep(tensor, dims)
        if call.packet in _WRITES and call.args and isinstance(call.args[0], Tensor):
            self._touched.add(_memory(call.args[0]))

    def _keep(self, tensor: Tensor, dims: Dims) -> None:
        self._alive.append(tensor)
        self._dims[id(tensor)] = self._dims[_place(tensor)] = dims


class Call:
    """One call of an operation, and what the dimensions of its arguments are.

    Attributes
    ----------
    known : id of an argument → its dimensions, for those that an image went into.
    """

    def __init__(
        self, func: Any, args: Any, kwargs: dict[str, Any], result: Any, known: dict[int, Dims]
    ) -> None:
        self.func, self.args, self.kwargs, self.result, self.known = (
            func,
            args,
            kwargs,
            result,
            known,
        )
        self.packet = func.overloadpacket

    def dims(self, results: Sequence[Tensor]) -> list[Dims | None]:
        """Return the dimensions of each result; unknown ones where no rule fits."""
        found: Found = None
        rule = _RULES.get(self.packet)
        if rule is not None:
            with suppress(LookupError, TypeError, ValueError, AttributeError):  # a form not known
                found = rule(self)
        if found is None and torch.Tag.pointwise in self.func.tags:
            found = self.elementwise()
        each = list(found) if isinstance(found, list) else [found] * len(results)
        return [
            self._fitting(dims, result) for dims, result in zip(each, results, strict=False)
        ] + [None] * (len(results) - len(each))

    def _fitting(self, dims: Any, result: Tensor) -> Dims:
        if dims is not None and tuple(map(size_of, dims)) == tuple(result.shape):
            return tuple(dims)
        return self._alike(result)

    def _alike(self, result: Tensor) -> Dims:
        """Return what an unknown operation leaves: dimensions of the same place and length."""
        for dims in self.known.values():
            if len(dims) == result.ndim:
                return tuple(
                    dim if size_of(dim) == size else renewed(dim, size, kind=Kind.UNKNOWN)
                    for dim, size in zip(dims, result.shape, strict=True)
                )
        return unknown(result.shape)

    def elementwise(self) -> Dims:
        """Return the dimensions of what is computed element by element."""
        shape = tensors_in(self.result)[0].shape
        return agreed([dims for dims in self.known.values() if len(dims) <= len(shape)], shape)

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        """Return an argument, given by place or name."""
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)

    def of(self, place: int = 0) -> Dims:
        """Return the dimensions of an argument; those of one that no image went into: unknown."""
        tensor = self.args[place]
        return self.known.get(id(tensor)) or unknown(tensor.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first result."""
        return tuple(tensors_in(self.result)[0].shape)


# Views and moves.


def _view(call: Call) -> Found:
    return regrouped(call.of(), call.shape)


def _permute(call: Call) -> Found:
    dims = call.of()
    return tuple(dims[place] for place in call.args[1])


def _transpose(call: Call) -> Found:
    dims = list(call.of())
    a, b = (call.argument(1, "dim0", -2), call.argument(2, "dim1", -1))
    if len(dims) > 1:
        dims[a], dims[b] = dims[b], dims[a]
    return tuple(dims)


def _t(call: Call) -> Found:
    return call.of()[::-1]


def _unsqueeze(call: Call) -> Found:
    dims, at = list(call.of()), call.argument(1, "dim")
    dims.insert(at % (len(dims) + 1), new(Kind.OTHER, 1))
    return tuple(dims)


def _squeeze(call: Call) -> Found:
    dims, given = call.of(), call.argument(1, "dim")
    chosen = range(len(dims)) if given is None else _listed(given)
    at = {place % len(dims) for place in chosen}
    return tuple(d for i, d in enumerate(dims) if not (i in at and size_of(d) == 1))


def _expand(call: Call) -> Found:
    dims = call.of()
    added = len(call.shape) - len(dims)
    wide = [
        dim if size_of(dim) == size else new(Kind.UNKNOWN, size)
        for dim, size in zip(dims, call.shape[added:], strict=True)
    ]
    return (*unknown(call.shape[:added]), *wide)


def _slice(call: Call) -> Found:
    dims, at = list(call.of()), call.argument(1, "dim", 0)
    at %= len(dims)
    size = size_of(dims[at])
    start, step = call.argument(2, "start") or 0, call.argument(4, "step", 1)
    start = max(start + size, 0) if start < 0 else start
    length = call.shape[at]
    dims[at] = sliced(dims[at], start, length, size) if step == 1 else renewed(dims[at], length)
    return tuple(dims)


def _select(call: Call) -> Found:
    dims, at = call.of(), call.argument(1, "dim", 0)
    at %= len(dims)
    return without((*dims[:at], *dims[at + 1 :]), dims[at])


def _unbind(call: Call) -> Found:
    dims, at = call.of(), call.argument(1, "dim", 0)
    at %= len(dims)
    left = without((*dims[:at], *dims[at + 1 :]), dims[at])
    return [left] * size_of(dims[at])


def _split(call: Call) -> Found:
    dims, at = call.of(), call.argument(2, "dim", 0)
    at %= len(dims)
    parts: list[Dims] = []
    start, size = 0, size_of(dims[at])
    for part in tensors_in(call.result):
        length = part.shape[at]
        dim = sliced(dims[at], start, length, size)
        parts.append((*dims[:at], dim, *dims[at + 1 :]))
        start += length
    return list(parts)


def _cat(call: Call) -> Found:
    tensors, at = call.args[0], call.argument(1, "dim", 0)
    tensors = [tensor for tensor in tensors if tensor.ndim == len(call.shape)]
    at %= len(call.shape)
    all_dims = [call.known.get(id(tensor)) for tensor in tensors]
    known = [dims for dims in all_dims if dims is not None]
    parts = [
        (None if dims is None else dims[at], tensor.shape[at])
        for dims, tensor in zip(all_dims, tensors, strict=True)
    ]
    others = [(*dims[:at], new(Kind.OTHER, 1), *dims[at + 1 :]) for dims in known]
    shape = (*call.shape[:at], 1, *call.shape[at + 1 :])
    found = list(agreed(others, shape))
    found[at] = joined_along(parts)
    return tuple(found)


def _stack(call: Call) -> Found:
    at = call.argument(1, "dim", 0) % len(call.shape)
    known = [call.known[id(tensor)] for tensor in call.args[0] if id(tensor) in call.known]
    found = list(agreed(known, (*call.shape[:at], *call.shape[at + 1 :])))
    found.insert(at, new(Kind.OTHER, call.shape[at]))
    return tuple(found)


def _roll(call: Call) -> Found:
    shifts, at = _listed(call.args[1]), _listed(call.argument(2, "dims", ()))
    dims = list(call.of())
    for shift, place in zip(shifts, at, strict=True):
        dim = dims[place]
        if shift % size_of(dim) == 0:
            continue
        dims[place] = rolled(dim, shift)
    return tuple(dims)


def _repeat(call: Call) -> Found:
    times, dims = _listed(call.args[1]), call.of()
    missing = len(times) - len(dims)
    parts = zip(times[missing:], dims, strict=True)
    repeated = (dim if n == 1 else (*new(Kind.OTHER, n), *dim) for n, dim in parts)
    return (*(new(Kind.OTHER, n) for n in times[:missing]), *repeated)


def _recurrent(call: Call) -> Found:
    """Return the sequence that an LSTM or GRU puts out; its last states are not followed."""
    results = tensors_in(call.result)
    return [
        (*call.of()[:-1], new(Kind.CHANNEL, results[0].shape[-1])),
        *[None] * (len(results) - 1),
    ]


def _same(call: Call) -> Found:
    return call.of()


def _pad(call: Call) -> Found:
    return tuple(
        dim if size_of(dim) == size else renewed(dim, size)
        for dim, size in zip(call.of(), call.shape, strict=True)
    )


def _index(call: Call) -> Found:
    dims, indices = list(call.of()), call.args[1]
    given = [(place, index) for place, index in enumerate(indices) if index is not None]
    if len(given) != 1 or given[0][1].ndim != 1:
        return None
    place, _ = given[0]
    dims[place] = renewed(dims[place], call.shape[place])
    return tuple(dims)


# Reductions.


def _reduce(call: Call) -> Found:
    dims = call.of()
    given = call.argument(1, "dim")
    if isinstance(given, bool | float) or given is None or given == []:
        given = range(len(dims))
    return _without_places(call, dims, given, keep=len(call.shape) == len(dims))


def _norm(call: Call) -> Found:
    given = call.argument(2, "dim")
    dims = call.of()
    given = range(len(dims)) if given is None else given
    return _without_places(call, dims, given, keep=len(call.shape) == len(dims))


def _without_places(call: Call, dims: Dims, given: Any, *, keep: bool) -> Found:
    at = {place % len(dims) for place in _listed(given)}
    if keep:
        return tuple(new(Kind.OTHER, 1) if i in at else dim for i, dim in enumerate(dims))
    return tuple(dim for i, dim in enumerate(dims) if i not in at)


# What tells which dimension the channels are.


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
    count = len(_listed(call.args[1]))
    learn(dims[-count - 1], Kind.CHANNEL)
    return tuple(
        dim if size_of(dim) == size else renewed(dim, size)
        for dim, size in zip(dims, call.shape, strict=True)
    )


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
        dims = call.of(place + 1)
        return (*unknown(call.shape[:-1]), dims[-1])
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


def _rms_norm(call: Call) -> Found:
    return _layer_norm(call)


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


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, int) else list(value)


_TABLE: list[tuple[str, Rule]] = [
    ("view _unsafe_view reshape _reshape_alias", _view),
    ("permute", _permute),
    ("transpose", _transpose),
    ("t", _t),
    ("unsqueeze", _unsqueeze),
    ("squeeze", _squeeze),
    ("expand", _expand),
    ("slice", _slice),
    ("select", _select),
    ("unbind", _unbind),
    ("split split_with_sizes unsafe_split", _split),
    ("cat", _cat),
    ("stack", _stack),
    ("roll", _roll),
    ("repeat", _repeat),
    ("mkldnn_rnn_layer", _recurrent),
    (
        "clone detach alias contiguous _to_copy lift_fresh flip cumsum sort _softmax _log_softmax"
        " native_dropout masked_fill fill_ zero_ index_put scatter index_add",
        _same,
    ),
    (
        "constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d"
        " replication_pad2d replication_pad3d topk index_select gather",
        _pad,
    ),
    ("index", _index),
    (
        "mean sum amax amin max min prod var std var_mean std_mean logsumexp argmax argmin any all",
        _reduce,
    ),
    ("linalg_vector_norm norm", _norm),
    ("convolution _convolution", _convolution),
    (
        "avg_pool1d avg_pool2d avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d"
        " adaptive_avg_pool1d",
        _pool,
    ),
    (
        "max_pool2d_with_indices max_pool3d_with_indices adaptive_max_pool2d adaptive_max_pool3d",
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
    ("native_layer_norm", _layer_norm),
    ("_fused_rms_norm rms_norm", _rms_norm),
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


def _operations(names: str) -> set[Any]:
    return {getattr(torch.ops.aten, name, None) for name in names.split()} - {None}


_RULES = {operation: rule for names, rule in _TABLE for operation in _operations(names)}

_SEEDS = _operations("convolution _convolution")
"""What is run on images alone, so that its result depends on them even where the trace is lost."""

_WRITES = _operations("copy_ index_put_ scatter_ masked_scatter_ index_copy_")


def _place(tensor: Tensor) -> Any:
    if storage_of(tensor) is None:
        return id(tensor)
    strides = tuple(s if n > 1 else 0 for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    return _memory(tensor), tensor.storage_offset(), tuple(tensor.shape), strides


def _memory(tensor: Tensor) -> int:
    storage = storage_of(tensor)
    return id(tensor) if storage is None else storage[0]
