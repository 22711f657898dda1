"""What each operation of torch does to the part of an image that the elements of a tensor see.

A forward pass is followed operation by operation. Beside every tensor goes a sight for the rows and
one for the columns of the image: float32 (4, *shape), on the CPU, with (-low, high) of the pixels
that each element sees, and (-start, end) where the padding around the image counts as pixels. So a
maximum joins two. Nothing seen is -inf; a start and end that are not known are inf. A dimension
along which all see the same is held once, and repeated by a stride of zero.

What only moves values (a slice, a flip, a shuffle) is run on the sights as it is. What joins values
(a kernel, a pool, a sum) joins their sights. What is not known lets everything see everything.

The gradient of a positive twin of the model would tell the pixels too, but not what the border cuts
off, by which patches align; and it takes a backward pass for each row and column of each layer's
map: 8,430 for a ResNet-50 at 224 by 224, of half a second and more, where this takes one second.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.probe.axes.call import operations
from convviz_widgets.probe.recording import tensors_in

_NOTHING, _UNKNOWN = float("-inf"), float("inf")

_NO_TAP = np.iinfo(np.int64).min
"""Entry of a table of taps where there is no tap, not even in the padding."""


def pixel_sight(image: Tensor, dim: int) -> Tensor:
    """Return the sight of an image's own pixels along one of its dimensions."""
    place = torch.arange(float(image.shape[dim]))
    sight = torch.stack([-place, place + 1] * 2)
    shape = [1] * image.ndim
    shape[dim] = -1
    return sight.view(4, *shape).expand(4, *image.shape)


def _core(sight: Tensor, keep: int | None = None) -> Tensor:
    """Return a view with size one along each dimension that is repeated, but for ``keep``."""
    for dim in range(1, sight.ndim):
        if sight.stride(dim) == 0 and dim - 1 != keep:
            sight = sight.narrow(dim, 0, 1)
    return sight


def compact(sight: Tensor) -> Tensor:
    """Return the sight, held once along each dimension that makes no difference."""
    core = _core(sight)
    for dim in range(1, core.ndim):
        first = core.narrow(dim, 0, 1)
        core = first if core.shape[dim] > 1 and bool((core == first).all()) else core
    return sight if core.shape == sight.shape else core.clone().expand(sight.shape)


def hull(sights: Iterable[Tensor], shape: Sequence[int]) -> Tensor:
    """Return the sight of elements that see what the broadcast elements of all of these see."""
    cores = [_core(sight) for sight in sights]
    ndim = len(shape)
    aligned = [c.view(4, *(1,) * (ndim + 1 - c.ndim), *c.shape[1:]) for c in cores]
    return functools.reduce(torch.maximum, aligned).expand(4, *shape)


def seen_along(sight: Tensor, dims: Iterable[int], *, slides: bool = False) -> Tensor:
    """Return the sight of elements that see all along some dimensions, kept with size one.

    Parameters
    ----------
    slides : whether the parts seen go on to slide over the padding, as where channels are joined;
        those of elements that see all positions do not.
    """
    along = [dim % (sight.ndim - 1) + 1 for dim in dims]
    if not along:
        return sight
    most, least = _core(sight).amax(along, keepdim=True), _core(sight).amin(along, keepdim=True)
    if not slides:
        most[2:].masked_fill_(most[2:] != least[2:], _UNKNOWN)
    kept = [1 if dim in along else size for dim, size in enumerate(sight.shape)]
    return most.expand(kept)


def _mixed(sight: Tensor, dims: Iterable[int]) -> Tensor:
    """Return the sight of a tensor each of whose elements sees all along some dimensions."""
    return seen_along(sight, dims).expand(sight.shape)


def everything(sight: Tensor) -> Tensor:
    """Return the sight of one number that sees all that is seen here: (4,)."""
    return seen_along(sight, range(sight.ndim - 1)).reshape(4)


