"""Sums over the values of every channel, which can be added to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from convviz_widgets.sweeps.bins import SLOTS
from convviz_widgets.sweeps.top import Top

NEVER = torch.iinfo(torch.int64).max
"""In place of the image that had the first NaN, where none had."""


@dataclass(frozen=True, eq=False)
class Sums:
    """What is known of C channels after a number of images.

    Attributes
    ----------
    fired : int64 (C,), images in which any value of the map is not zero.
    values : int64 (C,), finite values.
    nan, infinite : int64 (C,), values that are not.
    first_nan : int64 (C,), the first image with a NaN, or `NEVER`.
    mean : float64 (C,), of the finite values.
    squares : float64 (C,), the sum of their squared deviations from the mean.
    maximum : float32 (C,), of all values but NaN; -inf before any.
    """

    fired: Tensor
    values: Tensor
    nan: Tensor
    infinite: Tensor
    first_nan: Tensor
    mean: Tensor
    squares: Tensor
    maximum: Tensor

    @classmethod
    def empty(cls, channels: int) -> Sums:
        """Return the sums of no image."""
        return cls(
            fired=torch.zeros(channels, dtype=torch.int64),
            values=torch.zeros(channels, dtype=torch.int64),
            nan=torch.zeros(channels, dtype=torch.int64),
            infinite=torch.zeros(channels, dtype=torch.int64),
            first_nan=torch.full((channels,), NEVER),
            mean=torch.zeros(channels, dtype=torch.float64),
            squares=torch.zeros(channels, dtype=torch.float64),
            maximum=torch.full((channels,), -torch.inf),
        )

    @classmethod
    def side_by_side(cls, parts: Sequence[Sums]) -> Sums:
        """Return the sums of the channels of all parts, on the CPU."""
        names = [field.name for field in fields(cls)]
        return cls(*(torch.cat([getattr(part, name) for part in parts]).cpu() for name in names))

    def merged(self, other: Sums) -> Sums:
        """Return the sums over the images of both, which have none in common.

        Means and squares are merged as in Chan, Golub and LeVeque 1983: nothing is lost to
        rounding where the mean is large.
        """
        values = self.values + other.values
        share = other.values.double() / values.clamp(min=1)
        apart = other.mean - self.mean
        return Sums(
            fired=self.fired + other.fired,
            values=values,
            nan=self.nan + other.nan,
            infinite=self.infinite + other.infinite,
            first_nan=torch.minimum(self.first_nan, other.first_nan),
            mean=self.mean + apart * share,
            squares=self.squares + other.squares + apart**2 * self.values * share,
            maximum=torch.maximum(self.maximum, other.maximum),
        )

    def keep(self, new: Sums) -> None:
        """Take over the sums of ``new``, in the memory that there is."""
        for field in fields(self):
            getattr(self, field.name).copy_(getattr(new, field.name))

    def of(self, channels: slice) -> Sums:
        """Return the sums of some channels."""
        return Sums(*(getattr(self, field.name)[channels] for field in fields(self)))


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
