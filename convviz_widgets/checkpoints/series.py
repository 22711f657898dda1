"""CheckpointSeries: a training run's checkpoints in the order of their steps."""

from __future__ import annotations

import itertools
import operator
import os
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from convviz_widgets.checkpoints.checkpoint_file import CheckpointFile
from convviz_widgets.checkpoints.directory import CheckpointDirectory
from convviz_widgets.checkpoints.given_steps import GivenSteps
from convviz_widgets.checkpoints.listing import Item, Listed, Listing
from convviz_widgets.checkpoints.ordering import corrected
from convviz_widgets.checkpoints.reader import Contents, read_contents
from convviz_widgets.checkpoints.state_dicts import find_state_dict
from convviz_widgets.checkpoints.steps import Steps
from convviz_widgets.checkpoints.training_time import TrainingTime
from convviz_widgets.errors import CheckpointError, InputError, at_least_or_none

_serial = itertools.count()


@dataclass(frozen=True)
class _InMemory:
    name: str
    serial: int

    def __str__(self) -> str:
        return self.name


class CheckpointSeries(Listed):
    """Checkpoints by index, ascending in training step, loaded one at a time and never kept.

    Made by `from_directory` or `from_state_dicts`. What `steps` counts stands in `unit`: steps,
    epochs, or numbers of which nobody has said what they count; `labels` are what to show. May be
    used from several threads: a listing is replaced as a whole, by one `refresh` at a time, and
    nothing else is shared but the notes on what was read, and on files that failed.

    Examples
    --------
    >>> weights = nn.Linear(2, 1).state_dict()
    >>> series = cvw.CheckpointSeries.from_state_dicts([(100, weights), (0, weights)])
    >>> series.steps, series.labels
    ((0, 100), ('step 0', 'step 100'))
    >>> list(series.load(1))
    ['weight', 'bias']
    """

    def __init__(
        self,
        look: Callable[[], Listing],
        read: Callable[[Any], Contents],
        first: Listing,
        *,
        steps_per_epoch: int | None = None,
    ) -> None:
        super().__init__(first)
        self._look = look
        self._read = read
        self._looked = first
        self._inside: dict[Item, TrainingTime] = {}
        self._is_in_order = True
        self._steps_per_epoch = steps_per_epoch
        self._refreshing = threading.Lock()  # else the slower of two puts its older listing back
        self._replacing = threading.Lock()  # held for no file: a load need not wait for a look
        self._failures: dict[str, tuple[Item, str]] = {}

    @classmethod
    def from_directory(
        cls,
        path: str | os.PathLike[str],
        *,
        pattern: str | None = None,
        state_dict_key: str | None = None,
        steps: Sequence[int] | Mapping[str, int] | Callable[[Path], int | None] | None = None,
        steps_per_epoch: int | None = None,
    ) -> CheckpointSeries:
        """Return the checkpoints of a directory; only names and stat are read now.

        The name says when a file was saved (see `time_in_name`): a step, an epoch, both, or a
        number of which it does not say what it counts. `steps` has the numbers of the unit that
        tells most files apart. Of two files with one number the newest counts, and the other is
        told of in `problems`; names without a number ("best.pt") come in natural order behind the
        others, their steps counted on from the last. What a file itself says (``global_step``,
        ``epoch``) corrects its name once it was loaded: then indices may shift, keys stay.
        Temporary names, optimizers and schedulers are skipped, and so are files that changed
        within the last 250 ms, until they settle; this waits for the latter once. Parts with an
        index are one checkpoint, and so is a folder like ``checkpoint-500/``.

        Parameters
        ----------
        path : the directory; a leading ``~`` is the user's home.
        pattern : glob below it, such as ``"*-ema.pt"`` or ``"*/weights.pt"``. None: the files
            of weights in it (.safetensors, .pt, .pth, .ckpt; .tar, .bin, .pkl and .chkpt, if they
            begin like one), and those in its folders that are named by step or epoch.
        state_dict_key : where in each file the state dict is; see `find_state_dict`.
        steps : training steps, before whatever the names and the files say: a list in natural order
            of the file names, file name to step, or a callable that is given the file's
            `pathlib.Path`. A file that comes later and has no step keeps what its name says.
        steps_per_epoch : training steps of one epoch, where the names count epochs.

        Raises
        ------
        CheckpointError
            When there is no such directory, or no checkpoint in it.
        InputError
            When the steps are not whole numbers from 0 on, not one for each file, or one twice.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as directory:
        ...     for name in ("epoch_1.pt", "epoch_2.pt", "best.pt"):
        ...         torch.save(nn.Linear(2, 1).state_dict(), f"{directory}/{name}")
        ...     series = cvw.CheckpointSeries.from_directory(directory)
        ...     with_steps = cvw.CheckpointSeries.from_directory(directory, steps=[90, 40, 80])
        >>> series.steps, series.unit, series.labels
        ((1, 2, 3), 'epoch', ('epoch 1', 'epoch 2', 'best.pt'))
        >>> with_steps.steps, with_steps.names[-1]
        ((40, 80, 90), 'best.pt')
        """
        given = None if steps is None else GivenSteps(steps)
        in_epoch = at_least_or_none(1, "steps_per_epoch", steps_per_epoch)
        directory = CheckpointDirectory(path, pattern, given)

        def read(file: CheckpointFile) -> Contents:
            return read_contents(file.path, state_dict_key=state_dict_key)

        first = directory.first_listing()
        return cls(directory.listing, read, first, steps_per_epoch=in_epoch)

    @classmethod
    def from_state_dicts(
        cls, state_dicts: Iterable[tuple[int, Mapping[str, Tensor]]]
    ) -> CheckpointSeries:
        """Return checkpoints that are in memory.

        The tensors are copied now: those of ``model.state_dict()`` go on changing with the model.

        Parameters
        ----------
        state_dicts : pairs of step and state dict, in any order; of one step the last counts.

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
            kept[step] = _InMemory(f"step {step}", next(_serial)), tensors
        if not kept:
            raise CheckpointError("no state dicts: expected [(step, state_dict), ...]")
        listing = Listing(tuple((step, kept[step][0]) for step in sorted(kept)))
        weights = dict(kept.values())
        return cls(lambda: listing, lambda item: Contents(_copies(weights[item])), listing)

    @property
    def listing(self) -> Listing:
        """All entries at one moment: what is read off it belongs together.

        They are put in order again once for all files that were read since.
        """
        with self._replacing:
            if not self._is_in_order:
                self._listing = corrected(self._looked, self._inside)
                self._is_in_order = True
            return self._listing

    def __repr__(self) -> str:
        steps = self.steps
        what = {"step": "steps", "epoch": "epochs"}.get(self.unit, "numbers")
        dated = zip(steps, steps.times, strict=True)
        counted = [number for number, time in dated if time.value(self.unit) == number]
        named = steps.labels[len(counted) :]  # they come last
        span = [f"{what} {counted[0]} to {counted[-1]}"] if counted else []
        names = list(named) if len(named) < 4 else [f"{named[0]} to {named[-1]}"]
        words = f": {', '.join(span + names)}" if steps else ""
        return f"<CheckpointSeries of {len(steps)}{words}>"

    @property
    def steps(self) -> Steps:
        """Numbers of `unit`, ascending, none twice: a tuple of int that knows what they count.

        Entries without such a number come last, counted on; `labels` has their names.
        """
        return self.listing.steps.with_length(self._steps_per_epoch)

    @property
    def steps_per_epoch(self) -> int | None:
        """Training steps of one epoch, if `from_directory` was told."""
        return self._steps_per_epoch

    @property
    def problems(self) -> dict[str, str]:
        """File name to one line, for what is not shown; filled as files are read.

        A file leaves it when it was rewritten or removed, or loads after all.
        """
        listed, failures = self.listing, dict(self._failures)
        failed = {name: line for name, (item, line) in failures.items() if item in listed}
        return {**listed.problems, **failed}

    def key(self, index: int) -> Hashable:
        """Return the identity of an entry's weights.

        It stays with the entry when indices shift, and changes when the file is rewritten.
        """
        return self._item(index)

    def load(self, index: int) -> dict[str, Tensor]:
        """Return the tensors of an entry, on the CPU and the caller's to change.

        What the file says of when it was saved is taken up: see `times`. Where it contradicts the
        file's name, indices may shift; `load_key` loads what was meant all the same.

        Raises
        ------
        CheckpointError
            When the file cannot be read, or there is no such entry.
        """
        return self._loaded(self._item(index))

    def load_key(self, key: Hashable) -> dict[str, Tensor]:
        """Return the tensors of the entry with a key, wherever it is now.

        Raises
        ------
        CheckpointError
            When the file cannot be read, or has been replaced or removed.
        """
        item = self._looked.found_by_name.get(getattr(key, "name", ""))
        if item is None or item != key:
            raise CheckpointError(_is_gone(key))
        return self._loaded(item, as_listed=True)

    def refresh(self) -> int:
        """List the directory again and return how many entries are new or rewritten.

        Raises
        ------
        CheckpointError
            When the directory is gone or empty; the series then stays as it was.
        """
        with self._refreshing:
            before, now = self._looked, self._look()
            with self._replacing:
                self._is_in_order = False
                here = set(now.found_by_name.values())
                self._inside = {i: time for i, time in self._inside.items() if i in here}
                self._looked = now
        return now.changes(before) if now is not before else 0

    def _loaded(self, item: Item, *, as_listed: bool = False) -> dict[str, Tensor]:
        try:
            contents = self._read(item)
        except CheckpointError as error:
            self._failures[item.name] = item, str(error)
            raise
        self._failures.pop(item.name, None)
        if not isinstance(item, CheckpointFile) or item.is_there:
            self._take_up(item, contents.time)
        elif as_listed:  # these are other weights than those of the key
            raise CheckpointError(_is_gone(item))
        return contents.tensors

    def _take_up(self, item: Item, time: TrainingTime) -> None:
        with self._replacing:
            if self._inside.get(item, TrainingTime()) != time:
                self._inside = {**self._inside, item: time}
                self._is_in_order = False

    def _item(self, index: int) -> Item:
        items = self.listing.items
        position = operator.index(index)
        if not -len(items) <= position < len(items):
            known = f"are 0 to {len(items) - 1}" if items else "is none"
            raise CheckpointError(f"no checkpoint {position}: there {known}")
        return items[position][1]


def _is_gone(key: object) -> str:
    return f"the checkpoint {key} has been replaced or removed; refresh the state"


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
