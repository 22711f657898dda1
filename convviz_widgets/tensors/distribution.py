"""Distribution: exact counts of values in bins that fit together over batches and checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convviz_widgets.errors import InputError
from convviz_widgets.tensors.binning import bin_of, binned, finest_exponent
from convviz_widgets.tensors.display import Numbers, as_real
from convviz_widgets.tensors.moments import Moments, moments

SIGMAS = (0.5, 1.0, 1.5)

PERCENTILES = (0.0, 6.68, 15.87, 30.85, 50.0, 69.15, 84.13, 93.32, 100.0)
"""TensorBoard's levels: minimum, median, maximum, and ± `SIGMAS` of a Normal."""


@dataclass(frozen=True, eq=False)
class Distribution:
    """Counts of values in bins whose width is a power of two, and whose edges are multiples of it.

    Two distributions therefore add up without an error, whatever their ranges: the finer bins are
    merged pairwise. Every value is counted in the bin that it truly lies in.
    """

    exponent: int
    """The bins are ``2**exponent`` wide; bin k holds the values in [k, k + 1) times that."""
    first: int
    """Number k of the first bin."""
    counts: np.ndarray
    """Values in each bin, exact zeros left out: whole numbers (B,), B <= `BINS`."""
    zeros: int
    """Number of exact zeros; they lie at the lower edge of bin 0."""
    nan: int
    positive_inf: int
    negative_inf: int
    low: float
    """Smallest finite value; NaN for none."""
    high: float
    """Largest finite value; NaN for none."""
    moments: Moments
    """Of the finite values, zeros included."""

    @property
    def n(self) -> int:
        """Number of all values."""
        return self.finite + self.non_finite

    @property
    def finite(self) -> int:
        """Number of finite values."""
        return self.moments.n

    @property
    def non_finite(self) -> int:
        """Number of NaN and infinite values."""
        return self.nan + self.positive_inf + self.negative_inf

    @property
    def width(self) -> float:
        """Width of a bin: no percentile is off by more."""
        return math.ldexp(1.0, self.exponent)

    @property
    def edges(self) -> np.ndarray:
        """Edges of the bins, exact: float64 (B + 1,)."""
        return np.ldexp(
            np.arange(self.first, self.first + len(self.counts) + 1, dtype=np.float64),
            self.exponent,
        )

    def percentiles(self, levels: Sequence[float] = PERCENTILES) -> np.ndarray:
        """Return the values below which these percentages of the finite values lie.

        Each is off by less than `width` from the value of that rank (`numpy.quantile` with the
        method "inverted_cdf"); 0 and 100 and exact zeros are exact. NaN where nothing is finite.
        """
        if not self.finite:
            return np.full(len(levels), np.nan)
        counts, edges = self.counts, self.edges
        if self.zeros:  # a bin of no width, at the edge of the one that is counted from zero
            counts = np.insert(counts.astype(np.int64), -self.first, self.zeros)
            edges = np.insert(edges, -self.first, 0.0)
        running = np.cumsum(counts, dtype=np.int64)
        ranks = np.clip(np.ceil(np.asarray(levels) / 100 * self.finite), 1, self.finite)
        bins = np.searchsorted(running, ranks)
        inside = (ranks - running[bins] - 0.5) / counts[bins] + 1
        values = edges[bins] + inside * (edges[bins + 1] - edges[bins])
        values[ranks == 1], values[ranks == self.finite] = self.low, self.high
        return np.clip(values, self.low, self.high)

    def counted(self, edges: np.ndarray) -> np.ndarray:
        """Return how many values, zeros left out, lie between these edges: float64 (len - 1,).

        Exact where every edge is one of a bin; a bin that an edge cuts is shared out evenly.
        """
        running = np.concatenate([[0], np.cumsum(self.counts, dtype=np.int64)]).astype(np.float64)
        return np.diff(np.interp(edges, self.edges, running))

    def __add__(self, other: Distribution) -> Distribution:
        if not self.finite or not other.finite:
            bins = other if other.finite else self
            exponent, first, counts = bins.exponent, bins.first, bins.counts
        else:
            low, high = min(self.low, other.low), max(self.high, other.high)
            exponent = max(self.exponent, other.exponent, finest_exponent(low, high))
            first = bin_of(low, exponent)
            counts = np.zeros(bin_of(high, exponent) - first + 1, np.int64)
            for part in (self, other):
                np.add.at(counts, part._numbers(exponent) - first, part.counts)
        return Distribution(
            exponent,
            first,
            counts,
            self.zeros + other.zeros,
            self.nan + other.nan,
            self.positive_inf + other.positive_inf,
            self.negative_inf + other.negative_inf,
            float(np.fmin(self.low, other.low)),
            float(np.fmax(self.high, other.high)),
            self.moments + other.moments,
        )

    def _numbers(self, exponent: int) -> np.ndarray:
        """Return the number of the wider bin that each bin lies in: int64 (B,)."""
        numbers = self.first + np.arange(len(self.counts), dtype=np.int64)
        return numbers >> min(63, exponent - self.exponent)


def distribution(values: Numbers) -> Distribution:
    """Count values of any shape in at most 4,096 bins, in one pass over them.

    Raises
    ------
    InputError
        For what cannot be shown as real numbers.
    """
    array = as_real(values).reshape(-1)
    valid = np.isfinite(array)
    finite = array if valid.all() else array[valid]
    odd = array[:0] if finite is array else array[~valid]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    exponent = finest_exponent(low, high)
    first, counts = binned(finite, exponent, low, high)
    zeros = int(finite.size - np.count_nonzero(finite))
    if zeros:
        counts[-first] -= zeros
    return Distribution(
        exponent=exponent,
        first=first,
        counts=counts,
        zeros=zeros,
        nan=int(np.isnan(odd).sum()),
        positive_inf=int(np.isposinf(odd).sum()),
        negative_inf=int(np.isneginf(odd).sum()),
        low=low if finite.size else math.nan,
        high=high if finite.size else math.nan,
        moments=moments(finite),
    )


def merged(parts: Sequence[Distribution]) -> Distribution:
    """Return the distribution of all values of several; InputError for none."""
    if not parts:
        raise InputError("no distributions to merge; expected one or more")
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
