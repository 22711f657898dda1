"""What the dimensions of a tensor are: batch, channels, places on the image, something else.

A dimension is a row of atoms, each a part of one axis. So the channels that are split into heads
and the rows and columns that are flattened into tokens are still known when they come together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import takewhile
from math import prod


class Kind(IntEnum):
    """What an axis is; a higher number is better evidence where two disagree."""

    UNKNOWN = 0
    OTHER = 1
    """Known to be neither: the heads of attention, a list of branches."""
    PLACE = 2
    CHANNEL = 3
    BATCH = 4


@dataclass(eq=False)
class TensorAxis:
    """One axis, the same object wherever it turns up, so that what it is may be learned later.

    Attributes
    ----------
    kind, size : what it is, and how many.
    rank : for places: 0 for rows, 1 for columns, as the image has them.
    shift : for places that were rolled: by how many.
    cut : whether something was added or taken away since, so that they cannot be rolled back.
    grid : for tokens with others around them: the atoms of those that lie on the image.
    prefix : how many tokens stand before those of the grid.
    """

    kind: Kind
    size: int
    rank: int = 0
    shift: int = 0
    cut: bool = False
    grid: tuple[Atom, ...] = ()
    prefix: int = 0


@dataclass(frozen=True)
class Atom:
    """Every ``stride``-th of an axis, ``size`` of them."""

    axis: TensorAxis
    stride: int
    size: int

    @property
    def kind(self) -> Kind:
        """What its axis is."""
        return self.axis.kind

    @property
    def whole(self) -> bool:
        """Whether it is its whole axis."""
        return self.stride == 1 and self.size == self.axis.size


Dim = tuple[Atom, ...]
Dims = tuple[Dim, ...]


def new(kind: Kind, size: int, rank: int = 0) -> Dim:
    """Return a dimension that is a new axis."""
    return (Atom(TensorAxis(kind, size, rank), 1, size),)


def unknown(shape: Iterable[int]) -> Dims:
    """Return the dimensions of a tensor of which nothing is known."""
    return tuple(new(Kind.OTHER if size == 1 else Kind.UNKNOWN, size) for size in shape)


def of_images(shape: Sequence[int]) -> Dims:
    """Return the dimensions of images (N, C, H, W), or (N, C, L), or (N, F)."""
    places = (new(Kind.PLACE, size, rank) for rank, size in enumerate(shape[2:]))
    return (new(Kind.BATCH, shape[0]), new(Kind.CHANNEL, shape[1]), *places)


def kinds(dim: Dim) -> set[Kind]:
    """Return what the parts of a dimension are, those of size one aside, but for the batch."""
    return {atom.kind for atom in dim if atom.size > 1 or atom.kind is Kind.BATCH}


def size_of(dim: Dim) -> int:
    """Return how long a dimension is."""
    return prod(atom.size for atom in dim)


def renewed(dim: Dim, size: int, *, kind: Kind | None = None) -> Dim:
    """Return a dimension of another length, of the kind and place of an old one."""
    found = kinds(dim) or {atom.kind for atom in dim}
    if kind is None:
        kind = found.pop() if len(found) == 1 else Kind.UNKNOWN
    kind = Kind.OTHER if kind is Kind.BATCH else kind
    axis = dim[0].axis if len({id(atom.axis) for atom in dim}) == 1 else TensorAxis(kind, size)
    (made,) = new(kind, size, dim[0].axis.rank if dim else 0)
    made.axis.shift, made.axis.cut = axis.shift, axis.shift != 0
    return (made,)


def rolled(dim: Dim, shift: int) -> Dim:
    """Return a dimension whose places were rolled by some."""
    (moved,) = renewed(dim, size_of(dim))
    if len(dim) == 1 and dim[0].whole:
        shift += dim[0].axis.shift
        moved.axis.shift, moved.axis.cut = shift if shift % moved.size else 0, dim[0].axis.cut
    return (moved,)


def without(dims: Dims, gone: Iterable[Atom]) -> Dims:
    """Return what is left after one index of some atoms is taken: their axes' rest is whole."""
    axes = {id(atom.axis): atom.axis for atom in gone if atom.size > 1}
    for axis in axes.values():
        left = sorted(
            (atom for dim in dims for atom in dim if atom.axis is axis),
            key=lambda atom: -atom.stride,
        )
        if not left:
            continue
        rest = TensorAxis(axis.kind, prod(atom.size for atom in left), axis.rank)
        stride, changed = rest.size, {}
        for atom in left:
            stride //= atom.size
            changed[atom] = Atom(rest, stride, atom.size)
        dims = tuple(tuple(changed.get(atom, atom) for atom in dim) for dim in dims)
    return dims


