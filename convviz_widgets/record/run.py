"""Run: a training run as it is on disk, growing or finished."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.checkpoints.directory import absolute
from convviz_widgets.errors import CheckpointError, InputError, number_of, unknown
from convviz_widgets.record.event_files import EventTree
from convviz_widgets.record.outputs import OutputReader, Outputs
from convviz_widgets.record.pairing import Pair, paired
from convviz_widgets.record.run_checkpoints import RunCheckpoints
from convviz_widgets.record.series import AXES, Series


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
    axis : what the points of a metric are put in order by: "step"; "order", all in the order of
        writing, counted from 0, those of one moment with one number; or "wall-time", all in seconds
        since the first. Steps that begin again in every epoch, or are missing, have no place for
        all points: `problems` says of which metrics, and the other two keep them.

    Raises
    ------
    InputError
        When there is no such directory, or no such axis.

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
        axis: Literal["step", "order", "wall-time"] = "step",
    ) -> None:
        self._directory = absolute(directory)
        if axis not in AXES:
            raise InputError(unknown("axis", axis, AXES, "a run has"))
        self._axis: Literal["step", "order", "wall-time"] = axis
        if not self._directory.is_dir():
            raise InputError(f"no run in {str(self._directory)!r}: there is no such directory")
        self._events = EventTree(self._directory, axis)
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
    def axis(self) -> str:
        """What the points of a metric are put in order by: "step", "order" or "wall-time"."""
        return self._axis

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
        """File name to one line, for what cannot be read; of checkpoints as they are read.

        Name of a metric to one line, for points of the log that are not among its `metrics`.
        """
        checkpoints, outputs = self._checkpoints.problems, self._outputs.problems
        return {**self._events.problems, **checkpoints, **outputs}

    @property
    def left_out(self) -> dict[str, str]:
        """Name of a metric to one line, for points of the log that are not among its `metrics`."""
        return dict(self._events.left_out)

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
        given = self._checkpoints if self._given else None
        fresh = Run(self._directory, checkpoints=given, axis=self._axis)
        for key in fresh.checkpoints.keys:
            with suppress(CheckpointError):  # the series notes it
                fresh.checkpoints.load_key(key)
        return {**fresh.problems, **fresh._outputs.damages()}

    def __repr__(self) -> str:
        metrics = number_of(len(self._metrics), "metric")
        checkpoints = number_of(len(self._checkpoints), "checkpoint")
        wrong = f"; {number_of(len(problems), 'problem')}" if (problems := self.problems) else ""
        first = f", the first: {next(iter(problems.values()))}" if problems else ""
        return f"<Run in {str(self._directory)!r}: {metrics}, {checkpoints}{wrong}{first}>"

    def _read_events(self) -> int:
        added = self._events.refresh()
        self._metrics = self._events.series
        return added
