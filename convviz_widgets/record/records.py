"""Records of an event file, found in a part of its bytes.

A record is the length of its payload (8 bytes), the length's checksum (4), the payload, and its
checksum (4), little-endian. TensorBoard's reader stops for good at the first damaged one; this one
finds the next that is whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from google_crc32c import value as crc32c

HEADER = 12
FOOTER = 4
LARGEST = 2**31 - 1
"""Bytes of the largest payload: a protocol buffer cannot be larger."""
_HIGH_BYTES_OF_LENGTH = 4, b"\0\0\0\0"
"""Where they stand in a header, and what they are, for no payload is larger than `LARGEST`."""


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
    payloads: list[tuple[int, int]] = []
    damaged: list[tuple[int, int]] = []
    position = 0
    while (start := position + HEADER) <= len(part):
        length = _length(part[position:start])
        if length is None:
            lost, position = position, _next_header(part, position + 1)
            damaged.append((lost, position))
            continue
        end = start + length
        behind = end + FOOTER
        if behind > len(part):
            return Records(payloads, damaged, position, needed=behind - position)
        if masked_crc32c(part[start:end]) == part[end:behind]:
            payloads.append((start, end))
        else:
            damaged.append((position, behind))
        position = behind
    return Records(payloads, damaged, position, needed=HEADER + FOOTER)


def _next_header(part: bytes, position: int) -> int:
    """Return where the next header may begin: a whole one, or bytes too few to tell."""
    offset, zeros = _HIGH_BYTES_OF_LENGTH
    last = len(part) - HEADER
    while 0 <= (found := part.find(zeros, position + offset)) <= last + offset:
        position = found - offset
        if _length(part[position : position + HEADER]) is not None:
            return position
        position += 1
    return last + 1


@lru_cache(4096)  # the records of a log have few different lengths
def _length(header: bytes) -> int | None:
    """Return how long a record's payload is; None for what is no header."""
    length = int.from_bytes(header[:8], "little")
    sound = length <= LARGEST and masked_crc32c(header[:8]) == header[8:]
    return length if sound else None


def masked_crc32c(data: bytes) -> bytes:
    """Return the checksum as the format stores it: CRC-32C, rotated, plus a constant."""
    crc = crc32c(data)
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")
