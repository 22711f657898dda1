"""Duplicates: samples of a set that are the same, bit by bit, and samples that two sets share."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from torch import Tensor

from convviz_widgets.images.reading import RawSamples, SampleBlock, Source, as_array

DIGEST_BYTES = 16
"""128 bits: among a billion samples the chance of one false pair is 1 in 10²⁰."""

_SEED = 0x5A3D


@dataclass(frozen=True)
class Duplicates:
    """Which samples of a set are the same.

    Attributes
    ----------
    groups : indices of equal samples, each group in order, two or more in each.
    count : samples that were compared.
    failures : index → one line, for the samples that could not be read.
    """

    groups: tuple[tuple[int, ...], ...]
    count: int
    failures: dict[int, str]

    @property
    def surplus(self) -> int:
        """How many samples would go if one of each group stayed."""
        return sum(len(group) - 1 for group in self.groups)


@dataclass(frozen=True)
class Leak:
    """Which samples two sets share.

    Attributes
    ----------
    groups : (indices in the first set, indices in the second) of equal samples.
    counts : samples that were compared, of each set.
    failures : index → one line, for each set.
    """

    groups: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    counts: tuple[int, int]
    failures: tuple[dict[int, str], dict[int, str]]

    @property
    def shared(self) -> int:
        """How many samples of the second set are in the first."""
        return sum(len(second) for _, second in self.groups)


@dataclass(frozen=True)
class Compared:
    """Equal samples of several sets: what `Duplicates` and `Leak` are read off.

    Attributes
    ----------
    groups : for each group and each set the indices; two or more in each group.
    counts : samples that were compared, of each set.
    failures : index → one line, for each set.
    """

    groups: tuple[tuple[tuple[int, ...], ...], ...]
    counts: tuple[int, ...]
    failures: tuple[dict[int, str], ...]

    def duplicates(self, which: int = 0) -> Duplicates:
        """Return which samples of one of the sets are the same."""
        groups = tuple(group[which] for group in self.groups if len(group[which]) > 1)
        return Duplicates(groups, self.counts[which], self.failures[which])

    def leak(self, first: int = 0, second: int = 1) -> Leak:
        """Return which samples two of the sets share."""
        groups = tuple((g[first], g[second]) for g in self.groups if g[first] and g[second])
        return Leak(
            groups,
            (self.counts[first], self.counts[second]),
            (self.failures[first], self.failures[second]),
        )


Comparing = Generator[tuple[int, int], None, Compared]
"""Yields (done, total) samples after every read, those that fail too; returns what was found."""


def comparing(*sources: Source, lock: AbstractContextManager[Any] | None = None) -> Comparing:
    """Find the equal samples of some sets, block by block, so that it can be left at any time.

    Every sample is read once, and those whose hash another one has once more, to compare their
    digests. Beside a block of samples 16 bytes a sample are held. The ``lock`` is held while a
    block is read, never while it is compared.
    """
    sets = [RawSamples(source, lock) for source in sources]
    total, done = sum(map(len, sets)), 0
    numbers, places = [], []  # uint64 (N,), int64 (N, 2): set, index
    for which, samples in enumerate(sets):
        for count, blocks in samples.reads():
            for block in blocks:
                numbers.append(hashes(block))
                places.append(np.stack([np.full_like(block.indices, which), block.indices], axis=1))
            done += count
            yield done, total
    if not numbers:
        return _compared(sets, [])
    candidates = _sharing(np.concatenate(numbers), np.concatenate(places))
    same: dict[bytes, list[tuple[int, int]]] = {}
    for which, samples in enumerate(sets):
        again = np.sort(candidates[candidates[:, 0] == which, 1])
        for _, blocks in samples.reads(again.tolist()):
            for block in blocks:
                for index, digest in zip(block.indices.tolist(), digests(block), strict=True):
                    same.setdefault(digest, []).append((which, index))
            yield done, total
    return _compared(sets, list(same.values()))


def find_duplicates(source: Source) -> Duplicates:
    """Return which samples of a tensor, an `ImageSet` or a map-style data set are the same."""
    return _drained(comparing(source)).duplicates()


def find_leak(first: Source, second: Source) -> Leak:
    """Return which samples two sets share, such as training and validation."""
    return _drained(comparing(first, second)).leak()


def find_repeated_batches(
    batches: Iterable[Tensor | Sequence[bytes]],
) -> tuple[tuple[int, ...], ...]:
    """Return the groups of batches that hold the same samples, in whatever order.

    A batch is of samples (B, ...), or of their digests; one without any is in no group.
    """
    same: dict[tuple[bytes, ...], list[int]] = {}
    for number, batch in enumerate(batches):
        digests = sample_digests(batch) if isinstance(batch, Tensor) else batch
        if digests:
            same.setdefault(tuple(sorted(digests)), []).append(number)
    return tuple(tuple(group) for group in same.values() if len(group) > 1)


def _sharing(numbers: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the places whose number is not theirs alone."""
    _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    chosen: np.ndarray = places[counts[inverse] > 1]
    return chosen


