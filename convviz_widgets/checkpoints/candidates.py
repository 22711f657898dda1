"""Which files of a folder may be checkpoints, by their names, and where else there are some."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from convviz_widgets.checkpoints.name_times import time_in_name
from convviz_widgets.checkpoints.names import (
    DOUBTFUL_SUFFIXES,
    SUFFIXES,
    has_doubtful_suffix,
    has_suffix,
    is_beside_weights,
    is_temporary,
    natural,
)
from convviz_widgets.checkpoints.reader import begins_like_checkpoint
from convviz_widgets.checkpoints.shards import INDEX, ShardName, parts_of
from convviz_widgets.errors import printable

LOOKED_FOR = ", ".join(
    f"*{suffix}" for suffix in (*SUFFIXES, *DOUBTFUL_SUFFIXES) if suffix.count(".") == 1
)
_WEIGHTS = (
    "model.safetensors",
    f"model.safetensors{INDEX}",
    "pytorch_model.bin",
    f"pytorch_model.bin{INDEX}",
    "diffusion_pytorch_model.safetensors",
    "mp_rank_00_model_states.pt",
)
"""What a folder of one checkpoint holds, in the names of Hugging Face, then DeepSpeed."""
_LOOKED_AT = 1_000  # files in folders below, for a hint
_DEEPEST = 4


@dataclass(frozen=True)
class Candidate:
    """A file that may be a checkpoint.

    Parameters
    ----------
    name : path below the directory, fit to be shown.
    path : where it is.
    parts : paths of what belongs to it, where it is an index.
    """

    name: str
    path: str
    parts: tuple[str, ...] = ()


def usual(directory: Path, problems: dict[str, str]) -> Iterator[Candidate]:
    """Yield the files of weights in a directory, and those of its folders ``checkpoint-500/``.

    Optimizers, schedulers and generators are passed over; parts with an index are one checkpoint.

    Parameters
    ----------
    problems : gets a line for parts without an index, and for a folder with a choice.
    """
    folder = _Folder(directory)
    with os.scandir(directory) as entries:
        names = {entry.name: entry.is_dir() for entry in entries}
    yield from folder.candidates(filter(_may_be_weights, names), problems)
    for name, is_folder in names.items():
        if is_folder and _holds_one_checkpoint(name):
            yield from folder.below(name).only_candidate(problems)


def matching(directory: Path, pattern: str, problems: dict[str, str]) -> Iterator[Candidate]:
    """Yield what a glob finds; of a folder that it finds, the weights inside."""
    by_folder: dict[str, list[str]] = defaultdict(list)
    for path in directory.glob(pattern):
        by_folder[str(path.parent)].append(path.name)
    seen: set[str] = set()
    for parent, names in by_folder.items():
        folder = _Folder(directory, os.path.relpath(parent, directory))
        wanted = [name for name in names if not is_beside_weights(name)] or names
        for candidate in folder.candidates(wanted, problems):
            inside = list(folder.inside(candidate))
            for found in inside or [candidate]:
                if found.path not in seen:
                    seen.add(found.path)
                    yield found


class _Folder:
    """A folder in or below the directory.

    Parameters
    ----------
    directory : the directory.
    place : where the folder is in it.
    """

    def __init__(self, directory: Path, place: str = ".") -> None:
        self._directory = directory
        self._place = "" if place == "." else f"{place}/"
        self._path = os.path.join(directory, place) if self._place else str(directory)

    def below(self, name: str) -> _Folder:
        """Return a folder in this one."""
        return _Folder(self._directory, f"{self._place}{name}")

    def candidates(self, names: Iterable[str], problems: dict[str, str]) -> Iterator[Candidate]:
        """Yield what may be a checkpoint among some of the names here, each set of parts once."""
        indices: dict[str, ShardName] = {}
        for name in names:
            part = ShardName.of(name)
            if part is not None:
                indices.setdefault(part.index, part)
            elif not is_temporary(name) and not name.endswith(INDEX):
                yield self._candidate(name)
            elif name.endswith(INDEX):
                indices.setdefault(name, ShardName(name, 0))
        beside = os.listdir(self._path) if indices else []
        for index, part in indices.items():
            parts = parts_of(index, beside)
            if index in beside:
                yield self._candidate(index, parts)
            elif part.count == 1:  # then it is all of it
                yield from map(self._candidate, parts)
            else:
                first = printable(f"{self._place}{parts[0]}") if parts else index
                problems[first] = (
                    f"{first}: one of {part.count:,} parts; their index {index!r} is missing"
                )

    def only_candidate(self, problems: dict[str, str]) -> Iterator[Candidate]:
        """Yield the weights of a folder that holds one checkpoint."""
        names = list(filter(_may_be_weights, os.listdir(self._path)))
        usual_ones = [name for name in _WEIGHTS if name in names]
        found = list(self.candidates(usual_ones[:1] or names, problems))
        if len(found) == 1:
            yield found[0]
        elif found:
            shown = printable(self._place)
            problems[shown] = (
                f"{shown}: holds {len(found):,} files of weights; pattern= picks one, such as "
                f"'*/{min(names, key=natural)}'"
            )

    def inside(self, candidate: Candidate) -> Iterator[Candidate]:
        """Yield the weights in a candidate that is a folder."""
        if os.path.isdir(candidate.path):
            yield from self.below(os.path.basename(candidate.path)).only_candidate({})

    def _candidate(self, name: str, parts: Iterable[str] = ()) -> Candidate:
        paths = tuple(os.path.join(self._path, part) for part in parts)
        shown = printable(f"{self._place}{name}")
        return Candidate(shown, os.path.join(self._path, name), paths)


@lru_cache(maxsize=2**15)  # a live run lists the same thousands of names every second
def _may_be_weights(name: str) -> bool:
    ends_so = has_suffix(name) or has_doubtful_suffix(name) or name.endswith(INDEX)
    return ends_so and not is_temporary(name) and not is_beside_weights(name)


def _holds_one_checkpoint(folder: str) -> bool:
    """Tell whether a folder is named like that of one checkpoint: "checkpoint-500", "step_3"."""
    if is_temporary(folder) or has_suffix(folder):
        return False
    time = time_in_name(f"{folder}/model.bin")
    is_numbered = time.number is not None and folder.lower().startswith(("checkpoint", "ckpt"))
    return time.step is not None or time.epoch is not None or is_numbered


def pattern_elsewhere(directory: Path) -> str | None:
    """Return a pattern that finds checkpoints in folders below, or by another ending."""
    found = sorted(_elsewhere(directory), key=lambda path: natural(str(path)))
    if not found:
        return None
    first = found[0]
    if len(first.parts) == 1:
        return f"*{first.suffix}" if first.suffix else first.name
    namesakes = [path for path in found if path.name == first.name]
    if len(namesakes) > 1 and len({len(path.parts) for path in namesakes}) == 1:
        return "/".join(["*"] * (len(first.parts) - 1) + [first.name])
    return f"{first.parent.as_posix()}/*{first.suffix}"


def _elsewhere(directory: Path) -> Iterator[Path]:
    """Yield where files lie that begin like checkpoints, below the directory."""
    left = _LOOKED_AT
    for folder, folders, names in os.walk(directory):
        place = Path(folder).relative_to(directory)
        folders[:] = [] if len(place.parts) >= _DEEPEST else sorted(folders, key=natural)
        for name in sorted(names, key=natural):
            left -= 1
            if left < 0:
                return
            path = os.path.join(folder, name)
            is_one = not is_temporary(name) and not is_beside_weights(name)
            if is_one and begins_like_checkpoint(path):
                yield place / name
