"""A metric's points as they come out of one event file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convviz_widgets.record.series import Series


class Points:
    """Points in the order in which they were written, in arrays that grow at their end.

    A `Series` made of them stays as it is: what it looks at is never written to again.
    """

    def __init__(self) -> None:
        self._steps: NDArray[np.int64] = np.empty(16, np.int64)
        self._numbers: NDArray[np.float64] = np.empty((2, 16), np.float64)  # values, wall times
        self._count = 0
        self._ascending = True

    def __len__(self) -> int:
        return self._count

    @property
    def ascending(self) -> bool:
        """Whether every step is later than the one before."""
        return self._ascending

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
        self._ascending = self._ascending and bool((seam[1:] > seam[:-1]).all())

    def drop_from(self, step: int) -> None:
        """Forget the points of ``step`` and later ones, wherever they stand."""
        kept = self._steps[: self._count] < step
        # New arrays: a series may be looking at the old ones.
        self._steps = self._steps[: self._count][kept]
        self._numbers = self._numbers[:, : self._count][:, kept]
        self._count = len(self._steps)
        self._ascending = bool((self._steps[1:] > self._steps[:-1]).all())

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
