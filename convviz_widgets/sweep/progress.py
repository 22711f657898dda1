"""Saving and showing how far a sweep is."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from convviz_widgets.sweep.result import SweepResult

_SECONDS = 10.0
_SHARE = 0.05  # of the time, at most, goes into saving


class Saver:
    """Writes a result now and then, so that a sweep that is killed goes on from there.

    Parameters
    ----------
    path : None writes nothing.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._path = None if path is None else Path(path)
        self._saved = time.monotonic()
        self._pause = _SECONDS

    def now_and_then(self, result: SweepResult) -> None:
        """Write the result if it is time to."""
        if time.monotonic() - self._saved >= self._pause:
            self.now(result)

    def now(self, result: SweepResult) -> None:
        """Write the result."""
        if self._path is None:
            return
        begun = time.monotonic()
        result.save(self._path)
        self._saved = time.monotonic()
        self._pause = max(_SECONDS, (self._saved - begun) / _SHARE)


def bar(total: int, done: int, *, shown: bool) -> Any:
    """Return a progress bar in images, for the notebook or the terminal."""
    from tqdm.auto import tqdm  # which looks for a notebook when it is imported

    return tqdm(total=total, initial=done, unit="image", desc="sweep", disable=not shown)
