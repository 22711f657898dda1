"""The bytes of a file, provided that it is a regular one of a sane size."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from convviz_widgets.errors import CheckpointError

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_regular(status: os.stat_result) -> None:
    """Raise CheckpointError unless the status is that of a regular file."""
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise CheckpointError(f"is {kind}, not a regular file")


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Return a regular file's bytes; symbolic links to one are followed.

    The bytes are copied, never mapped: a writer that saves in place would kill the process with
    SIGBUS.

    Raises
    ------
    CheckpointError
        For any other kind of file, and for one that is larger than ``max_bytes`` or that changes
        while it is read.
    OSError
        When the system refuses.
    """
    check_regular(path.stat())  # first, because opening a device can already do something
    # Without O_NONBLOCK a pipe that has taken the file's place meanwhile would hang for ever.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        before = os.fstat(file.fileno())
        check_regular(before)
        if before.st_size > max_bytes:
            raise CheckpointError(f"has {before.st_size:,} bytes; at most {max_bytes:,} are read")
        data = file.read(before.st_size)
        after = os.fstat(file.fileno())
    if len(data) != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
        raise CheckpointError("changed while it was read; a writer is still at it")
    return data
