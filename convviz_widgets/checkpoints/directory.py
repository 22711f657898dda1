"""A directory of checkpoint files: what is there and in which order, from names and stat alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from convviz_widgets.checkpoints.names import (
    SUFFIXES,
    has_suffix,
    is_temporary,
    natural,
    on_one_line,
    step_of,
)
from convviz_widgets.checkpoints.regular_file import check_regular
from convviz_widgets.errors import CheckpointError, InputError

SETTLING_SECONDS = 0.25


@dataclass(frozen=True)
class CheckpointFile:
    """One file as it was when the directory was listed.

    Parameters
    ----------
    name
        Path below the directory, fit to be shown.
    path
        Where it is.
    inode, changed, nbytes
        From its stat; ``changed`` in nanoseconds.
    """

    name: str
    path: str
    inode: int
    changed: int
    nbytes: int


@dataclass(frozen=True)
class Listing:
    """Files by training step, ascending, and what looks like a checkpoint but is no file."""

    files: tuple[tuple[int, CheckpointFile], ...]
    problems: dict[str, str]


class CheckpointDirectory:
    """The checkpoint files of a directory that somebody may be writing into.

    A file that changed within the last 250 ms, by its time stamp or as seen between two listings,
    is left out until it has settled; where it takes the place of a known file, that one stays.

    Parameters
    ----------
    path
        The directory.
    pattern
        Glob below it (``"*-ema.pt"``, ``"checkpoint-*/model.safetensors"``). None: every
        .safetensors, .pt, .pth and .ckpt file in the directory itself.
    """

    def __init__(self, path: str | os.PathLike[str], pattern: str | None = None) -> None:
        self._path = Path(path)
        self._pattern = pattern
        self._settled: dict[str, CheckpointFile] = {}
        self._watched: dict[str, tuple[CheckpointFile, float]] = {}
        if pattern is not None and (not pattern or PurePath(pattern).is_absolute()):
            raise InputError(f"pattern {pattern!r} must be a glob below the directory, like '*.pt'")

    def listing(self, *, wait: bool = False) -> Listing:
        """Return what there is now; with ``wait``, once what was just written has settled.

        Raises
        ------
        CheckpointError
            When there is no such directory, or no checkpoint in it.
        """
        files, problems = self._look()
        if wait and self._watched:
            time.sleep(SETTLING_SECONDS)
            files, problems = self._look()
        if not files:
            raise CheckpointError(self._nothing(problems))
        return Listing(tuple(in_order(files)), problems)

    def _look(self) -> tuple[list[CheckpointFile], dict[str, str]]:
        found, problems = [], {}
        for path in self._candidates():
            name = on_one_line(os.path.relpath(path, self._path))
            try:
                status = os.stat(path)
                check_regular(status)
            except CheckpointError as error:
                problems[name] = f"{name}: {error}"
            except OSError as error:
                if os.path.islink(path):  # else it went between listing and stat
                    problems[name] = f"{name}: is a broken link: {error.strerror}"
            else:
                stat = status.st_ino, status.st_mtime_ns, status.st_size
                found.append(CheckpointFile(name, path, *stat))
        return self._only_settled(found), problems

    def _candidates(self) -> Iterator[str]:
        try:
            if self._pattern is None:
                names = (entry.path for entry in os.scandir(self._path) if has_suffix(entry.name))
            else:
                names = (str(path) for path in self._path.glob(self._pattern))
                os.scandir(self._path).close()  # glob finds nothing where there is no directory
            yield from (name for name in names if not is_temporary(name))
        except OSError as error:
            raise CheckpointError(
                f"cannot list checkpoints in {str(self._path)!r}: {error.strerror}"
            ) from error

    def _only_settled(self, found: Iterable[CheckpointFile]) -> list[CheckpointFile]:
        now, clock = time.time_ns(), time.monotonic()
        settled, watched = {}, {}
        for file in found:
            if now - file.changed < SETTLING_SECONDS * 1e9:  # written just now, or in the future
                seen, since = self._watched.get(file.path, (file, clock))
                if seen != file:
                    since = clock
                if clock - since < SETTLING_SECONDS and self._settled.get(file.path) != file:
                    watched[file.path] = file, since
                    if file.path in self._settled:
                        settled[file.path] = self._settled[file.path]
                    continue
            settled[file.path] = file
        self._settled, self._watched = settled, watched
        return list(settled.values())

    def _nothing(self, problems: dict[str, str]) -> str:
        looked_for = self._pattern or ", ".join(f"*{suffix}" for suffix in SUFFIXES)
        more = "; some are still being written" if self._watched else ""
        first = next(iter(problems.values()), None)
        more += f"; {first}" if first else ""
        return f"no checkpoints in {str(self._path)!r}: looked for {looked_for}{more}"


def in_order(files: Iterable[CheckpointFile]) -> list[tuple[int, CheckpointFile]]:
    """Return files with their training steps, ascending.

    Of several files of one step the newest stays. Files without a number in their name follow in
    natural order, their steps counted on from the last one, or from 0.
    """
    by_step: dict[int, CheckpointFile] = {}
    unnumbered = []
    for file in files:
        step = step_of(file.name)
        if step is None:
            unnumbered.append(file)
        elif step not in by_step or _age(by_step[step]) < _age(file):
            by_step[step] = file
    first = max(by_step, default=-1) + 1
    unnumbered.sort(key=lambda file: natural(file.name))
    return [*sorted(by_step.items()), *enumerate(unnumbered, first)]


def _age(file: CheckpointFile) -> tuple[int, object]:
    return file.changed, natural(file.name)
