"""Everything that a sweep knows of its channels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .maps import MapSummary
from .sums import Sums
from .top import Top


@dataclass(frozen=True, eq=False)
class Statistics:
    """The sums and the strongest images of C channels."""

    sums: Sums
    top: Top

    @classmethod
    def empty(cls, channels: int, k: int, *, grouped: bool) -> Statistics:
        """Return the statistics of no image."""
        return cls(Sums.empty(channels), Top.empty(channels, k, grouped=grouped))

    def merged(self, other: Statistics) -> Statistics:
        """Return the statistics of the images of both, which have none in common."""
        return Statistics(self.sums.merged(other.sums), self.top.merged(other.top))

    def with_batch(
        self, batch: MapSummary, images: Tensor, groups: Tensor | None, least: Tensor
    ) -> Statistics:
        """Return the statistics after a batch of images that all come after these.

        Parameters
        ----------
        images : int64 (R,), the index of each.
        groups : int64 (R,), the source of each; None: each its own.
        least : float32 (C,), what a value must exceed to be among the strongest.
        """
        top = self.top.with_peaks(batch.peaks, batch.places, images, groups, least)
        return Statistics(self.sums.merged(batch.sums), top)

    def of(self, channels: slice) -> Statistics:
        """Return the statistics of some channels."""
        return Statistics(self.sums.of(channels), self.top.of(channels))
