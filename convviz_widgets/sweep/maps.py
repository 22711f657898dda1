"""One layer's maps for one batch, summed up."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .sums import NEVER, Sums

_SHAKY = 1e-2  # share of the squares below which float32 sums lose the deviations


@dataclass(frozen=True, eq=False)
class MapSummary:
    """What R maps of each of C channels add.

    Attributes
    ----------
    sums : of the C channels.
    peaks : float32 (R, C), the maximum of each map; -inf if all of it is NaN.
    places : int64 (R, C), where it is; set only where the peak exceeds what was asked for.
    finite : whether all values are known to be.
    """

    sums: Sums
    peaks: Tensor
    places: Tensor
    finite: bool


def summarise(maps: Tensor, images: Tensor, least: Tensor) -> MapSummary:
    """Sum up a layer's maps.

    On a CPU the maps are read three times, in float32, and once more only where that is not
    enough: values that are not finite, channels whose mean is far larger than their deviation. On
    other devices reading is cheap and waiting is not, so all is done without looking.

    Parameters
    ----------
    maps : float32 (R, C, P).
    images : int64 (R,), the index of each.
    least : float32 (C,), what a peak must exceed for its place to be asked for.
    """
    if maps.device.type != "cpu":
        return _exact(maps, images)
    peaks, totals = maps.amax(2), maps.sum(2)
    mean, squares = _moments(maps, totals)
    if not bool((mean + squares).isfinite().all()):
        return _exact(maps, images)
    nothing = torch.zeros(maps.shape[1], dtype=torch.int64)
    sums = Sums(
        fired=((peaks != 0) | (totals != 0)).sum(0),  # numbers <= 0 add up to 0 if all are
        values=nothing + maps.shape[0] * maps.shape[2],
        nan=nothing,
        infinite=nothing,
        first_nan=torch.full_like(nothing, NEVER),
        mean=mean,
        squares=squares,
        maximum=peaks.amax(0),
    )
    return MapSummary(sums, peaks, _wanted_places(maps, peaks > least), finite=True)


def _moments(maps: Tensor, totals: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and squared deviations of each channel: float64 (C,)."""
    count = maps.shape[0] * maps.shape[2]
    mean = totals.sum(0, dtype=torch.float64) / count
    norms = torch.linalg.vector_norm(maps, dim=2)
    raw = norms.double().square_().sum(0)
    squares = raw - count * mean**2
    shaky = (squares < _SHAKY * raw).nonzero().flatten()
    if len(shaky):
        wide = maps[:, shaky].double()
        mean[shaky] = wide.mean((0, 2))
        squares[shaky] = (wide - mean[shaky, None]).square_().sum((0, 2))
    return mean, squares


def _exact(maps: Tensor, images: Tensor) -> MapSummary:
    finite, nan = maps.isfinite(), maps.isnan()
    clean = maps.where(finite, 0).double()
    values = finite.sum((0, 2))
    mean = clean.sum((0, 2)) / values.clamp(min=1)
    squares = (clean - mean[:, None]).where(finite, 0).square_().sum((0, 2))
    peaks, places = maps.masked_fill(nan, -torch.inf).max(2)
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
    return MapSummary(sums, peaks, places, finite=False)


def _wanted_places(maps: Tensor, wanted: Tensor) -> Tensor:
    places = torch.zeros(wanted.shape, dtype=torch.int64)
    rows, channels = wanted.nonzero(as_tuple=True)
    if len(rows):
        places[rows, channels] = maps[rows, channels].argmax(1)  # the first one of several
    return places
