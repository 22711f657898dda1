"""Files that somebody may still be writing: how they look until they can be read."""

from __future__ import annotations

import time
from collections.abc import Iterable

from convviz_widgets.checkpoints.listing import CheckpointFile

SETTLING_SECONDS = 0.25
_NANOSECONDS = 1_000_000_000


class Settling:
    """Keeps files back for 250 ms after their last change.

    By their time stamp, or as seen between two looks where the stamp is no help because it lies in
    the future. While a known file is being rewritten, the one that was there before stands for it,
    so that it does not vanish for a moment.
    """

    def __init__(self) -> None:
        self._settled: dict[str, CheckpointFile] = {}
        self._waiting: dict[str, tuple[CheckpointFile, float]] = {}

    @property
    def waiting(self) -> bool:
        """Whether the last look kept files back."""
        return bool(self._waiting)

    def settled(self, found: Iterable[CheckpointFile]) -> list[CheckpointFile]:
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
