"""A directory of checkpoint files: what is there and in which order, from names and stat alone."""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from convviz_widgets.checkpoints.directory_path import absolute
from convviz_widgets.checkpoints.listing import CheckpointFile, Listing
from convviz_widgets.checkpoints.names import (
    SUFFIXES,
    has_suffix,
    is_temporary,
    natural,
    on_one_line,
    step_of,
)
from convviz_widgets.checkpoints.regular_file import check_regular
from convviz_widgets.checkpoints.settling import SETTLING_SECONDS, Settling
from convviz_widgets.errors import CheckpointError, InputError

_LISTED = 5  # names of what a directory holds instead


class CheckpointDirectory:
    """The checkpoint files of a directory that somebody may be writing into.

    Files that have not settled are left out; see `Settling`.

    Parameters
    ----------
    path
        The directory; a leading ``~`` is the user's home.
    pattern
        Glob below it (``"*-ema.pt"``, ``"checkpoint-*/model.safetensors"``). None: every
        .safetensors, .pt, .pth and .ckpt file in the directory itself.
    """

    def __init__(self, path: str | os.PathLike[str], pattern: str | None = None) -> None:
        self._path = absolute(path)
        self._pattern = _checked(pattern)
        self._settling = Settling()
        self._last: tuple[list[CheckpointFile], Listing] = [], Listing(())

    def listing(self, *, wait: bool = False) -> Listing:
        """Return what there is now; with ``wait``, once what was just written has settled.

        Raises
        ------
        CheckpointError
            When there is no such directory, or no checkpoint in it.
        """
        files, problems = self._look()
        if wait and self._settling.waiting:
            time.sleep(SETTLING_SECONDS)
            files, problems = self._look()
        if not files:
            raise CheckpointError(self._nothing(problems))
        problems |= outdated(files)
        before, listing = self._last
        if files != before or problems != listing.problems:
            listing = Listing(in_order(files), problems)
            self._last = files, listing
        return listing

    def _look(self) -> tuple[list[CheckpointFile], dict[str, str]]:
        found, problems = [], {}
        for name, path in self._candidates():
            try:
                status = os.stat(path)
                check_regular(status)
            except CheckpointError as error:
                problems[name] = f"{name}: {error}"
            except OSError as error:
                if os.path.lexists(path):  # else it went between listing and stat
                    problems[name] = f"{name}: cannot be read: {error.strerror}"
            else:
                stat = status.st_ino, status.st_mtime_ns, status.st_size
                found.append(CheckpointFile(name, path, *stat))
        return self._settling.settled(found), problems

    def _candidates(self) -> Iterator[tuple[str, str]]:
        """Yield name and path of what may be a checkpoint, by its name."""
        try:
            os.scandir(self._path).close()  # a glob finds nothing where there is no directory
            pattern = self._pattern
            paths = map(str, self._path.glob(pattern)) if pattern else self._with_suffix()
            start = len(os.path.join(self._path, ""))
            for path in paths:
                if not is_temporary(path):
                    yield on_one_line(path[start:]), path
        except OSError as error:
            reason = on_one_line(error.strerror or type(error).__name__)
            raise CheckpointError(f"no checkpoints in {str(self._path)!r}: {reason}") from error

    def _with_suffix(self) -> Iterator[str]:
        with os.scandir(self._path) as entries:
            yield from (entry.path for entry in entries if has_suffix(entry.name))

    def _nothing(self, problems: dict[str, str]) -> str:
        looked_for = self._pattern or ", ".join(f"*{suffix}" for suffix in SUFFIXES)
        more = "; some are still being written" if self._settling.waiting else ""
        first = next(iter(problems.values()), None)
        more += f"; {first}" if first else f"; {self._inventory()}"
        return f"no checkpoints in {str(self._path)!r}: looked for {looked_for}{more}"

    def _inventory(self) -> str:
        """Return the first names of what the directory holds."""
        with os.scandir(self._path) as entries:
            names = [entry.name + "/" * entry.is_dir() for entry in entries]
        first = ", ".join(map(on_one_line, heapq.nsmallest(_LISTED, names, key=natural)))
        more = f", ... ({len(names):,} in all)" if len(names) > _LISTED else ""
        return f"there is {first}{more}" if names else "it is empty"


def _checked(pattern: str | None) -> str | None:
    if pattern is not None:
        parts = PurePath(pattern).parts
        if not parts or ".." in parts or PurePath(pattern).is_absolute():
            raise InputError(f"pattern {pattern!r} must be a glob below the directory, like '*.pt'")
    return pattern


def in_order(
    files: Iterable[CheckpointFile], *, behind: int = -1
) -> tuple[tuple[int, CheckpointFile], ...]:
    """Return files with their training steps, ascending.

    Of several files of one step the newest stays. Files without a number in their name follow in
    natural order, their steps counted on from the last one, or from the step ``behind``.
    """
    files = list(files)
    by_step = _newest(files)
    unnumbered = [file for file in files if step_of(file.name) is None]
    first = max([behind, *by_step]) + 1
    unnumbered.sort(key=lambda file: natural(file.name))
    return (*sorted(by_step.items()), *enumerate(unnumbered, first))


def outdated(files: Iterable[CheckpointFile]) -> dict[str, str]:
    """Return one line for each file that `in_order` leaves out for a newer one of its step."""
    files = list(files)
    by_step = _newest(files)
    lines = {}
    for file in files:
        step = step_of(file.name)
        if step is not None and by_step[step] is not file:
            newer = by_step[step].name
            lines[file.name] = (
                f"{file.name}: left out, {newer} has step {step:,} too and is newer; "
                "pattern= picks files"
            )
    return lines


def _newest(files: Iterable[CheckpointFile]) -> dict[int, CheckpointFile]:
    by_step: dict[int, CheckpointFile] = {}
    for file in files:
        step = step_of(file.name)
        if step is not None and (step not in by_step or _age(by_step[step]) < _age(file)):
            by_step[step] = file
    return by_step


def _age(file: CheckpointFile) -> tuple[int, object]:
    return file.changed, natural(file.name)
