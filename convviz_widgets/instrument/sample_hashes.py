"""Sample hashes: numbers by which equal samples are found, and digests that prove them equal."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np

from convviz_widgets.instrument.samples import Block, Source, as_array

DIGEST_BYTES = 16
"""128 bits: among a billion samples the chance of one false pair is 1 in 10²⁰."""

_SEED = 0x5A3D


def hashes(block: Block) -> np.ndarray:
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


def digests(block: Block) -> list[bytes]:
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