def _tapped(sight: Tensor, dim: int, taps: np.ndarray) -> Tensor:
    """Return the sight of positions that each see several of these along a dimension.

    Parameters
    ----------
    taps : int (m, k), the k positions that new position p sees; those out of range are padding.
    """
    core = _core(sight)
    shape = list(sight.shape)
    shape[dim + 1] = len(taps)
    if core.shape[dim + 1] > 1:  # else all see the same along it, and go on to do so
        core = functools.reduce(torch.maximum, (_picked(core, dim + 1, tap) for tap in taps.T))
    return core.expand(shape)


def _picked(sight: Tensor, dim: int, positions: np.ndarray) -> Tensor:
    size = sight.shape[dim]
    nearest = positions.clip(0, size - 1)
    found = sight.index_select(dim, torch.from_numpy(nearest)).movedim(dim, -1)
    outside = torch.from_numpy(positions != nearest)
    found[:2] = found[:2].masked_fill(outside, _NOTHING)
    steps = sight[2:].diff(dim=dim).movedim(dim, -1)
    if not outside.any():
        pass
    elif bool((steps == steps[..., :1]).all()):  # in the padding the even steps go on
        found[2:] += steps[..., :1] * torch.from_numpy(positions - nearest)
    else:
        found[2:] = found[2:].masked_fill(outside, _UNKNOWN)
    found = found.masked_fill(torch.from_numpy(positions == _NO_TAP), _NOTHING)
    return found.movedim(-1, dim)


# What the operations of torch do. Each rule takes the sight of the first argument, the result and
# all arguments, and returns the sight of the result.

_Rule = Callable[[Tensor, Tensor, tuple[Any, ...]], Tensor]


def _convolution(sight: Tensor, result: Tensor, args: tuple[Any, ...]) -> Tensor:
    _, weight, _, stride, padding, dilation, transposed = args[:7]
    first = result.ndim - (weight.ndim - 2)
    sight = seen_along(sight, [first - 1], slides=True)  # the channels
    for i, kernel in enumerate(weight.shape[2:]):
        geometry = (kernel, _nth(stride, i), _nth(padding, i), _nth(dilation, i))
        table = _transposed_taps if transposed else _taps
        sight = _tapped(sight, first + i, table(result.shape[first + i], *geometry))
    return sight


def _pool(sight: Tensor, result: Tensor, args: tuple[Any, ...], dilation: Any = 1) -> Tensor:
    kernel, stride, padding = (*args[1:], *(None,) * 3)[:3]
    first = result.ndim - len(kernel)
    for i, size in enumerate(kernel):
        geometry = (size, _nth(stride or kernel, i), _nth(padding or 0, i), _nth(dilation, i))
        sight = _tapped(sight, first + i, _taps(result.shape[first + i], *geometry))
    return sight


def _maximum_pool(sight: Tensor, result: Tensor, args: tuple[Any, ...]) -> Tensor:
    return _pool(sight, result, args, args[4] if len(args) > 4 else 1)


def _adaptive_pool(sight: Tensor, result: Tensor, args: tuple[Any, ...]) -> Tensor:
    for dim in range(result.ndim - len(args[1]), result.ndim):
        count, size = result.shape[dim], sight.shape[dim + 1]
        bins = np.arange(count)
        starts, ends = bins * size // count, -(-(bins + 1) * size // count)
        taps = starts[:, None] + np.arange((ends - starts).max())
        sight = _tapped(sight, dim, np.where(taps < ends[:, None], taps, _NO_TAP))
    return sight


def _interpolation(
    sight: Tensor, result: Tensor, args: tuple[Any, ...], around: Sequence[int] = (0, 1)
) -> Tensor:
    """Read off the positions around each place; args: input, size, align_corners, factors."""
    factors = [factor for value in args[3:] for factor in _listed(value) if factor is not None]
    for i, dim in enumerate(range(2, result.ndim)):
        size, count = sight.shape[dim + 1], result.shape[dim]
        p = np.arange(count, dtype=np.float64)
        if args[2]:
            places = p * (size - 1) / max(count - 1, 1)
        else:
            places = (p + 0.5) * (1 / factors[i] if i < len(factors) else size / count) - 0.5
        taps = np.floor(places).astype(np.int64)[:, None] + np.array(around)
        sight = _tapped(sight, dim, taps.clip(0, size - 1))
    return sight


