"""Input counts: how the values of each channel are distributed, as taken and as undone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from convviz_widgets.instrument.image_set import ImageSet
from convviz_widgets.instrument.input_statistics import (
    LEAST,
    InputStatistics,
    input_statistics,
    spread_indices,
)
from convviz_widgets.tensors import Histogram, Limits, histogram, to_display_array

BINS = 64
"""Bins between the lowest and the highest value, as the model takes them."""

LEVELS = np.arange(257) - 0.5
"""Edges of the bins of undone values: one for each of the levels 0 to 255."""


@dataclass(frozen=True, eq=False)
class InputCounts:
    """Exact counts of all values of some images.

    Attributes
    ----------
    statistics : of the same images.
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
    for image in _readable(images, count, statistics.failures):
        for channel, values in enumerate(to_display_array(image)):
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


def _readable(images: ImageSet, count: int, failures: dict[int, str]) -> Iterator[Tensor]:
    for index in spread_indices(len(images), count):
        if index not in failures:
            yield images.input(index)[0]
