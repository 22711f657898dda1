"""A directory of checkpoint files: what is there and in which order, from names and stat alone."""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, Protocol, runtime_checkable

from convviz_widgets.checkpoints.bounds import check_regular
from convviz_widgets.checkpoints.names import SUFFIXES, has_suffix, is_temporary, natural, step_of
from convviz_widgets.checkpoints.training_time import STEP, TrainingTime
from convviz_widgets.errors import CheckpointError, InputError, printable, strerror

_LISTED = 5  # names of what a directory holds instead


class CheckpointDirectory:
    """The checkpoint files of a directory that somebody may be writing into.

    Files that have not settled are left out; see `SettledFiles`.

    Parameters
    ----------
    path : the directory; a leading ``~`` is the user's home.
    pattern : glob below it (``"*-ema.pt"``, ``"checkpoint-*/model.safetensors"``). None: every
        .safetensors, .pt, .pth and .ckpt file in the directory itself.
    """

    def __init__(self, path: str | os.PathLike[str], pattern: str | None = None) -> None:
        self._path = absolute(path)
        self._pattern = _checked(pattern)
        self._settled = SettledFiles()
        self._last: tuple[list[CheckpointFile], Listing] = [], Listing(())

    def listing(self, *, wait: bool = False) -> Listing:
        """Return what there is now; with ``wait``, once what was just written has settled.

        Raises
        ------
        CheckpointError
            When there is no such directory, or no checkpoint in it.
        """
        files, problems = self._look()
        if wait and self._settled.waiting:
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
                    problems[name] = f"{name}: cannot be read: {strerror(error)}"
            else:
                stat = status.st_ino, status.st_mtime_ns, status.st_size
                found.append(CheckpointFile(name, path, *stat))
        return self._settled.among(found), problems

    def _candidates(self) -> Iterator[tuple[str, str]]:
        """Yield name and path of what may be a checkpoint, by its name."""
        try:
            os.scandir(self._path).close()  # a glob finds nothing where there is no directory
            pattern = self._pattern
            paths = map(str, self._path.glob(pattern)) if pattern else self._with_suffix()
            start = len(os.path.join(self._path, ""))
            for path in paths:
                if not is_temporary(path):
                    yield printable(path[start:]), path
        except OSError as error:
            reason = printable(strerror(error))
            raise CheckpointError(f"no checkpoints in {str(self._path)!r}: {reason}") from error

    def _with_suffix(self) -> Iterator[str]:
        with os.scandir(self._path) as entries:
            yield from (entry.path for entry in entries if has_suffix(entry.name))

    def _nothing(self, problems: dict[str, str]) -> str:
        looked_for = self._pattern or ", ".join(f"*{suffix}" for suffix in SUFFIXES)
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


def absolute(directory: Any) -> Path:
    """Return the directory's absolute path: the working directory may change.

    A leading ``~`` is the user's home. Raises InputError for what is neither str nor path.
    """
    if not isinstance(directory, str | os.PathLike):
        raise InputError(f"expected the path of a directory, got {type(directory).__name__}")
    return Path(os.path.expanduser(directory)).absolute()


class Item(Hashable, Protocol):
    """Something to load; equal to another one only when the same weights come of it."""

    @property
    def name(self) -> str:
        """How it is shown, on one line."""
        ...


@runtime_checkable
class StoredItem(Item, Protocol):
    """An item that is a file, beside which what is found out about it can be kept."""

    @property
    def path(self) -> str:
        """Where it is."""
        ...

    @property
    def identity(self) -> tuple[int | str, ...]:
        """What another file of this name would not share, wherever the folder is moved to."""
        ...


@dataclass(frozen=True)
class CheckpointFile:
    """One file as it was when the directory was listed.

    Parameters
    ----------
    name : path below the directory, fit to be shown.
    path : where it is.
    inode, changed, nbytes : from its stat; ``changed`` in nanoseconds.
    """

    name: str
    path: str
    inode: int
    changed: int
    nbytes: int

    @property
    def identity(self) -> tuple[int, int]:
        """Size and time; the inode is left out, which a copy does not keep."""
        return self.nbytes, self.changed

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Listing:
    """Items with their training steps, ascending; never changed, so that threads may share it.

    Parameters
    ----------
    items : pairs of step and item; the step is the number of ``unit``, or counted on from the last.
    problems : name to one line: what looks like a checkpoint but cannot be one.
    unit : what the steps count: "step", "epoch", or "checkpoint" where that is not known.
    known : what is known of when the items were saved; empty: each at its step.
    """

    items: tuple[tuple[int, Item], ...]
    problems: dict[str, str] = field(default_factory=dict)
    unit: str = STEP
    known: tuple[TrainingTime, ...] = ()

    @cached_property
    def times(self) -> tuple[TrainingTime, ...]:
        """What is known of when each item was saved."""
        return self.known or tuple(TrainingTime(step=step) for step, _ in self.items)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What each item is called: "step 450", "epoch 9", or the file's name."""
        pairs = zip(self.times, self.items, strict=True)
        return tuple(time.label(self.unit) or item.name for time, (_, item) in pairs)

    @cached_property
    def by_name(self) -> dict[str, Item]:
        """The items by their names."""
        return {item.name: item for _, item in self.items}

    def __contains__(self, item: Item) -> bool:
        return self.by_name.get(item.name) == item

    def changes(self, before: Listing) -> int:
        """Return how many items are new or others than before."""
        return sum(before.by_name.get(name) != item for name, item in self.by_name.items())


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
