"""One layer's maps for one batch, summed up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isfinite

import torch
from torch import Tensor

from convviz_widgets.sweep.sums import NEVER, Sums

_SHAKY = 0.05  # share of the squares below which float32 sums lose the deviations
_CROWD = 2  # times as many peaks as places from which picking the largest pays
_SMALL = 16  # positions up to which sums over the images first are faster


@dataclass(frozen=True, eq=False)
class Peaks:
    """The largest values of maps, of those that may be among a channel's strongest.

    Attributes
    ----------
    channels, rows : int64 (n,), which map of the batch; channels ascend, rows do in each.
    values : float32 (n,), no NaN.
    places : int64 (n,), where it is in its map, the first one of several.
    """

    channels: Tensor
    rows: Tensor
    values: Tensor
    places: Tensor


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
        return _exact(maps, images, least, room)
    peaks = maps.amax(2)
    mean, squares = _moments(maps)
    if mean is None or squares is None:
        return _exact(maps, images, least, room)
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
    least = raw * _SHAKY
    if bool((squares > least).all()):  # for nothing that is not finite
        return mean, squares
    if not isfinite(float(squares.sum())):
        return None, None
    shaky = (squares < least).nonzero().flatten()
    wide = maps[:, shaky].double()
    mean[shaky] = wide.mean((0, 2))
    squares[shaky] = (wide - mean[shaky, None]).square_().sum((0, 2))
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
    if room is not None and len(rows) > _CROWD * room * len(wanted):
        wanted &= by_channel >= by_channel.topk(room).values[:, -1:]  # equal ones, too
        channels, rows = wanted.nonzero(as_tuple=True)
    places = maps[rows, channels].argmax(1) if len(rows) else rows
    return Peaks(channels, rows, peaks[rows, channels], places)


def _exact(maps: Tensor, images: Tensor, least: Tensor, room: int | None) -> MapSummary:
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
