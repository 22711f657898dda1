"""One file of a series as it was when it was last seen, and whether it has settled since."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from convviz_widgets.checkpoints.bounds import check_regular
from convviz_widgets.checkpoints.shards import INDEX
from convviz_widgets.errors import CheckpointError


@dataclass(frozen=True)
class CheckpointFile:
    """One file as it was when the directory was listed.

    Parameters
    ----------
    name : path below the directory, fit to be shown.
    path : where it is.
    inode, changed, nbytes : from its stat; ``changed`` in nanoseconds. Of an index ``changed`` is
        the latest among it and its parts, ``nbytes`` their sum.
    """

    name: str
    path: str
    inode: int
    changed: int
    nbytes: int

    @classmethod
    def seen(cls, name: str, path: str, parts: Sequence[str] = ()) -> CheckpointFile:
        """Return the file as it is now, with the parts that belong to it.

        Raises
        ------
        CheckpointError
            For what is no regular file.
        OSError
            When the system refuses, or the file is gone.
        """
        every = [os.stat(each) for each in (path, *parts)]
        for status in every:
            check_regular(status)
        changed = max(status.st_mtime_ns for status in every)
        return cls(name, path, every[0].st_ino, changed, sum(status.st_size for status in every))

    @property
    def is_there(self) -> bool:
        """Whether the file is still the one that was seen; of an index, not whether its parts are.

        What somebody has rewritten has another stat.
        """
        try:
            now = CheckpointFile.seen(self.name, self.path)
        except (CheckpointError, OSError):
            return False
        return now.inode == self.inode if self.name.endswith(INDEX) else now == self

    @property
    def identity(self) -> tuple[int, int]:
        """Size and time; the inode is left out, which a copy does not keep."""
        return self.nbytes, self.changed

    def __str__(self) -> str:
        return self.name


SETTLING_SECONDS = 0.25
_NANOSECONDS = 1_000_000_000


class SettledFiles:
    """Tells which files have settled: their last change is 250 ms ago.

    The change is read off the time stamp, or, where that lies in the future, seen between two
    looks. While a known file is being rewritten, the one that was there before stands for it,
    so that it does not vanish for a moment.
    """

    def __init__(self) -> None:
        self._settled: dict[str, CheckpointFile] = {}
        self._waiting: dict[str, tuple[CheckpointFile, float]] = {}

    @property
    def waiting(self) -> bool:
        """Whether the last look kept files back."""
        return bool(self._waiting)

    def among(self, found: Iterable[CheckpointFile]) -> list[CheckpointFile]:
        """Return those of the files found now that can be read."""
        before, seen = self._settled, self._waiting
        now, clock = time.time_ns(), time.monotonic()
        settled: dict[str, CheckpointFile] = {}
        waiting: dict[str, tuple[CheckpointFile, float]] = {}
        for file in found:
            path = file.path
            old = now - file.changed >= SETTLING_SECONDS * _NANOSECONDS
            same, since = seen.get(path, (file, clock))
            unchanged = same == file and clock - since >= SETTLING_SECONDS
            if old or unchanged or before.get(path) == file:
                settled[path] = file
                continue
            waiting[path] = file, since if same == file else clock
            if path in before:
                settled[path] = before[path]
        self._settled, self._waiting = settled, waiting
        return list(settled.values())
