"""Input statistics: moments, counts and levels of the inputs, also with preprocessing undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.images.image_set import ImageSet
from convviz_widgets.images.reading import reason
from convviz_widgets.tensors import Histogram, Limits, evenly_spread, histogram, to_display_array

LEAST = 256
"""Fewest images that a statement about inputs may rest on."""


@dataclass(frozen=True, eq=False)
class InputStatistics:
    """Values of some images as the model takes them, and with preprocessing undone.

    Attributes
    ----------
    n : images that were read.
    values : numbers in them.
    mean, std, rms, low, high : float64 (C,), of each channel, as the model takes it.
    non_finite : share of values that are NaN or infinite; the rest is about the others.
    clipped : share of undone values that round to less than 0 or more than 255.
    whole : share of undone values within `NEAR` of a whole number.
    levels : what the values say of an 8-bit source themselves, None where there is none.
    failures : index → one line, for the images that could not be read.
    """

    n: int
    values: int
    mean: np.ndarray
    std: np.ndarray
    rms: np.ndarray
    low: np.ndarray
    high: np.ndarray
    non_finite: float
    clipped: float
    whole: float
    levels: tuple[Levels, ...] | None
    failures: dict[int, str]

    @property
    def overall(self) -> tuple[float, float, float]:
        """Mean, standard deviation and RMS of all channels together."""
        mean, square = float(self.mean.mean()), float((self.rms**2).mean())
        return mean, max(0.0, square - mean**2) ** 0.5, square**0.5

    @property
    def eight_bit(self) -> bool:
        """Whether the values lie on at most 256 even levels, as those of 8-bit pictures do."""
        return self.levels is not None


def input_statistics(
    images: ImageSet, count: int = 2 * LEAST, *, between: Callable[[], object] = lambda: None
) -> InputStatistics:
    """Return the statistics of ``count`` images, spread evenly over the set.

    Sums are kept in double precision; at any time one image is held. ``between()`` is called
    before each of them; what it raises ends the look.

    Raises
    ------
    InputError
        If no image can be read.
    """
    chosen = evenly_spread(len(images), count, ends=True)
    sums = _Sums(images)
    failures: dict[int, str] = {}
    for index in chosen:
        between()
        try:
            image = images.input(index)[0]
        except Exception as error:  # whatever a data set may raise
            failures[index] = reason(index, error)
        else:
            sums.add(image)
    if not sums.n:
        raise InputError(
            f"none of {len(chosen)} images can be read: {next(iter(failures.values()))}"
        )
    return sums.statistics(failures)


CLIPPED = -0.5, 255.5
"""Undone values beyond these round to what no 8-bit picture holds."""


def is_clipped(undone: Tensor) -> Tensor:
    """Return which values, undone to [0, 255], round to less than 0 or more than 255."""
    low, high = CLIPPED
    return (undone < low) | (undone > high)


NEAR = 0.02
"""How far from a whole number an undone value of an 8-bit source may lie, of 255."""

LOOKED_AT = 4096
"""Values of a channel of an image, at most, that its levels are sought among."""


class _Sums:
    """Sums over the images so far, from which their statistics come."""

    def __init__(self, images: ImageSet) -> None:
        self.n = 0
        self._scale = images.preprocessing.scale.reshape(-1, 1)
        self._shift = images.preprocessing.shift.reshape(-1, 1)
        channels = images.shape[0]
        self._count, self._sum, self._square = (torch.zeros(channels).double() for _ in range(3))
        self._low = torch.full((channels,), torch.inf).double()
        self._high = -self._low
        self._values = self._finite = self._clipped = self._whole = 0
        self._distinct: list[np.ndarray] = [np.zeros(0, np.float32)] * channels

    def add(self, image: Tensor) -> None:
        rows = image.detach().to("cpu", torch.float32).flatten(1)  # (C, H·W)
        finite = rows.isfinite()
        exact = rows.where(finite, torch.zeros(())).double()
        self.n += 1
        self._values += rows.numel()
        self._finite += int(finite.sum())
        self._count += finite.sum(1)
        self._sum += exact.sum(1)
        self._square += exact.square().sum(1)
        self._low = self._low.minimum(rows.where(finite, torch.tensor(torch.inf)).amin(1))
        self._high = self._high.maximum(rows.where(finite, torch.tensor(-torch.inf)).amax(1))
        undone = 255 * (rows * self._scale + self._shift)[finite]
        self._clipped += int(is_clipped(undone).sum())
        self._whole += int(((undone - undone.round()).abs() <= NEAR).sum())
        few = rows[:, :: max(1, rows.shape[1] // LOOKED_AT)]
        for channel, seen in enumerate(self._distinct):
            if len(seen) <= MOST_LEVELS:
                values = few[channel][few[channel].isfinite()].numpy()
                self._distinct[channel] = np.union1d(seen, values)

    def statistics(self, failures: dict[int, str]) -> InputStatistics:
        count = self._count.clamp(min=1)
        mean, square = self._sum / count, self._square / count
        finite = max(1, self._finite)
        levels = [levels_of(values) for values in self._distinct]
        return InputStatistics(
            n=self.n,
            values=self._values,
            mean=mean.numpy(),
            std=(square - mean.square()).clamp(min=0).sqrt().numpy(),
            rms=square.sqrt().numpy(),
            low=self._low.numpy(),
            high=self._high.numpy(),
            non_finite=1 - self._finite / self._values,
            clipped=self._clipped / finite,
            whole=self._whole / finite,
            levels=tuple(filter(None, levels)) if all(levels) else None,
            failures=failures,
        )


BINS = 64
"""Bins between the lowest and the highest value, as the model takes them."""

LEVELS = np.arange(257) - 0.5
"""Edges of the bins of undone values: one for each of the levels 0 to 255."""


@dataclass(frozen=True, eq=False)
class InputCounts:
    """Exact counts of all values of some images.

    Attributes
    ----------
    statistics : those of the same images.
    taken : as the model takes them, a histogram for each channel (C), of the same `BINS` bins.
    undone : times 255 with preprocessing undone, one bin a level; outside is below or above.
    """

    statistics: InputStatistics
    taken: tuple[Histogram, ...]
    undone: tuple[Histogram, ...]


def input_counts(images: ImageSet, count: int = LEAST) -> InputCounts:
    """Count the values of ``count`` images, spread evenly over the set.

    Each image is read twice, to find the limits and to count; one at a time is held.
    """
    statistics = input_statistics(images, count)
    low, high = float(statistics.low.min()), float(statistics.high.max())
    scale, shift = (
        np.broadcast_to(each.numpy(), images.shape[0])
        for each in (images.preprocessing.scale, images.preprocessing.shift)
    )
    taken: list[Histogram | None] = [None] * images.shape[0]
    undone: list[Histogram | None] = [None] * images.shape[0]
    for index in evenly_spread(len(images), count, ends=True):
        if index in statistics.failures:
            continue
        for channel, values in enumerate(to_display_array(images.input(index)[0])):
            one = histogram(values, bins=BINS, limits=Limits(low, high))
            other = histogram(255 * (values * scale[channel] + shift[channel]), bins=LEVELS)
            taken[channel] = together(taken[channel], one)
            undone[channel] = together(undone[channel], other)
    return InputCounts(statistics, tuple(filter(None, taken)), tuple(filter(None, undone)))


def together(*parts: Histogram | None) -> Histogram:
    """Return the counts of several histograms with the same edges as one."""
    given = [part for part in parts if part is not None]
    names = ("n", "nan", "positive_inf", "negative_inf", "zeros", "below", "above")
    sums = {name: sum(getattr(part, name) for part in given) for name in names}
    counts = np.sum([part.counts for part in given], axis=0)
    return Histogram(edges=given[0].edges, counts=counts, **sums)


MOST_LEVELS = 256
"""Levels of an 8-bit picture."""

FEWEST_LEVELS = 32
"""Distinct values below which a coarser step could pass for the true one."""

TOLERANCE = 0.05
"""How far from its level a value may lie, in steps: 32-bit rounding moves it by 0.001 or so."""


@dataclass(frozen=True)
class Levels:
    """Even steps on which the values of a channel lie.

    Attributes
    ----------
    step : from one level to the next.
    low : the lowest value.
    count : distinct values.
    """

    step: float
    low: float
    count: int

    @property
    def std(self) -> float:
        """The std that was divided by, if pictures in [0, 1] had 255 steps."""
        return 1 / (255 * self.step)


def levels_of(values: np.ndarray) -> Levels | None:
    """Return the levels of distinct values, None where they are too many, too few or uneven.

    Parameters
    ----------
    values : finite, distinct, ascending.
    """
    if not FEWEST_LEVELS <= len(values) <= MOST_LEVELS:
        return None
    exact = values.astype(np.float64)
    smallest = float(np.diff(exact).min())
    # One difference carries the rounding of two values; the whole range hardly any.
    span = float(exact[-1] - exact[0])
    steps = round(span / smallest)
    if steps >= MOST_LEVELS:
        return None
    step = span / steps
    places = (exact - exact[0]) / step
    if np.abs(places - places.round()).max() > TOLERANCE:
        return None
    return Levels(step, float(exact[0]), len(values))
