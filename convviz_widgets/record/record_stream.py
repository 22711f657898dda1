"""The records of a TensorBoard event file that is still being appended to, and their checksum."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from google_crc32c import value as crc32c

from convviz_widgets.checkpoints.bounds import check_regular
from convviz_widgets.errors import CheckpointError, strerror

_PART = 4 * 2**20
HEADER = 12
FOOTER = 4

LARGEST = 2**31 - 1
"""Bytes of the largest payload: a protocol buffer cannot be larger."""

_HIGH_BYTES_OF_LENGTH = 4, b"\0\0\0\0"
"""Where they stand in a header, and what they are, for no payload is larger than `LARGEST`."""


class RecordStream:
    """Reads records from where the last reading ended.

    A record that is not complete yet waits for the rest. What is damaged is passed over.

    Parameters
    ----------
    path : where the file is. It is only ever read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None
        self._unreadable = ""
        self._rewind()

    def _rewind(self) -> None:
        self._offset = 0
        self._damaged = 0
        self._first_damage = 0
        self._damage_end = -1

    @property
    def position(self) -> tuple[object, int]:
        """Which file was read, and how far."""
        return self._identity, self._offset

    @property
    def problem(self) -> str:
        """One line on what cannot be read, or nothing."""
        if self._unreadable or not self._damaged:
            return self._unreadable
        what = "damaged record" + ("s" if self._damaged > 1 else "")
        return f"{self._damaged} {what} skipped, the first at byte {self._first_damage:,}"

    def was_replaced(self) -> bool:
        """Tell whether this is another file than before, or shorter; it is then read from 0."""
        try:
            status = self._path.stat()
        except OSError:
            return False
        identity = status.st_dev, status.st_ino
        replaced = identity != (self._identity or identity) or status.st_size < self._offset
        if replaced:
            self._identity = None
            self._rewind()
        return replaced

    def parts(self) -> Iterator[list[bytes]]:
        """Yield payloads, a few megabytes of them at a time, up to the file's present end."""
        self._unreadable = ""
        try:
            check_regular(self._path.stat())  # first: opening a pipe would hang
            with self._path.open("rb") as file:
                yield from self._read(file)
        except (OSError, CheckpointError) as error:
            self._unreadable = f"cannot be read: {strerror(error)}"

    def _read(self, file: IO[bytes]) -> Iterator[list[bytes]]:
        status = os.fstat(file.fileno())
        check_regular(status)
        self._identity = status.st_dev, status.st_ino
        wanted = _PART
        while wanted and self._offset < status.st_size:
            file.seek(self._offset)
            part = file.read(min(wanted, status.st_size - self._offset))
            records = find_records(part)
            self._note(records.damaged)
            self._offset += records.end
            yield [part[start:end] for start, end in records.payloads]
            there = status.st_size - self._offset
            wanted = max(records.needed, _PART) if records.needed <= there else 0

    def _note(self, damaged: list[tuple[int, int]]) -> None:
        for start, end in damaged:
            if not self._damaged:
                self._first_damage = self._offset + start
            # Where no sound record follows, the same damage goes on in the next part.
            self._damaged += self._offset + start != self._damage_end
            self._damage_end = self._offset + end


@dataclass(frozen=True)
class Records:
    """What a part of a file holds.

    Parameters
    ----------
    payloads : start and end of each whole record's payload within the part.
    damaged : start and end of what is neither a record nor the beginning of one.
    end : where the first incomplete record begins: reading goes on from there.
    needed : how many bytes from ``end`` on hold that record, as far as is known.
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
