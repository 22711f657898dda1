"""A directory of checkpoint files: what is there and in which order, from names and stat alone."""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from convviz_widgets.checkpoints.candidates import (
    LOOKED_FOR,
    Candidate,
    matching,
    pattern_elsewhere,
    usual,
)
from convviz_widgets.checkpoints.checkpoint_file import (
    SETTLING_SECONDS,
    CheckpointFile,
    SettledFiles,
)
from convviz_widgets.checkpoints.given_steps import GivenSteps
from convviz_widgets.checkpoints.listing import Dated, Found, Listing
from convviz_widgets.checkpoints.name_times import times_in_names
from convviz_widgets.checkpoints.names import (
    has_doubtful_suffix,
    natural,
)
from convviz_widgets.checkpoints.ordering import in_order
from convviz_widgets.checkpoints.reader import begins_like_checkpoint
from convviz_widgets.errors import CheckpointError, InputError, printable, strerror

_LISTED = 5  # names of what a directory holds instead


class CheckpointDirectory:
    """The checkpoint files of a directory that somebody may be writing into.

    Files that have not settled are left out; see `SettledFiles`. Of files whose names end like
    those of other things, too (".bin", ".tar"), the first bytes are looked at; of the rest no byte.

    Parameters
    ----------
    path : the directory; a leading ``~`` is the user's home.
    pattern : glob below it (``"*-ema.pt"``, ``"*/weights.pt"``). None: the files of weights in the
        directory itself, and in its folders that are named by step or epoch: ``checkpoint-500/``.
    given : steps that go before what the names say.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        pattern: str | None = None,
        given: GivenSteps | None = None,
    ) -> None:
        self._path = absolute(path)
        self._pattern = _checked(pattern)
        self._given = given
        self._settled = SettledFiles()
        self._known: dict[CheckpointFile, bool] = {}
        self._last = Listing(())
        self._told: dict[str, str] = {}
        self._last_seen: tuple[list[CheckpointFile], dict[str, str]] = [], {}

    def listing(self, *, wait: bool = False) -> Listing:
        """Return what there is now; with ``wait``, once what was just written has settled.

        Raises
        ------
        CheckpointError
            When there is no such directory, or no checkpoint in it.
        InputError
            When the given steps do not fit the files, the first time.
        """
        files, problems = self._look()
        if wait and self._settled.waiting:
            time.sleep(SETTLING_SECONDS)
            files, problems = self._look()
        self._told = problems
        if not files:
            raise CheckpointError(self._nothing(problems))
        if (files, problems) != self._last_seen:
            self._last = in_order(self._dated(files, problems))
            self._last_seen = files, problems
        return self._last

    def first_listing(self) -> Listing:
        """Return what `listing` does, with ``wait``; the error says where else there are some.

        Files are looked for in the folders below then, which takes a while.
        """
        try:
            return self.listing(wait=True)
        except CheckpointError as error:
            is_all = self._path.is_dir() and not self._settled.waiting and not self._told
            pattern = pattern_elsewhere(self._path) if is_all else None
            if pattern in (None, self._pattern):
                raise
            raise CheckpointError(f"{error}; pattern={pattern!r} finds some") from error

    def _dated(self, files: list[CheckpointFile], problems: dict[str, str]) -> Found:
        times = times_in_names([file.name for file in files])
        pairs = zip(files, times, strict=True)
        dated = tuple(Dated(file, when, file.changed) for file, when in pairs)
        given = self._given
        return Found(dated, problems) if given is None else given.put_on(dated, problems)

    def _look(self) -> tuple[list[CheckpointFile], dict[str, str]]:
        found = []
        problems: dict[str, str] = {}
        for candidate in self._candidates(problems):
            name, path = candidate.name, candidate.path
            try:
                file = CheckpointFile.seen(name, path, candidate.parts)
            except CheckpointError as error:
                problems[name] = f"{name}: {error}"
            except OSError as error:
                if os.path.lexists(path):  # else it went between listing and stat
                    problems[name] = f"{name}: cannot be read: {strerror(error)}"
            else:
                found.append(file)
        settled = self._settled.among(found)
        return [file for file in settled if self._is_one(file)], problems

    def _candidates(self, problems: dict[str, str]) -> Iterator[Candidate]:
        try:
            os.scandir(self._path).close()  # a glob finds nothing where there is no directory
            pattern = self._pattern
            yield from (
                matching(self._path, pattern, problems) if pattern else usual(self._path, problems)
            )
        except OSError as error:
            reason = printable(strerror(error))
            raise CheckpointError(f"no checkpoints in {str(self._path)!r}: {reason}") from error

    def _is_one(self, file: CheckpointFile) -> bool:
        """Tell whether a file is a checkpoint, by its first bytes where its name leaves a doubt."""
        if self._pattern is not None or not has_doubtful_suffix(file.name):
            return True
        if file not in self._known:
            self._known[file] = begins_like_checkpoint(file.path)
        return self._known[file]

    def _nothing(self, problems: dict[str, str]) -> str:
        looked_for = self._pattern or LOOKED_FOR
        more = "; some are still being written" if self._settled.waiting else ""
        first = next(iter(problems.values()), None)
        more += f"; {first}" if first else f"; {self._inventory()}"
        return f"no checkpoints in {str(self._path)!r}: looked for {looked_for}{more}"

    def _inventory(self) -> str:
        """Return the first names of what the directory holds."""
        with os.scandir(self._path) as entries:
            names = [entry.name + "/" * entry.is_dir() for entry in entries]
        first = ", ".join(map(printable, heapq.nsmallest(_LISTED, names, key=natural)))
        more = f", ... ({len(names):,} in all)" if len(names) > _LISTED else ""
        return f"there is {first}{more}" if names else "it is empty"


def _checked(pattern: str | None) -> str | None:
    if pattern is not None:
        parts = PurePath(pattern).parts
        if not parts or ".." in parts or PurePath(pattern).is_absolute():
            raise InputError(f"pattern {pattern!r} must be a glob below the directory, like '*.pt'")
    return pattern


def absolute(directory: Any) -> Path:
    """Return the directory's absolute path: the working directory may change.

    A leading ``~`` is the user's home. Raises InputError for what is neither str nor path.
    """
    if not isinstance(directory, str | os.PathLike):
        raise InputError(f"expected the path of a directory, got {type(directory).__name__}")
    return Path(os.path.expanduser(directory)).absolute()
