"""The manifest's file: read while it grows, or written by the one recorder of a folder."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import IO

from convviz_widgets.checkpoints.regular_file import check_regular
from convviz_widgets.errors import CheckpointError
from convviz_widgets.record.manifest import FILE_NAME, Manifest, manifest_line
from convviz_widgets.record.record_error import RecordError

try:
    import fcntl
except ImportError:  # Windows: a second recorder goes unnoticed there
    fcntl = None  # type: ignore[assignment]


class ManifestReader:
    """Follows the manifest of a directory of checkpoints; only what is new is read."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._begin()

    def _begin(self) -> None:
        self.manifest = Manifest()
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._tail = ""
        self._unreadable = ""

    @property
    def problems(self) -> list[str]:
        """One line each, for what cannot be read."""
        return [*self.manifest.problems, *filter(None, (self._tail, self._unreadable))]

    def refresh(self) -> bool:
        """Read what is new; return whether there was anything."""
        try:
            check_regular(self._path.stat())
            with self._path.open("rb") as file:
                return self._read(file)
        except (OSError, CheckpointError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self._unreadable = f"cannot be read: {reason}"
            return False

    def _read(self, file: IO[bytes]) -> bool:
        status = os.fstat(file.fileno())
        identity = status.st_dev, status.st_ino
        if status.st_size < self._offset or identity != (self._identity or identity):
            self._begin()
        self._identity, self._unreadable = identity, ""
        file.seek(self._offset)
        *lines, tail = file.read().split(b"\n")
        for line in lines:
            self.manifest.add(line)
        # A line is written at once: more behind its last brace is no line that is being written.
        self._tail = "the last line is damaged" if tail.partition(b'"}')[2] else ""
        self._offset += sum(len(line) + 1 for line in lines)
        return bool(lines)


class ManifestWriter:
    """Appends to the manifest of a directory, and keeps other recorders out while it is open.

    Parameters
    ----------
    directory
        The directory of checkpoints. A manifest there is continued; half a line at its end, of a
        writer that was killed, is cut off.

    Raises
    ------
    RecordError
        When another recorder has it open.
    OSError
        When it cannot be read or written.
    """

    def __init__(self, directory: Path) -> None:
        self._file = (directory / FILE_NAME).open("a+b", buffering=0)
        try:
            _lock(self._file)
            self._file.seek(0)
            content = self._file.read()
            self._size = content.rfind(b"\n") + 1
            self._file.truncate(self._size)
        except BaseException:
            self._file.close()
            raise
        self.manifest = Manifest()
        for line in content[: self._size].split(b"\n")[:-1]:
            self.manifest.add(line)

    def add(self, **fields: object) -> None:
        """Append a line, and take it in.

        It is with the operating system then. The disk is not waited for: where a power cut takes
        the line and leaves the checkpoint, readers say of that one that they cannot tell.
        """
        line = manifest_line({"line": self.manifest.count, **fields})
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) :]
        except BaseException:  # an interrupted write too
            self._file.truncate(self._size)
            raise
        self._size += len(line)
        self.manifest.add(line[:-1])

    def close(self) -> None:
        """Let other recorders in."""
        if not self._file.closed:
            _unlock(self._file)
            self._file.close()


def _lock(file: IO[bytes]) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RecordError("another recorder is writing there") from None
    except OSError:
        pass  # a file system without locks, as some mounted ones are: recording goes on


def _unlock(file: IO[bytes]) -> None:
    """Give the lock back; data loaders' forked workers have the file open too, and keep it so."""
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)
