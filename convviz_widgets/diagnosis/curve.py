"""Curve: a number over the steps of a run, as the rules take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Curve:
    """One metric of a run, by its name there."""

    name: str
    steps: NDArray[np.int64]
    """(n,), ascending."""
    values: NDArray[np.float64]
    """(n,); may hold NaN and infinities."""

    @classmethod
    def of_updates(cls, name: str, steps: NDArray[np.int64], ratios: Sequence[float]) -> Curve:
        """Return ‖ΔW‖/‖W‖ between checkpoints, each divided by the steps between the two.

        Parameters
        ----------
        steps
            Of the checkpoints, (n + 1,).
        ratios
            From each checkpoint but the last to the next, (n,).
        """
        return cls(name, steps[1:], np.asarray(ratios, np.float64) / np.diff(steps))

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def finite(self) -> Curve:
        """The curve without the points that are NaN or infinite."""
        known = np.isfinite(self.values)
        return Curve(self.name, self.steps[known], self.values[known])

    def means_until(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean of the finite points since the step before, up to each of ``steps``.

        Where a metric is recorded at these very steps, that is its value there; where it is
        recorded at each training step and ``steps`` are those of evaluations, its mean over the
        interval before each. NaN where there is none.
        """
        known = self.finite
        ends = np.searchsorted(known.steps, steps, side="right")
        starts = np.concatenate([[0], ends[:-1]])
        sums = np.concatenate([[0.0], np.cumsum(known.values)])
        counts = ends - starts
        total = sums[ends] - sums[starts]
        return np.divide(total, counts, out=np.full(len(steps), np.nan), where=counts > 0)
