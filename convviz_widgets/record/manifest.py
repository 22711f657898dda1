"""The manifest: what a recorder wrote, line by line, each line with its own checksum.

A line is a JSON object. Its last member, "check", holds the first 16 hexadecimal digits of the
sha256 of the bytes before it, so that a changed bit shows; "line" counts up, so that a missing line
does. A checkpoint is announced ("begin") before it is written, and listed ("written") with its
sha256 after: what was begun and never written is what a killed recorder left behind.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from convviz_widgets.checkpoints.bounds import check_regular
from convviz_widgets.errors import CheckpointError, RecordError, strerror
from convviz_widgets.record.appended_file import AppendedFile

try:
    import fcntl
except ImportError:  # Windows: a second recorder goes unnoticed there
    fcntl = None  # type: ignore[assignment]

FILE_NAME = "manifest.jsonl"

FOLDER = "checkpoints"
"""Where in a run's directory the manifest and the checkpoints are."""

_CHECK = b', "check": "'
_LONGEST = 4096
_NAME = re.compile(r"step-[0-9]{8,15}\.safetensors")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def checkpoint_name(step: int) -> str:
    """Return the file name of a step's checkpoint.

    >>> checkpoint_name(100)
    'step-00000100.safetensors'
    """
    return f"step-{step:08d}.safetensors"


@dataclass(frozen=True)
class ManifestEntry:
    """A checkpoint that is complete, as the manifest has it."""

    name: str
    step: int
    sha256: str


class Manifest:
    """What the lines of a manifest say, taken in one after another."""

    def __init__(self) -> None:
        self.written: dict[str, ManifestEntry] = {}
        """File name to checkpoint, for those that should be there."""
        self.leftovers: set[str] = set()
        """Files that may be there but should not: begun and not written, or removed."""
        self.problems: list[str] = []
        """One line each."""
        self.count = 0
        """Lines so far, damaged and missing ones included."""

    def add(self, line: bytes) -> None:
        """Take in a line, without its newline; a damaged one becomes a problem."""
        try:
            fields = _checked(line)
            number = fields["line"]
            if number > self.count:
                missing = number - self.count
                self.problems.append(f"{missing} lines are missing before line {number + 1}")
            self.count = max(number, self.count) + 1
            self._apply(fields)
        except (ValueError, KeyError, TypeError, RecursionError):
            self.count += 1
            self.problems.append(f"line {self.count} is damaged")

    def _apply(self, fields: Mapping[str, Any]) -> None:
        name = fields["file"]
        if not _NAME.fullmatch(name):
            raise ValueError(name)
        what = fields["what"]
        if what == "written":
            if not _DIGEST.fullmatch(fields["sha256"]):
                raise ValueError(fields["sha256"])
            self.written[name] = ManifestEntry(name, int(fields["step"]), fields["sha256"])
            self.leftovers.discard(name)
        elif what in ("begin", "removed"):
            self.written.pop(name, None)
            self.leftovers.add(name)
        else:
            raise ValueError(what)


def manifest_line(fields: Mapping[str, object]) -> bytes:
    """Return a line of the manifest with its checksum and newline."""
    body = json.dumps(dict(fields)).encode()[:-1]
    return body + _CHECK + _digest(body) + b'"}\n'


def _checked(line: bytes) -> dict[str, Any]:
    """Return a line's members; raise ValueError unless it is what was written."""
    body, _, end = line.rpartition(_CHECK)
    if len(line) > _LONGEST or end != _digest(body) + b'"}':
        raise ValueError("damaged")
    fields: dict[str, Any] = json.loads(body + b"}")
    return fields


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:16].encode()


def has_manifest(directory: Path) -> bool:
    """Tell whether a directory of checkpoints has a manifest."""
    return (directory / FILE_NAME).is_file()


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
            self._unreadable = f"cannot be read: {strerror(error)}"
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
    directory : the directory of checkpoints. A manifest there is continued; half a line at its end,
        of a writer that was killed, is cut off.

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
            size = content.rfind(b"\n") + 1
            self._file.truncate(size)
        except BaseException:
            self._file.close()
            raise
        self.manifest = Manifest()
        self._end = AppendedFile(self._file, size)
        for line in content[:size].split(b"\n")[:-1]:
            self.manifest.add(line)

    def add(self, **fields: object) -> None:
        """Append a line, and take it in.

        It is with the operating system then. The disk is not waited for: where a power cut takes
        the line and leaves the checkpoint, readers say of that one that they cannot tell.
        """
        line = manifest_line({"line": self.manifest.count, **fields})
        self._end.write(line)
        self.manifest.add(line[:-1])

    def close(self) -> None:
        """Unlock the folder, so that other recorders may write to it."""
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
