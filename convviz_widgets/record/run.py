"""Run: a training run as it is on disk, growing or finished."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.checkpoints.directory import absolute
from convviz_widgets.errors import CheckpointError, InputError, number_of
from convviz_widgets.record.event_files import EventTree
from convviz_widgets.record.outputs import OutputReader, Outputs
from convviz_widgets.record.pairing import Pair, paired
from convviz_widgets.record.run_checkpoints import RunCheckpoints
from convviz_widgets.record.series import Series


class Run:
    """Metrics and checkpoints of a directory that a recorder, or anything else, writes to.

    Reads what `Recorder` leaves, any TensorBoard log directory with the runs nested in it, and any
    directory of checkpoint files. Nothing is ever written there. Opening reads all event files
    once; `refresh` reads only what is new, and is for one thread at a time. What other threads
    hold meanwhile, ``metrics`` and each series in it, never changes.

    Parameters
    ----------
    directory : the run's directory; a leading ``~`` is the user's home. It may be empty still.
    checkpoints : the checkpoints, where they are somewhere else or their names need a pattern.

    Raises
    ------
    InputError
        When there is no such directory.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as directory:
    ...     with cvw.Recorder(nn.Linear(2, 1), directory) as recorder:
    ...         recorder.step(**{"loss/train": 0.5})
    ...     run = cvw.Run(directory)
    >>> run.metrics["loss/train"]
    <Series of 1 points: steps 1 to 1>
    >>> run.checkpoints.steps
    (0, 1)
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        checkpoints: CheckpointSeries | None = None,
    ) -> None:
        self._directory = absolute(directory)
        if not self._directory.is_dir():
            raise InputError(f"no run in {str(self._directory)!r}: there is no such directory")
        self._events = EventTree(self._directory)
        self._places = RunCheckpoints(self._directory)
        self._checkpoints = self._places.series() if checkpoints is None else checkpoints
        self._given = checkpoints is not None
        self._outputs = OutputReader(self._directory)
        self._metrics: dict[str, Series] = {}
        self._read_events()
        self._outputs.refresh()

    @property
    def directory(self) -> Path:
        """Where the run is."""
        return self._directory

    @property
    def checkpoints(self) -> CheckpointSeries:
        """The run's checkpoints; of length 0 as long as there are none."""
        return self._checkpoints

    @property
    def metrics(self) -> dict[str, Series]:
        """Name to series, as of the last `refresh`; nested runs have their path in front."""
        return dict(self._metrics)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The metrics of training and validation data that belong together; see `paired`."""
        return paired(self._metrics)

    @property
    def outputs(self) -> Outputs:
        """Step to the output (N, ...) for the watched images, as of the last `refresh`.

        Empty unless `Recorder.watch` was called; then there are more steps than checkpoints where
        the recorder keeps few of those.
        """
        return self._outputs.outputs

    @property
    def problems(self) -> dict[str, str]:
        """File name to one line, for what cannot be read; of checkpoints as they are read."""
        checkpoints, outputs = self._checkpoints.problems, self._outputs.problems
        return {**self._events.problems, **checkpoints, **outputs}

    @property
    def integrity(self) -> str:
        """One line on whether a changed bit in a checkpoint would be noticed."""
        if self._given:
            return "checkpoints from elsewhere: cannot tell whether they were changed"
        if not len(self._checkpoints):
            return "no checkpoints yet"
        if self._places.has_manifest:
            return "each checkpoint is checked against its sha256 when it is read"
        return "no manifest: cannot tell whether the checkpoints are what was written"

    def refresh(self) -> int:
        """Read what is new; return how many points, outputs and checkpoints that was."""
        added = self._read_events() + self._outputs.refresh()
        with suppress(CheckpointError):  # the directory is gone; the series stays as it was
            added += self._checkpoints.refresh()
        return added

    def verify(self) -> dict[str, str]:
        """Read everything again from the disk, every checkpoint too, and return all problems.

        Each event record has a checksum, and each file in a manifest its sha256: a changed bit
        shows. Without a manifest it does not, and `integrity` says so.
        """
        fresh = Run(self._directory, checkpoints=self._checkpoints if self._given else None)
        for key in fresh.checkpoints.keys:
            with suppress(CheckpointError):  # the series notes it
                fresh.checkpoints.load_key(key)
        return {**fresh.problems, **fresh._outputs.damages()}

    def __repr__(self) -> str:
        metrics = number_of(len(self._metrics), "metric")
        checkpoints = number_of(len(self._checkpoints), "checkpoint")
        return f"<Run in {str(self._directory)!r}: {metrics}, {checkpoints}>"

    def _read_events(self) -> int:
        added = self._events.refresh()
        self._metrics = self._events.series
        return added
