"""A training run's checkpoints in the order of their steps."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from convviz_widgets.checkpoints.names import SUFFIXES, is_temporary, natural, step_of
from convviz_widgets.checkpoints.reader import read_checkpoint
from convviz_widgets.checkpoints.state_dicts import find_state_dict
from convviz_widgets.errors import CheckpointError

_serial = itertools.count()


@dataclass(frozen=True)
class _Entry:
    step: int
    name: str
    key: Hashable
    load: Callable[[], dict[str, Tensor]]


class CheckpointSeries:
    """Checkpoints by index, ascending in step; made by one of the two class methods."""

    def __init__(self, entries: Callable[[], tuple[_Entry, ...]]) -> None:
        self._list = entries
        self._entries = entries()
        self._problems: dict[str, str] = {}

    @classmethod
    def from_directory(
        cls,
        path: str | os.PathLike[str],
        *,
        pattern: str | None = None,
        state_dict_key: str | None = None,
    ) -> CheckpointSeries:
        """Return the checkpoints of a directory; only names and sizes are read."""
        folder = Path(path)

        def entries() -> tuple[_Entry, ...]:
            found = []
            for file in folder.glob(pattern or "*"):
                if is_temporary(file.name) or (not pattern and file.suffix not in SUFFIXES):
                    continue
                status = file.stat()
                if stat.S_ISREG(status.st_mode):
                    found.append((file, status))
            found.sort(key=lambda item: (item[1].st_mtime_ns, natural(item[0].name)))
            numbered = {step_of(f.name): (f, s) for f, s in found if step_of(f.name) is not None}
            if not numbered:
                found.sort(key=lambda item: natural(item[0].name))
                numbered = dict(enumerate(found))
            return tuple(
                _Entry(
                    step=step or 0,
                    name=file.name,
                    key=(str(file), status.st_ino, status.st_mtime_ns, status.st_size),
                    load=lambda file=file: read_checkpoint(  # type: ignore[misc]
                        file, state_dict_key=state_dict_key
                    ),
                )
                for step, (file, status) in sorted(numbered.items(), key=lambda item: item[0] or 0)
            )

        series = cls(entries)
        if not len(series):
            looked_for = pattern or ", ".join(f"*{suffix}" for suffix in SUFFIXES)
            raise CheckpointError(f"no checkpoints in {str(folder)!r}; looked for {looked_for}")
        return series

    @classmethod
    def from_state_dicts(
        cls, state_dicts: Iterable[tuple[int, Mapping[str, Tensor]]]
    ) -> CheckpointSeries:
        """Return checkpoints that are in memory; the tensors are copied now."""
        kept = {step: _copied(find_state_dict(state_dict)) for step, state_dict in state_dicts}
        entries = tuple(
            _Entry(
                step=step,
                name=f"step {step}",
                key=("memory", next(_serial)),
                load=lambda tensors=tensors: _copied(tensors),  # type: ignore[misc]
            )
            for step, tensors in sorted(kept.items())
        )
        if not entries:
            raise CheckpointError("no state dicts given; expected [(step, state_dict), ...]")
        return cls(lambda: entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def steps(self) -> tuple[int, ...]:
        """Training steps, ascending."""
        return tuple(entry.step for entry in self._entries)

    @property
    def names(self) -> tuple[str, ...]:
        """File names, in the order of the steps."""
        return tuple(entry.name for entry in self._entries)

    @property
    def problems(self) -> dict[str, str]:
        """File name to one line, for the files that could not be read."""
        return dict(self._problems)

    def key(self, index: int) -> Hashable:
        """Return the identity of an entry: changes when its file is rewritten."""
        return self._entries[index].key

    def load(self, index: int) -> dict[str, Tensor]:
        """Return the tensors of an entry, by name."""
        entry = self._entries[index]
        try:
            return entry.load()
        except CheckpointError as error:
            self._problems[entry.name] = str(error)
            raise

    def refresh(self) -> int:
        """List the files again; return how many entries appeared, changed or went."""
        before = {entry.key for entry in self._entries}
        self._entries = self._list()
        return len(before ^ {entry.key for entry in self._entries})


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
