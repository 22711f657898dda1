"""Statistics of every channel: summed over its maps, and merged with those of other images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from math import isfinite

import torch
from torch import Tensor

from convviz_widgets.sweeps.histograms import COUNTERS
from convviz_widgets.sweeps.top import Peaks, Top

_CANCELLATION = 0.05  # share of the squares below which float32 sums lose the deviations
_CROWDED = 2  # times as many peaks as places from which picking the largest pays
_SMALL = 16  # positions up to which sums over the images first are faster

NEVER = torch.iinfo(torch.int64).max
"""Stands for the image that had the first NaN, where none had."""


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
    counts : int32 (C, COUNTERS), histograms of the values of a sample of the images.
    top : the strongest images.
    """

    sums: Sums
    counts: Tensor
    top: Top

    @classmethod
    def empty(cls, channels: int, k: int, *, grouped: bool) -> Statistics:
        """Return the statistics of no image."""
        counts = torch.zeros(channels, COUNTERS, dtype=torch.int32)
        return cls(Sums.empty(channels), counts, Top.empty(channels, k, grouped=grouped))

    def merged(self, other: Statistics) -> Statistics:
        """Return the statistics of the images of both, which have none in common."""
        counts = self.counts + other.counts
        return Statistics(self.sums.merged(other.sums), counts, self.top.merged(other.top))

    def of(self, channels: slice) -> Statistics:
        """Return the statistics of some channels."""
        return Statistics(self.sums.of(channels), self.counts[channels], self.top.of(channels))


@dataclass(frozen=True, eq=False)
class MapSummary:
    """What R maps of each of C channels add.

    Attributes
    ----------
    sums : of the C channels.
    peaks : on the CPU.
    finite : whether all values are known to be.
    """

    sums: Sums
    peaks: Peaks
    finite: bool


def summarise(maps: Tensor, images: Tensor, least: Tensor, room: int | None = None) -> MapSummary:
    """Sum up a layer's maps.

    On a CPU the maps are read three times, in float32, and once more only where that is not
    enough: values that are not finite, channels whose mean is far larger than their deviation. On
    other devices reading is cheap and waiting is not, so the sums are made without looking.

    Parameters
    ----------
    maps : float32 (R, C, P).
    images : int64 (R,), the index of each.
    least : float32 (C,), what a peak must exceed to be told.
    room : how many peaks of a channel can be needed; None: any number.
    """
    if maps.device.type != "cpu":
        return summarise_exactly(maps, images, least, room)
    peaks = maps.amax(2)
    mean, squares = _moments(maps)
    if mean is None or squares is None:
        return summarise_exactly(maps, images, least, room)
    none, never, all_images, all_values = _constants(*maps.shape)
    is_firing = int(peaks.count_nonzero()) == peaks.numel()
    sums = Sums(
        fired=all_images if is_firing else all_images - _silent(maps, peaks),
        values=all_values,
        nan=none,
        infinite=none,
        first_nan=never,
        mean=mean,
        squares=squares,
        maximum=peaks.amax(0),
    )
    return MapSummary(sums, _peaks(maps, peaks, least, room), finite=True)


def _moments(maps: Tensor) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """Return mean and squared deviations of each channel: float64 (C,); None if not all finite.

    Few operations: on small maps each of them takes as long as what it works on.
    """
    if maps.shape[2] <= _SMALL:
        total = maps.sum(0).sum(1, dtype=torch.float64)
        raw = maps.square().sum(0).sum(1, dtype=torch.float64)
    else:
        total = maps.sum(2).sum(0, dtype=torch.float64)
        norms = torch.linalg.vector_norm(maps, dim=2)
        raw = torch.linalg.vector_norm(norms, dim=0, dtype=torch.float64).square_()
    mean = total / (maps.shape[0] * maps.shape[2])
    squares = torch.addcmul(raw, mean, total, value=-1)
    least = raw * _CANCELLATION
    if bool((squares > least).all()):  # for nothing that is not finite
        return mean, squares
    if not isfinite(float(squares.sum())):
        return None, None
    cancelled = (squares < least).nonzero().flatten()
    wide = maps[:, cancelled].double()
    mean[cancelled] = wide.mean((0, 2))
    squares[cancelled] = (wide - mean[cancelled, None]).square_().sum((0, 2))
    return mean, squares


def _silent(maps: Tensor, peaks: Tensor) -> Tensor:
    """Return how many maps of each channel are zeros alone: int64 (C,)."""
    return ((peaks == 0) & (maps.amin(2) == 0)).sum(0)


@lru_cache(maxsize=64)
def _constants(rows: int, channels: int, positions: int) -> tuple[Tensor, ...]:
    """Return int64 (C,), never to be changed: 0, `NEVER`, the number of images, of values."""
    return tuple(torch.full((channels,), number) for number in (0, NEVER, rows, rows * positions))


def _peaks(maps: Tensor, peaks: Tensor, least: Tensor, room: int | None) -> Peaks:
    by_channel = peaks.T
    wanted = by_channel > least[:, None]
    channels, rows = wanted.nonzero(as_tuple=True)
    if room is not None and len(rows) > _CROWDED * room * len(wanted):
        wanted &= by_channel >= by_channel.topk(room).values[:, -1:]  # equal ones, too
        channels, rows = wanted.nonzero(as_tuple=True)
    places = maps[rows, channels].argmax(1) if len(rows) else rows
    return Peaks(channels, rows, peaks[rows, channels], places)


def summarise_exactly(maps: Tensor, images: Tensor, least: Tensor, room: int | None) -> MapSummary:
    """Sum up a layer's maps in float64, whatever values they hold; see `summarise`."""
    finite, nan = maps.isfinite(), maps.isnan()
    clean = maps.where(finite, 0).double()
    values = finite.sum((0, 2))
    mean = clean.sum((0, 2)) / values.clamp(min=1)
    squares = (clean - mean[:, None]).where(finite, 0).square_().sum((0, 2))
    numbers = maps.masked_fill(nan, -torch.inf)
    peaks = numbers.amax(2)
    images = images.to(maps.device)[:, None]
    sums = Sums(
        fired=(maps != 0).any(2).sum(0),
        values=values,
        nan=nan.sum((0, 2)),
        infinite=maps.isinf().sum((0, 2)),
        first_nan=torch.where(nan.any(2), images, NEVER).amin(0),
        mean=mean,
        squares=squares,
        maximum=peaks.amax(0),
    )
    found = _peaks(numbers, peaks, least.to(maps.device), room)
    here = Peaks(*(tensor.cpu() for tensor in vars(found).values()))
    return MapSummary(sums, here, finite=False)