def _compared(sets: list[RawSamples], same: Sequence[list[tuple[int, int]]]) -> Compared:
    groups = [
        tuple(tuple(sorted(i for s, i in group if s == which)) for which in range(len(sets)))
        for group in same
        if len(group) > 1
    ]
    counts = tuple(len(samples) - len(samples.failures) for samples in sets)
    return Compared(tuple(sorted(groups)), counts, tuple(dict(each.failures) for each in sets))


def _drained(work: Comparing) -> Compared:
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: Compared = end.value
            return found


def hashes(block: SampleBlock) -> np.ndarray:
    """Return a 64-bit number for each sample, quickly: equal samples have equal ones.

    Unequal ones nearly always differ, but only `digests` proves it: the samples with the same
    number are candidates. It is the sum of the sample's 64-bit words, each times a fixed random
    number, modulo 2⁶⁴ (multilinear hashing: Lemire & Kaser 2014). Over images in memory that
    takes some 1.6 times as long as their sum; blake2b would take 25 times as long.

    Returns
    -------
    numpy.ndarray
        uint64 (R,).
    """
    words = _words(block.rows)
    if block.kind[2] == "8":
        words = words ^ (words >> np.uint64(29))  # few low bits: whole numbers in double precision
    start = int.from_bytes(_digest(block.kind.encode()), "little") % 2**64
    with np.errstate(over="ignore"):
        summed: np.ndarray = np.einsum("ij,j->i", words, _factors(words.shape[1]))
        return summed + np.uint64(start)


def digests(block: SampleBlock) -> list[bytes]:
    """Return the blake2b digest of each sample: of its data type, shape and bytes."""
    kind = block.kind.encode()
    return [_digest(kind, row) for row in block.rows]


def sample_digests(batch: Source) -> list[bytes]:
    """Return the digest of each sample of a tensor or array (N, ...); they are few enough."""
    pixels = as_array(batch)
    return [
        _digest(f"{pixels.dtype.str} {pixels.shape[1:]}".encode(), np.ascontiguousarray(sample))
        for sample in pixels
    ]


def _digest(kind: bytes, pixels: Any = b"") -> bytes:
    made = hashlib.blake2b(kind, digest_size=DIGEST_BYTES)
    made.update(pixels)
    return made.digest()


def _words(rows: np.ndarray) -> np.ndarray:
    """Return bytes (R, B) as uint64 (R, ⌈B / 8⌉), zeros behind."""
    odd = -rows.shape[1] % 8
    return (np.pad(rows, ((0, 0), (0, odd))) if odd else rows).view(np.uint64)


@lru_cache(maxsize=16)
def _factors(count: int) -> np.ndarray:
    """Return random odd numbers, always the same ones, so that hashes of two sets compare."""
    drawn = np.random.default_rng(_SEED).integers(0, 2**64, count, dtype=np.uint64)
    return drawn | np.uint64(1)
