"""Everything that a sweep knows of its channels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from convviz_widgets.sweep.bins import SLOTS
from convviz_widgets.sweep.sums import Sums
from convviz_widgets.sweep.top import Top


@dataclass(frozen=True, eq=False)
class Statistics:
    """What is known of C channels.

    Attributes
    ----------
    sums : over all images.
    bins : int32 (C, SLOTS), counts of the values of a sample of the images.
    top : the strongest images.
    """

    sums: Sums
    bins: Tensor
    top: Top

    @classmethod
    def empty(cls, channels: int, k: int, *, grouped: bool) -> Statistics:
        """Return the statistics of no image."""
        bins = torch.zeros(channels, SLOTS, dtype=torch.int32)
        return cls(Sums.empty(channels), bins, Top.empty(channels, k, grouped=grouped))

    def merged(self, other: Statistics) -> Statistics:
        """Return the statistics of the images of both, which have none in common."""
        bins = self.bins + other.bins
        return Statistics(self.sums.merged(other.sums), bins, self.top.merged(other.top))

    def of(self, channels: slice) -> Statistics:
        """Return the statistics of some channels."""
        return Statistics(self.sums.of(channels), self.bins[channels], self.top.of(channels))
