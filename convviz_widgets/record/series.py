"""Series: one metric's points over training, merged from several event files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AXES = {"step": "step", "order": "order of writing", "wall-time": "seconds"}
"""What the points of a log can be put in order by, and how such an axis is labelled."""


@dataclass(frozen=True, eq=False)
class Series:
    """A metric's points in the order of their steps; the arrays are read-only.

    Parameters
    ----------
    steps : training steps, int64 (n,), ascending, none twice. On another axis than that of the
        steps the places there: numbers in the order of writing, int64, none twice; or seconds
        since the log's first point, float64.
    values : float64 (n,); what a log holds as float32 is widened, NaN and infinities are kept.
    wall_times : when each was recorded: seconds since 1970, float64 (n,).
    axis : what ``steps`` are, one of "step", "order" and "wall-time".

    Examples
    --------
    >>> steps, losses, seconds = np.array([0, 100]), np.array([2.25, 0.5]), np.array([0.0, 60.0])
    >>> series = cvw.Series(steps, losses, seconds)
    >>> series
    <Series of 2 points: steps 0 to 100>
    >>> dict(zip(series.steps.tolist(), series.values.tolist()))
    {0: 2.25, 100: 0.5}
    """

    steps: NDArray[np.int64] | NDArray[np.float64]
    values: NDArray[np.float64]
    wall_times: NDArray[np.float64]
    axis: str = "step"

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        if not len(self):
            return "<Series of 0 points>"
        unit = "steps" if self.axis == "step" else AXES[self.axis]
        first, last = (
            f"{end:g}" if self.axis == "wall-time" else end for end in self.steps[[0, -1]]
        )
        return f"<Series of {len(self)} points: {unit} {first} to {last}>"


class MetricPoints:
    """Points in the order in which they were written, in arrays that grow at their end.

    A `Series` made of them stays as it is: what it looks at is never written to again.
    """

    def __init__(self) -> None:
        self._steps: NDArray[np.int64] = np.empty(16, np.int64)
        self._numbers: NDArray[np.float64] = np.empty((2, 16), np.float64)  # values, wall times
        self._count = 0
        self.ascending = True
        """Whether every step is later than the one before."""

    def __len__(self) -> int:
        return self._count

    def extend(
        self, steps: Sequence[int], values: Sequence[float], wall_times: Sequence[float]
    ) -> None:
        """Add points behind those that are there."""
        start, end = self._count, self._count + len(steps)
        if end > len(self._steps):
            self._grow(max(end, 2 * len(self._steps)))
        self._steps[start:end] = steps
        self._numbers[0, start:end] = values
        self._numbers[1, start:end] = wall_times
        self._count = end
        seam = self._steps[max(start - 1, 0) : end]
        self.ascending = self.ascending and bool((seam[1:] > seam[:-1]).all())

    def drop_from(self, step: int) -> None:
        """Forget the points of ``step`` and later ones, wherever they stand."""
        kept = self._steps[: self._count] < step
        # New arrays: a series may be looking at the old ones.
        self._steps = self._steps[: self._count][kept]
        self._numbers = self._numbers[:, : self._count][:, kept]
        self._count = len(self._steps)
        self.ascending = bool((self._steps[1:] > self._steps[:-1]).all())

    def series(self) -> Series:
        """Return the points in the order of writing, without a copy."""
        parts = self._steps, self._numbers[0], self._numbers[1]
        steps, values, wall_times = (_frozen(part[: self._count]) for part in parts)
        return Series(steps, values, wall_times)

    def _grow(self, room: int) -> None:
        steps, numbers = np.empty(room, np.int64), np.empty((2, room), np.float64)
        steps[: self._count] = self._steps[: self._count]
        numbers[:, : self._count] = self._numbers[:, : self._count]
        self._steps, self._numbers = steps, numbers


def _frozen(array: NDArray) -> NDArray:
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class WrittenPoints:
    """All points of one metric that no writer has declared void, in the order of writing.

    Parameters
    ----------
    points : steps in any order.
    files : int64 (n,), ascending: the number of the event file that each point is from.
    ascending : whether every step is later than the one before.
    """

    points: Series
    files: NDArray[np.int64]
    ascending: bool

    def series(self) -> Series:
        """Return each step once, ascending.

        A point is void when one of the same or an earlier step was written after it, as
        TensorBoard's data server has it.
        """
        return self.points if self.ascending else only(self.points, counting(self.points.steps))


def written_points(parts: Iterable[tuple[MetricPoints | None, int | None]]) -> WrittenPoints:
    """Return one metric's points from several event files.

    Parameters
    ----------
    parts : in the order of writing, for each file: its points, if it has any, and the step from
        which on it declares earlier files void, if it does.
    """
    kept: list[Series] = []
    simple = True
    for points, void_from in parts:
        if void_from is not None:
            kept = [only(series, series.steps < void_from) for series in kept]
        simple = simple and (points is None or points.ascending)
        kept.append(MetricPoints().series() if points is None else points.series())
    found = [series for series in kept if len(series)]
    files = np.repeat(np.arange(len(kept)), [len(series) for series in kept])
    return WrittenPoints(_joined(found), files, simple and len(found) <= 1)


def _joined(parts: list[Series]) -> Series:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return MetricPoints().series()
    return Series(
        np.concatenate([part.steps for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.wall_times for part in parts]),
    )


def counting(steps: np.ndarray) -> NDArray[np.bool_]:
    """Tell which of some points count: those behind which no step comes that is not later."""
    earliest_behind = np.minimum.accumulate(steps[::-1])[::-1]
    kept = np.ones(len(steps), bool)
    kept[:-1] = steps[:-1] < earliest_behind[1:]
    return kept


def only(series: Series, kept: np.ndarray) -> Series:
    """Return those points of a series that are to be kept, in arrays of their own."""
    arrays = series.steps[kept], series.values[kept], series.wall_times[kept]
    for array in arrays:
        array.flags.writeable = False
    return Series(*arrays)