def _padding(
    sight: Tensor,
    result: Tensor,
    args: tuple[Any, ...],
    source: Callable[[np.ndarray, int], np.ndarray] = lambda positions, size: positions,
) -> Tensor:
    """Pad by args[1], which counts from the last dimension: before, after, before, after, ..."""
    for i, before in enumerate(args[1][::2]):
        dim = result.ndim - 1 - i
        places = np.arange(result.shape[dim]) - before
        copied = _tapped(sight, dim, source(places, sight.shape[dim + 1])[:, None])
        sight = torch.cat([copied[:2], _tapped(sight, dim, places[:, None])[2:]])
    return sight


def _reduction(sight: Tensor, result: Tensor, args: tuple[Any, ...]) -> Tensor:
    given = args[1] if len(args) > 1 and not isinstance(args[1], bool | torch.dtype) else None
    dims = range(sight.ndim - 1) if given is None or given == [] else _listed(given)
    return seen_along(sight, dims).reshape(4, *result.shape)


def _group_norm(sight: Tensor, result: Tensor, args: tuple[Any, ...]) -> Tensor:
    return _mixed(sight, range(1, result.ndim))


def _batch_norm(sight: Tensor, result: Tensor, args: tuple[Any, ...]) -> Tensor:
    of_this_batch = any(argument is True for argument in args)
    return _mixed(sight, range(result.ndim)) if of_this_batch else sight


def _taps(count: int, kernel: int, stride: int, padding: int, dilation: int) -> np.ndarray:
    return np.arange(count)[:, None] * stride - padding + np.arange(kernel) * dilation