def regrouped(dims: Dims, shape: Sequence[int]) -> Dims:
    """Return the dimensions of a view or reshape; what falls apart unevenly is not known."""
    left = deque(atom for dim in dims for atom in dim)
    found: list[Dim] = []
    for index, size in enumerate(shape):
        dim = _ones(left, shape[index:]) if size == 1 else _taken(left, size)
        if dim is None:
            return unknown(shape)
        if index + 1 < len(shape) and shape[index + 1] != 1:
            dim = (*dim, *_following_ones(left))
        found.append(dim)
    if left and found:
        found[-1] = (*found[-1], *left)
    return _with_batch_in_front(tuple(_joined(dim) for dim in found))


def _with_batch_in_front(dims: Dims) -> Dims:
    """Put a batch of one that went along with others where a first dimension is left for it.

    A batch of one may be moved anywhere, as an einsum does, and no size tells where it went.
    """
    if not dims or size_of(dims[0]) != 1:
        return dims
    holding = [dim for dim in dims if Kind.BATCH in kinds(dim)]
    if len(holding) != 1 or kinds(holding[0]) == {Kind.BATCH} or size_of(holding[0]) == 1:
        return dims
    batch = next(atom for atom in holding[0] if atom.kind is Kind.BATCH)
    rest = (tuple(atom for atom in dim if atom is not batch) for dim in dims[1:])
    return ((batch, *dims[0]), *rest)


def _ones(left: deque[Atom], shape: Sequence[int]) -> Dim:
    """Take atoms of size one for a dimension of size one, and leave one for each that follows."""
    there = sum(1 for _ in takewhile(lambda atom: atom.size == 1, left))
    wanted = sum(1 for _ in takewhile(lambda size: size == 1, shape))
    taken = tuple(left.popleft() for _ in range(max(min(there, 1), there - wanted + 1)))
    return taken or new(Kind.OTHER, 1)


def _following_ones(left: deque[Atom]) -> Dim:
    taken = []
    while left and left[0].size == 1 and len(left) > 1:
        taken.append(left.popleft())
    return tuple(taken)


def _taken(left: deque[Atom], size: int) -> Dim | None:
    taken: list[Atom] = []
    while size > 1:
        if not left:
            return None
        atom = left.popleft()
        if size % atom.size == 0:
            taken.append(atom)
            size //= atom.size
        elif atom.size % size == 0:
            inner = atom.size // size
            taken.append(Atom(atom.axis, atom.stride * inner, size))
            left.appendleft(Atom(atom.axis, atom.stride, inner))
            size = 1
        else:
            return None
    return tuple(taken)


def _joined(dim: Dim) -> Dim:
    """Join neighbours that are parts of one axis behind each other."""
    joined: list[Atom] = []
    for atom in dim:
        last = joined[-1] if joined else None
        if last is not None and last.axis is atom.axis and last.stride == atom.stride * atom.size:
            joined[-1] = Atom(atom.axis, atom.stride, last.size * atom.size)
        else:
            joined.append(atom)
    return tuple(joined)


def joined_along(parts: Sequence[tuple[Dim | None, int]]) -> Dim:
    """Return the dimension along which tensors were put behind each other.

    Parameters
    ----------
    parts : for each its dimension, None where nothing is known of it, and its length.
    """
    total = sum(size for _, size in parts)
    known = [dim for dim, _ in parts if dim is not None]
    found = set[Kind]().union(*map(kinds, known))
    places = [index for index, (dim, _) in enumerate(parts) if dim and _grid(dim)]
    if len(places) == 1 and found <= {Kind.PLACE, Kind.OTHER, Kind.UNKNOWN}:
        dim = parts[places[0]][0] or ()
        inner = dim[0].axis if dim[0].axis.grid else None
        before = sum(size for _, size in parts[: places[0]])
        axis = TensorAxis(Kind.PLACE, total, grid=_grid(dim), prefix=before)
        axis.prefix += inner.prefix if inner else 0
        return (Atom(axis, 1, total),)
    if len(found) == 1 and all(parts):
        return renewed(known[0], total)
    return new(Kind.PLACE if found == {Kind.PLACE} else Kind.UNKNOWN, total)


