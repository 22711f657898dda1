"""Distribution: exact counts of values in bins that fit together over batches and checkpoints."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convviz_widgets.errors import InputError
from convviz_widgets.tensors.display import Numbers, as_real, finite_and_odd

SIGMAS = (0.5, 1.0, 1.5)

PERCENTILES = (0.0, 6.68, 15.87, 30.85, 50.0, 69.15, 84.13, 93.32, 100.0)
"""TensorBoard's levels: minimum, median, maximum, and ± `SIGMAS` of a Normal."""

BINS = 4096
"""Most bins of a distribution; more than half lie between its smallest and its largest value."""

FINEST = 40
"""Bins are not made narrower than the largest magnitude divided by two to this power."""

NARROWEST = -1000
"""Exponent of the narrowest bins of all: one over their width still is a double."""

BLOCK = 1 << 16
"""Values that are counted at a time: their doubles stay in the cache of the processor."""


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
    """Moments of the finite values, zeros included."""

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
    finite, odd = finite_and_odd(array)
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


def finest_exponent(low: float, high: float) -> int:
    """Return the exponent of the narrowest bins that hold both values in `BINS` or fewer."""
    largest = max(abs(low), abs(high))
    exponent = math.frexp(largest)[1] - FINEST if largest else NARROWEST
    half = high / 2 - low / 2  # halved first: the difference could overflow
    exponent = max(NARROWEST, exponent, math.frexp(half / BINS)[1] if half else NARROWEST)
    while bin_of(high, exponent) - bin_of(low, exponent) >= BINS:
        exponent += 1
    return exponent


def bin_of(value: float, exponent: int) -> int:
    """Return the k for which ``value`` lies in [k, k + 1) times two to the exponent."""
    scaled = math.ldexp(value, -exponent)
    return -1 if scaled == 0 and value < 0 else math.floor(scaled)


def binned(finite: np.ndarray, exponent: int, low: float, high: float) -> tuple[int, np.ndarray]:
    """Return the number of the first bin and the counts (B,) of values between low and high.

    4 ns a value on one core, where `numpy.histogram` takes 8 and `torch.histc` 11. The product
    with a power of two is exact, and in doubles it cannot underflow for float32 values.
    """
    first = bin_of(low, exponent)
    counts = np.zeros(bin_of(high, exponent) - first + 1, np.int64)
    factor = np.float64(math.ldexp(1.0, -exponent))
    for start in range(0, finite.size, BLOCK):
        scaled = np.multiply(finite[start : start + BLOCK], factor, dtype=np.float64)
        numbers = np.floor(scaled, out=scaled).astype(np.int64)
        numbers -= first
        counts += np.bincount(numbers, minlength=len(counts))
    return first, counts


@dataclass(frozen=True)
class Moments:
    """Number, mean and central power sums of values; two of them add up to those of both.

    Sums of powers up to the fourth, of the differences from the mean, in double precision. They
    are merged by the formulas of Pébay, "Formulas for robust, one-pass parallel computation of
    covariances and arbitrary-order statistical moments", Sandia report SAND2008-6212.
    """

    n: int = 0
    mean: float = 0.0
    second: float = 0.0
    third: float = 0.0
    fourth: float = 0.0

    @property
    def std(self) -> float:
        """Standard deviation of these values, divided by their number; NaN for none."""
        return math.sqrt(self.second / self.n) if self.n else math.nan

    @property
    def skew(self) -> float:
        """Third standardised moment, 0 for a Normal; NaN where all values are the same."""
        if self._flat:
            return math.nan
        return self.third / self.n / (self.second / self.n) ** 1.5

    @property
    def kurtosis(self) -> float:
        """Fourth standardised moment minus 3, 0 for a Normal; NaN where all are the same."""
        if self._flat:
            return math.nan
        return self.fourth / self.n / (self.second / self.n) ** 2 - 3

    @property
    def norm(self) -> float:
        """Euclidean norm of the values."""
        return math.sqrt(self.second + self.n * self.mean * self.mean)

    @property
    def _flat(self) -> bool:
        """Whether nothing but rounding is left of the spread, or its powers underflow."""
        if not self.n:
            return True
        variance = self.second / self.n
        return variance**2 == 0 or variance <= (sys.float_info.epsilon * self.mean) ** 2

    def __add__(self, other: Moments) -> Moments:
        if not self.n or not other.n:
            return self if self.n else other
        a, b = self.n, other.n
        n = a + b
        step = (other.mean - self.mean) / n
        return Moments(
            n,
            self.mean + b * step,
            self.second + other.second + n * a * b * step**2,
            self.third
            + other.third
            + n * a * b * (a - b) * step**3
            + 3 * step * (a * other.second - b * self.second),
            self.fourth
            + other.fourth
            + n * a * b * (a * a - a * b + b * b) * step**4
            + 6 * step**2 * (a * a * other.second + b * b * self.second)
            + 4 * step * (a * other.third - b * self.third),
        )


def moments(finite: np.ndarray) -> Moments:
    """Return the moments of finite values, float32 or float64, of shape (N,).

    The products are summed without BLAS, whose threads wait for one another on a busy machine:
    3 ns a value instead of up to 350.
    """
    if not finite.size:
        return Moments()
    mean = float(finite.mean(dtype=np.float64))
    second = third = fourth = 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # doubles beyond 1e77 have no fourth power
        for start in range(0, finite.size, BLOCK):
            offset = finite[start : start + BLOCK] - np.float64(mean)
            square = offset * offset
            second += float(square.sum())
            third += float(np.einsum("i,i->", square, offset))
            fourth += float(np.einsum("i,i->", square, square))
    return Moments(finite.size, mean, second, third, fourth)
