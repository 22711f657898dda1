"""Operations that hand on the channels: views, moves, joins and reductions."""

from __future__ import annotations

from typing import Any

from convviz_widgets.probe.axes.axis import (
    Dims,
    Kind,
    agreed,
    joined_along,
    new,
    regrouped,
    renewed,
    rolled,
    size_of,
    sliced,
    unknown,
    without,
)
from convviz_widgets.probe.axes.call import Call, Found, listed, rules
from convviz_widgets.probe.recording import tensors_in


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
    chosen = range(len(dims)) if given is None else listed(given)
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
    shifts, at = listed(call.args[1]), listed(call.argument(2, "dims", ()))
    dims = list(call.of())
    for shift, place in zip(shifts, at, strict=True):
        dim = dims[place]
        if shift % size_of(dim) == 0:
            continue
        dims[place] = rolled(dim, shift)
    return tuple(dims)


def _repeat(call: Call) -> Found:
    times, dims = listed(call.args[1]), call.of()
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
    return call.resized(call.of())


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
    return _without_places(dims, given, keep=len(call.shape) == len(dims))


def _norm(call: Call) -> Found:
    given = call.argument(2, "dim")
    dims = call.of()
    given = range(len(dims)) if given is None else given
    return _without_places(dims, given, keep=len(call.shape) == len(dims))


def _without_places(dims: Dims, given: Any, *, keep: bool) -> Found:
    at = {place % len(dims) for place in listed(given)}
    if keep:
        return tuple(new(Kind.OTHER, 1) if i in at else dim for i, dim in enumerate(dims))
    return tuple(dim for i, dim in enumerate(dims) if i not in at)


MOVES = rules(
    [
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
            "clone detach alias contiguous _to_copy lift_fresh flip cumsum sort _softmax"
            " _log_softmax native_dropout masked_fill fill_ zero_ index_put scatter index_add",
            _same,
        ),
        (
            "constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d"
            " replication_pad2d replication_pad3d topk index_select gather",
            _pad,
        ),
        ("index", _index),
        (
            "mean sum amax amin max min prod var std var_mean std_mean logsumexp argmax argmin any"
            " all",
            _reduce,
        ),
        ("linalg_vector_norm norm", _norm),
    ]
)
"""Operation → rule."""
