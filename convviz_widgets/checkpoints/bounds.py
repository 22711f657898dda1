"""Bounds on a checkpoint file: a regular file, its size, no objects but tensors and plain data."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from convviz_widgets.errors import CheckpointError

ADVICE = (
    "only tensors and plain data are read: torch.save(model.state_dict(), path) writes such a file"
)

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class ReadLimits:
    """Upper bounds that hold before anything of that size is read or made.

    Parameters
    ----------
    file_bytes : size of the file; of all its tensors together too, counted by their shapes.
    header_bytes : header of a safetensors file. One of 93 MB was seen to cost 1.3 GB.
    pickle_bytes : each pickle of a PyTorch file, tensors' values apart.
    tensors : tensors, or storages, in one file.
    """

    file_bytes: int = 8 * 2**30
    header_bytes: int = 4 * 2**20
    pickle_bytes: int = 16 * 2**20
    tensors: int = 100_000


@dataclass(frozen=True)
class UnknownObject:
    """An object in a file, known by the name of what would make it: ``argparse.Namespace``."""

    name: str


class UnknownObjectError(CheckpointError):
    """A file that needs a Python object which is neither tensor nor plain data."""

    def __init__(self, name: str, entry: str = "") -> None:
        place = f" for its entry {entry[:80]!r}" if entry else ""
        self.name = name
        super().__init__(f"needs the Python object {name[:80]!r}{place}; {ADVICE}")


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
