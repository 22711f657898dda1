"""The records of a file that is being appended to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from convviz_widgets.checkpoints.regular_file import check_regular
from convviz_widgets.errors import CheckpointError
from convviz_widgets.record.records import find_records

_PART = 4 * 2**20


class RecordStream:
    """Reads records from where the last reading ended.

    A record that is not complete yet waits for the rest. What is damaged is passed over.

    Parameters
    ----------
    path
        Where the file is. It is only ever read.
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
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self._unreadable = f"cannot be read: {reason}"

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
