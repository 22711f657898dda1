"""A training run's checkpoints in the order of their steps."""

from __future__ import annotations

import itertools
import operator
import os
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from torch import Tensor

from convviz_widgets.checkpoints.directory import CheckpointDirectory, CheckpointFile, Listing
from convviz_widgets.checkpoints.reader import read_checkpoint
from convviz_widgets.checkpoints.state_dicts import find_state_dict
from convviz_widgets.errors import CheckpointError, InputError

_serial = itertools.count()


@dataclass(frozen=True)
class _Entry:
    step: int
    name: str
    key: Hashable
    load: Callable[[], dict[str, Tensor]]


@dataclass(frozen=True)
class _Entries:
    """All that one listing found; replaced as a whole, so that every thread sees one of them."""

    entries: tuple[_Entry, ...]
    problems: dict[str, str] = field(default_factory=dict)

    @cached_property
    def keys(self) -> dict[str, Hashable]:
        return {entry.name: entry.key for entry in self.entries}


class CheckpointSeries:
    """Checkpoints by index, ascending in training step, loaded one at a time and never kept.

    Made by `from_directory` or `from_state_dicts`. May be used from several threads: a listing is
    replaced as a whole, and nothing else is shared but the notes on files that failed.
    """

    def __init__(self, look: Callable[[], _Entries], first: _Entries) -> None:
        self._look = look
        self._found = first
        self._failures: dict[str, tuple[Hashable, str]] = {}

    @classmethod
    def from_directory(
        cls,
        path: str | os.PathLike[str],
        *,
        pattern: str | None = None,
        state_dict_key: str | None = None,
    ) -> CheckpointSeries:
        """Return the checkpoints of a directory; only names and stat are read now.

        The step is the last number in a name (see `step_of`), of two files of one step the newest
        counts, and names without a number come in natural order behind the others. Temporary names
        are skipped, and so are files that changed within the last 250 ms, until they settle; this
        waits for the latter once.

        Parameters
        ----------
        path
            The directory.
        pattern
            Glob below it, such as ``"*-ema.pt"`` or ``"checkpoint-*/model.safetensors"``. None: its
            .safetensors, .pt, .pth and .ckpt files.
        state_dict_key
            Where in each file the state dict is; see `find_state_dict`.

        Raises
        ------
        CheckpointError
            When there is no such directory, or no checkpoint in it.
        """
        directory = CheckpointDirectory(path, pattern)

        def entry(step: int, file: CheckpointFile) -> _Entry:
            def load() -> dict[str, Tensor]:
                return read_checkpoint(file.path, state_dict_key=state_dict_key)

            return _Entry(step, file.name, file, load)

        def entries(listing: Listing) -> _Entries:
            found = tuple(entry(step, file) for step, file in listing.files)
            return _Entries(found, listing.problems)

        return cls(lambda: entries(directory.listing()), entries(directory.listing(wait=True)))

    @classmethod
    def from_state_dicts(
        cls, state_dicts: Iterable[tuple[int, Mapping[str, Tensor]]]
    ) -> CheckpointSeries:
        """Return checkpoints that are in memory.

        The tensors are copied now: those of ``model.state_dict()`` go on changing with the model.

        Parameters
        ----------
        state_dicts
            Pairs of step and state dict, in any order; of one step the last counts.

        Raises
        ------
        InputError
            For anything but such pairs.
        CheckpointError
            For a state dict without tensors.
        """
        kept = {}
        for pair in state_dicts:
            step, tensors = _checked_pair(pair)
            kept[step] = _Entry(
                step=step,
                name=f"step {step}",
                key=("in memory", next(_serial)),
                load=lambda tensors=tensors: _copies(tensors),  # type: ignore[misc]
            )
        if not kept:
            raise CheckpointError("no state dicts: expected [(step, state_dict), ...]")
        entries = _Entries(tuple(kept[step] for step in sorted(kept)))
        return cls(lambda: entries, entries)

    def __len__(self) -> int:
        return len(self._found.entries)

    def __repr__(self) -> str:
        steps = self.steps
        return f"<CheckpointSeries of {len(steps)}: steps {steps[0]} to {steps[-1]}>"

    @property
    def steps(self) -> tuple[int, ...]:
        """Training steps, ascending, none twice."""
        return tuple(entry.step for entry in self._found.entries)

    @property
    def names(self) -> tuple[str, ...]:
        """File names in the order of the steps, fit to be shown on one line."""
        return tuple(entry.name for entry in self._found.entries)

    @property
    def problems(self) -> dict[str, str]:
        """File name to one line, for what cannot be read; filled as files are read.

        A file leaves it when it was rewritten or removed, or loads after all.
        """
        found = self._found
        failures = dict(self._failures).items()
        failed = {name: line for name, (key, line) in failures if found.keys.get(name) == key}
        return {**found.problems, **failed}

    def key(self, index: int) -> Hashable:
        """Return the identity of an entry: it goes with the entry when indices shift, and changes
        when the file is rewritten.
        """
        return self._entry(index).key

    def load(self, index: int) -> dict[str, Tensor]:
        """Return the tensors of an entry, on the CPU and the caller's to change.

        Raises
        ------
        CheckpointError
            When the file cannot be read, or there is no such entry.
        """
        entry = self._entry(index)
        try:
            tensors = entry.load()
        except CheckpointError as error:
            self._failures[entry.name] = entry.key, str(error)
            raise
        self._failures.pop(entry.name, None)
        return tensors

    def refresh(self) -> int:
        """List the directory again and return how many entries are new or rewritten.

        Raises
        ------
        CheckpointError
            When the directory is gone or empty; the series then stays as it was.
        """
        before = self._found.keys
        self._found = found = self._look()
        return sum(before.get(entry.name) != entry.key for entry in found.entries)

    def _entry(self, index: int) -> _Entry:
        entries = self._found.entries
        position = operator.index(index)
        if not -len(entries) <= position < len(entries):
            raise CheckpointError(f"no checkpoint {position}: there are 0 to {len(entries) - 1}")
        return entries[position]


def _checked_pair(pair: object) -> tuple[int, dict[str, Tensor]]:
    try:
        step, state_dict = cast("tuple[int, Mapping[str, Tensor]]", pair)
        step = operator.index(step)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"expected pairs (step, state_dict), got a {type(pair).__name__}"
        ) from error
    return step, _copies(find_state_dict(state_dict))


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