def _transposed_taps(
    count: int, kernel: int, stride: int, padding: int, dilation: int
) -> np.ndarray:
    reached = np.arange(count)[:, None] + padding - np.arange(kernel) * dilation
    return np.where(reached % stride == 0, reached // stride, _NO_TAP)


def _nth(setting: Any, index: int) -> int:
    listed = _listed(setting)
    return listed[min(index, len(listed) - 1)]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


_TABLE: list[tuple[str, _Rule]] = [
    ("convolution", _convolution),
    ("avg_pool1d avg_pool2d avg_pool3d", _pool),
    ("max_pool2d_with_indices max_pool3d_with_indices", _maximum_pool),
    ("_adaptive_avg_pool2d _adaptive_avg_pool3d", _adaptive_pool),
    ("adaptive_max_pool2d adaptive_max_pool3d", _adaptive_pool),
    ("upsample_linear1d upsample_bilinear2d upsample_trilinear3d", _interpolation),
    ("upsample_bicubic2d", functools.partial(_interpolation, around=(-1, 0, 1, 2))),
    ("constant_pad_nd", _padding),
    (
        "reflection_pad1d reflection_pad2d reflection_pad3d",
        functools.partial(_padding, source=lambda p, size: size - 1 - abs(size - 1 - abs(p))),
    ),
    (
        "replication_pad1d replication_pad2d replication_pad3d",
        functools.partial(_padding, source=lambda p, size: p.clip(0, size - 1)),
    ),
    ("mean sum amax amin max min prod var std logsumexp", _reduction),
    ("_softmax _log_softmax cumsum", lambda sight, _, args: _mixed(sight, [args[1]])),
    ("native_layer_norm", lambda sight, _, args: _mixed(sight, range(-len(args[1]), 0))),
    ("native_group_norm _batch_norm_with_update", _group_norm),
    ("native_batch_norm cudnn_batch_norm miopen_batch_norm", _batch_norm),
    ("_native_batch_norm_legit _native_batch_norm_legit_no_training", _batch_norm),
    ("_batch_norm_no_update", _batch_norm),
    ("clone detach alias contiguous _to_copy lift_fresh", lambda sight, *_: sight),
    (
        "view _unsafe_view reshape unsqueeze squeeze",
        lambda sight, result, _: sight.reshape(4, *result.shape),
    ),
]

_RULES = {operation: rule for names, rule in _TABLE for operation in operations(names)}
"""Operation that autograd runs → rule. What is in no table here and not elementwise sees all."""

_MOVES = operations(
    "expand permute transpose t slice split split_with_sizes unbind select flip roll repeat index"
    " index_select pixel_shuffle pixel_unshuffle channel_shuffle upsample_nearest1d"
    " upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d"
    " _upsample_nearest_exact3d"
)
"""Operations that only move values: they move what the values see in the same way."""

_PRODUCTS = {
    **dict.fromkeys(operations("mm bmm linear"), 0),
    **dict.fromkeys(operations("addmm baddbmm"), 1),
}
"""Products of matrices → the place of the first one among the arguments."""


@dataclass(frozen=True)
class OperationCall:
    """One call of an operation of torch, whose results see what its arguments see."""

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: list[Tensor]

    def sights(self, seen: Mapping[int, Tensor]) -> list[Tensor]:
        """Return the sight of each result along one axis of the image.

        Parameters
        ----------
        seen : id of an argument → its sight; those that see nothing are left out.
        """
        with suppress(LookupError, TypeError, ValueError, RuntimeError):  # a form not known here
            made = self._moved(seen) or self._joined(seen)
            if made:
                return made
        everywhere = [everything(sight) for sight in seen.values()]
        return [hull(everywhere, result.shape) for result in self.results]

    def _moved(self, seen: Mapping[int, Tensor]) -> list[Tensor]:
        """Return the sights after an operation that only moves values; none after another."""
        if self.func.overloadpacket not in _MOVES or list(seen) != [id(self.args[0])]:
            return []
        parts = [
            tensors_in(self.func(part, *self.args[1:], **self.kwargs))
            for part in seen[id(self.args[0])]
        ]
        return [torch.stack(each) for each in zip(*parts, strict=True) if each[0].numel()]

    def _joined(self, seen: Mapping[int, Tensor]) -> list[Tensor]:
        """Return the sights after an operation that joins values; none after one not known."""
        first = self._first(seen)
        if first is None:
            return []
        shape = self.results[0].shape
        return [
            first if result.shape == shape else hull([everything(first)], result.shape)
            for result in self.results
        ]

    def _first(self, seen: Mapping[int, Tensor]) -> Tensor | None:
        packet, result = self.func.overloadpacket, self.results[0]
        if packet is torch.ops.aten.cat:
            dim = self.args[1] if len(self.args) > 1 else 0
            return _concatenated(self.args[0], seen, dim % result.ndim, result.shape)
        if packet is torch.ops.aten.copy_ and id(self.args[1]) in seen:
            return hull([seen[id(self.args[1])]], result.shape)
        if packet is torch.ops.aten.copy_ or torch.Tag.pointwise in self.func.tags:
            return hull(seen.values(), result.shape)
        if packet in _PRODUCTS:
            return self._product(seen, _PRODUCTS[packet])
        if packet in _RULES and list(seen) == [id(self.args[0])]:
            args = (*self.args, *self.kwargs.values())
            sight = _RULES[packet](seen[id(self.args[0])], result, args)
            return sight.expand(4, *result.shape)
        return None

    def _product(self, seen: Mapping[int, Tensor], place: int) -> Tensor:
        """Each element sees a row of the first matrix, a column of the other, what is added."""
        added, rows, columns = (
            [seen[id(factor)] for factor in factors if id(factor) in seen]
            for factors in (self.args[:place], [self.args[place]], [self.args[place + 1]])
        )
        rows, columns = [seen_along(r, [-1]) for r in rows], [seen_along(c, [-2]) for c in columns]
        return hull([*added, *rows, *columns], self.results[0].shape)


def _concatenated(
    tensors: Sequence[Tensor], seen: Mapping[int, Tensor], dim: int, shape: Sequence[int]
) -> Tensor:
    """Return the sight of tensors put behind each other; those without one see nothing."""
    nothing = torch.tensor(_NOTHING)
    cores = [
        _core(seen.get(id(tensor), nothing.expand(4, *tensor.shape)), keep=dim)
        for tensor in tensors
        if tensor.ndim == len(shape)
    ]
    wide = list(torch.broadcast_shapes(*(core.narrow(dim + 1, 0, 1).shape for core in cores)))
    wide[dim + 1] = -1
    return torch.cat([core.expand(wide) for core in cores], dim + 1).expand(4, *shape)
