"""Records of an event file, found in a part of its bytes.

A record is the length of its payload (8 bytes), the length's checksum (4), the payload, and its
checksum (4), little-endian. TensorBoard's reader stops for good at the first damaged one; this one
finds the next that is whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convviz_widgets.record.crc32c import masked_crc32c

HEADER = 12
FOOTER = 4
LARGEST = 2**31 - 1
"""Bytes of the largest payload: a protocol buffer cannot be larger."""
_WINDOW = 2**16


@dataclass(frozen=True)
class Records:
    """What a part of a file holds.

    Parameters
    ----------
    payloads
        Start and end of each whole record's payload within the part.
    damaged
        Start and end of what is neither a record nor the beginning of one.
    end
        Where the first incomplete record begins: reading goes on from there.
    needed
        How many bytes from ``end`` on hold that record, as far as is known.
    """

    payloads: list[tuple[int, int]]
    damaged: list[tuple[int, int]]
    end: int
    needed: int


def find_records(part: bytes) -> Records:
    """Return the records in ``part``, which starts where a record should."""
    data = np.frombuffer(part, np.uint8)
    starts: list[int] = []
    damaged: list[tuple[int, int]] = []
    position = 0
    while True:
        walked, position = _walk(part, position)
        sound = _leading_sound(data, walked)
        starts += walked[:sound]
        if sound < len(walked):
            position = walked[sound]
        elif position + HEADER > len(part) or _is_header(data, position):
            break  # the rest of this record is not there yet
        lost, position = position, _next_header(data, position + 1)
        damaged.append((lost, position))
    payloads, broken = _payloads(part, data, starts)
    needed = HEADER + FOOTER
    if position + HEADER <= len(part):
        needed += _length(part, position)
    return Records(payloads, sorted(damaged + broken), position, needed)


def _walk(part: bytes, position: int) -> tuple[list[int], int]:
    """Return where complete records begin, each length taken at its word, and where that ends."""
    starts = []
    while position + HEADER <= len(part):
        end = position + HEADER + _length(part, position) + FOOTER
        if end > len(part):
            break
        starts.append(position)
        position = end
    return starts, position


def _length(part: bytes, position: int) -> int:
    return int.from_bytes(part[position : position + 8], "little")


def _leading_sound(data: NDArray[np.uint8], starts: list[int]) -> int:
    """Return how many headers are right before the first that is not."""
    wrong = np.flatnonzero(~_sound(data, np.array(starts, np.int64), np.full(len(starts), 8)))
    return int(wrong[0]) if len(wrong) else len(starts)


def _is_header(data: NDArray[np.uint8], position: int) -> bool:
    sound = _sound(data, np.array([position]), np.array([8]))[0]
    return bool(sound) and _length(data[position : position + 8].tobytes(), 0) <= LARGEST


def _next_header(data: NDArray[np.uint8], position: int) -> int:
    """Return where the next header may begin: a whole one, or bytes too few to tell."""
    last = len(data) - HEADER
    while position <= last:
        candidates = np.arange(position, min(position + _WINDOW, last + 1))
        sound = _sound(data, candidates, np.full(len(candidates), 8))
        for index in np.flatnonzero(sound):
            if _is_header(data, int(candidates[index])):
                return int(candidates[index])
        position = int(candidates[-1]) + 1
    return min(position, len(data))


def _payloads(
    part: bytes, data: NDArray[np.uint8], starts: list[int]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the payloads that are what was written, and the records that are not."""
    begins = np.array(starts, np.int64) + HEADER
    lengths = np.array([_length(part, start) for start in starts], np.int64)
    sound = _sound(data, begins, lengths)
    ends = (begins + lengths).tolist()
    payloads = [
        (begin, end) for begin, end, kept in zip(begins.tolist(), ends, sound, strict=True) if kept
    ]
    broken = [(starts[i], ends[i] + FOOTER) for i in np.flatnonzero(~sound)]
    return payloads, broken


def _sound(
    data: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell for each stretch of bytes whether the four behind it are its checksum, bool (n,)."""
    stored = np.zeros(len(starts), np.uint32)
    for byte in range(4):
        stored |= data[starts + lengths + byte].astype(np.uint32) << np.uint32(8 * byte)
    return masked_crc32c(data, starts, lengths) == stored