def _grid(dim: Dim) -> Dim:
    """Return the atoms of a dimension of tokens that lie on the image: at least two axes."""
    if len(dim) == 1 and dim[0].whole and dim[0].axis.grid:
        return dim[0].axis.grid
    axes = {id(atom.axis) for atom in dim}
    return dim if len(axes) > 1 and kinds(dim) <= {Kind.PLACE} else ()


def sliced(dim: Dim, start: int, length: int, size: int) -> Dim:
    """Return what a slice leaves of a dimension of ``size``."""
    if length == size:
        return dim
    axis = dim[0].axis if len(dim) == 1 and dim[0].whole else None
    if axis is not None and axis.grid and start <= axis.prefix:
        lies = size_of(axis.grid)
        if start == axis.prefix and length == lies:
            return axis.grid
        if start + length >= axis.prefix + lies:
            rest = replace(axis, size=length, prefix=axis.prefix - start)
            return (Atom(rest, 1, length),)
    return renewed(dim, length)


def channel_dimension(dims: Dims) -> int | None:
    """Return the one dimension that all channels are in; None where there is none."""
    holding = [index for index, dim in enumerate(dims) if Kind.CHANNEL in kinds(dim)]
    if holding:
        (first, *others) = holding
        return first if not others and Kind.BATCH not in kinds(dims[first]) else None
    single = [
        index for index, dim in enumerate(dims) if any(atom.kind is Kind.CHANNEL for atom in dim)
    ]
    if not single:  # one that was averaged away and kept, as in attention over places
        single = [
            index
            for index, dim in enumerate(dims)
            if index and not kinds(dim) and all(atom.kind is Kind.OTHER for atom in dim)
        ]
        if any(kinds(dim) - {Kind.PLACE, Kind.BATCH} for dim in dims):
            return None
    return single[0] if len(single) == 1 else None


def agreed(all_dims: Sequence[Dims], shape: Sequence[int]) -> Dims:
    """Return the dimensions of an elementwise result, from those of what goes into it.

    Where two disagree, the one in which more is known is right: a residual branch that mixes
    places as if they were channels comes back to places. What is not known in the one is learned
    from the other.
    """
    ranked = sorted((_padded(dims, shape) for dims in all_dims), key=_evidence, reverse=True)
    best = list(ranked[0])
    for dims in ranked[1:]:
        for index, (mine, theirs) in enumerate(zip(best, dims, strict=True)):
            if size_of(mine) == 1 and size_of(theirs) > 1:
                best[index] = theirs
            elif size_of(mine) == size_of(theirs):
                learn(mine, theirs)
                learn(theirs, mine)
    return tuple(
        dim if size_of(dim) == size else renewed(dim, size)
        for dim, size in zip(best, shape, strict=True)
    )


def learn(dim: Dim, like: Dim | Kind) -> None:
    """Let a dimension that is not known be what another is."""
    if len(dim) != 1 or not dim[0].whole or dim[0].kind is not Kind.UNKNOWN:
        return
    if isinstance(like, Kind):
        dim[0].axis.kind = like
    elif len(found := kinds(like)) == 1:
        dim[0].axis.kind, dim[0].axis.rank = found.pop(), like[0].axis.rank


def _padded(dims: Dims, shape: Sequence[int]) -> Dims:
    missing = len(shape) - len(dims)
    return (*(new(Kind.OTHER, 1) for _ in range(missing)), *dims)


def _evidence(dims: Dims) -> tuple[int, ...]:
    found = [kinds(dim) for dim in dims]
    grid = sum(len(dim) > 1 or bool(dim and dim[0].axis.grid) for dim in dims)
    return (
        channel_dimension(dims) is not None,
        sum(1 for each in found if each and each <= {Kind.PLACE, Kind.CHANNEL, Kind.BATCH}),
        sum(1 for each in found if each == {Kind.PLACE}),
        grid,
        sum(1 for each in found if each == {Kind.BATCH}),
    )


def flat(dims: Dims) -> Iterator[Atom]:
    """Yield the atoms of all dimensions in order."""
    for dim in dims:
        yield from dim
