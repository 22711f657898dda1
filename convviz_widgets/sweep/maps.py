"""One layer's maps for one batch, summed up."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from convviz_widgets.sweep.sums import NEVER, Sums

_SHAKY = 0.05  # share of the squares below which float32 sums lose the deviations
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


def summarise(maps: Tensor, images: Tensor, least: Tensor) -> MapSummary:
    """Sum up a layer's maps.

    On a CPU the maps are read three times, in float32, and once more only where that is not
    enough: values that are not finite, channels whose mean is far larger than their deviation. On
    other devices reading is cheap and waiting is not, so the sums are made without looking.

    Parameters
    ----------
    maps : float32 (R, C, P).
    images : int64 (R,), the index of each.
    least : float32 (C,), what a peak must exceed to be told.
    """
    if maps.device.type != "cpu":
        return _exact(maps, images, least)
    peaks = maps.amax(2)
    mean, squares = _moments(maps)
    if not bool((mean + squares).isfinite().all()):
        return _exact(maps, images, least)
    nothing = torch.zeros(maps.shape[1], dtype=torch.int64)
    sums = Sums(
        fired=_fired(maps, peaks),
        values=nothing + maps.shape[0] * maps.shape[2],
        nan=nothing,
        infinite=nothing,
        first_nan=torch.full_like(nothing, NEVER),
        mean=mean,
        squares=squares,
        maximum=peaks.amax(0),
    )
    return MapSummary(sums, _peaks(maps, peaks, least), finite=True)


def _moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and squared deviations of each channel: float64 (C,)."""
    if maps.shape[2] <= _SMALL:
        total = maps.sum(0).sum(1, dtype=torch.float64)
        raw = maps.square().sum(0).sum(1, dtype=torch.float64)
    else:
        total = maps.sum(2).sum(0, dtype=torch.float64)
        raw = torch.linalg.vector_norm(maps, dim=2).double().square_().sum(0)
    count = maps.shape[0] * maps.shape[2]
    mean = total / count
    squares = raw - count * mean**2
    shaky = (squares < _SHAKY * raw).nonzero().flatten()
    if len(shaky):
        wide = maps[:, shaky].double()
        mean[shaky] = wide.mean((0, 2))
        squares[shaky] = (wide - mean[shaky, None]).square_().sum((0, 2))
    return mean, squares


def _fired(maps: Tensor, peaks: Tensor) -> Tensor:
    if bool(peaks.abs().amin() > 0):
        return torch.full((maps.shape[1],), maps.shape[0])
    return maps.shape[0] - ((peaks == 0) & (maps.amin(2) == 0)).sum(0)


def _peaks(maps: Tensor, peaks: Tensor, least: Tensor) -> Peaks:
    promising = (peaks.amax(0) > least).nonzero().flatten()
    wanted = peaks[:, promising] > least[promising]
    index, rows = wanted.T.nonzero(as_tuple=True)
    channels = promising[index]
    places = maps[rows, channels].argmax(1) if len(rows) else rows
    return Peaks(channels, rows, peaks[rows, channels], places)


def _exact(maps: Tensor, images: Tensor, least: Tensor) -> MapSummary:
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
    found = _peaks(numbers, peaks, least.to(maps.device))
    here = Peaks(*(tensor.cpu() for tensor in vars(found).values()))
    return MapSummary(sums, here, finite=False)
