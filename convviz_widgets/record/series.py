"""One metric over training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Series:
    """A metric's points in the order of their steps; the arrays are read-only.

    Parameters
    ----------
    steps
        Training steps, int64 (n,), ascending, none twice.
    values
        float64 (n,); what a log holds as float32 is widened, NaN and infinities are kept.
    wall_times
        When each was recorded: seconds since 1970, float64 (n,).

    Examples
    --------
    >>> steps, losses, seconds = np.array([0, 100]), np.array([2.25, 0.5]), np.array([0.0, 60.0])
    >>> series = cvw.Series(steps, losses, seconds)
    >>> series
    <Series of 2 points: steps 0 to 100>
    >>> dict(zip(series.steps.tolist(), series.values.tolist()))
    {0: 2.25, 100: 0.5}
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    wall_times: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        if not len(self):
            return "<Series of 0 points>"
        return f"<Series of {len(self)} points: steps {self.steps[0]} to {self.steps[-1]}>"
