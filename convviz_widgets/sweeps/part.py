"""One part of a data set through a model at one checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isfinite

import torch
from torch import Tensor

from convviz_widgets.errors import InputError, ModelError
from convviz_widgets.images.reading import Items
from convviz_widgets.probe import Probe
from convviz_widgets.sweeps import bins
from convviz_widgets.sweeps.bins import SampledBins
from convviz_widgets.sweeps.plan import Coverage, Plan
from convviz_widgets.sweeps.sums import NEVER, Statistics, Sums
from convviz_widgets.sweeps.top import Peaks, Top

_SHAKY = 0.05  # share of the squares below which float32 sums lose the deviations

_CROWD = 2  # times as many peaks as places from which picking the largest pays

_SMALL = 16  # positions up to which sums over the images first are faster


@dataclass(frozen=True, eq=False)
class Part:
    """What is known after some of the images.

    Attributes
    ----------
    statistics : of the channels of all layers in a row.
    coverage : the images, failed ones too.
    failures : index → one line, of those that could not be loaded.
    """

    statistics: Statistics
    coverage: Coverage
    failures: dict[int, str]

    @classmethod
    def empty(cls, plan: Plan) -> Part:
        """Return what is known after no image."""
        grouped = plan.groups is not None
        return cls(Statistics.empty(plan.channels, plan.k, grouped=grouped), Coverage(), {})

    @property
    def count(self) -> int:
        """Images that went through the model."""
        return len(self.coverage) - len(self.failures)

    def merged(self, other: Part) -> Part:
        """Return what is known after the images of both, which have none in common."""
        return Part(
            self.statistics.merged(other.statistics),
            self.coverage | other.coverage,
            dict(sorted({**self.failures, **other.failures}.items())),
        )


def swept_part(probe: Probe, plan: Plan, items: Items, span: range, before: Part) -> Part:
    """Return what is known after some images.

    Parameters
    ----------
    before : the part that the result will be merged with; nothing is looked for that has no
        chance beside it.

    Raises
    ------
    InputError
        An image cannot be loaded, and the plan does not skip it.
    ModelError
        The model raises.
    """
    reader = Reader(probe, plan, _floor(before, span))
    failures: dict[int, str] = {}
    for start in range(span.start, span.stop, plan.batch_size):
        loaded = items.load(range(start, min(start + plan.batch_size, span.stop)))
        if loaded.failures and not plan.skip:
            raise InputError(next(iter(loaded.failures.values())))
        failures |= loaded.failures
        if len(loaded.indices):
            reader.read(loaded.images, loaded.indices)
    return Part(reader.statistics(), Coverage.of([(span.start, span.stop)]), failures)


def _floor(before: Part, span: range) -> Tensor:
    """Return what a value must exceed to have a chance beside what is known already."""
    least = before.statistics.top.least
    # Of equal values the earlier image wins: an earlier one needs no more than to be equal.
    return least if before.coverage.end <= span.start else torch.full_like(least, -torch.inf)


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


class Reader:
    """Sums up every layer while it is there: no output is kept, or cloned.

    What outlives a batch stays where it is in memory. Moved each time, it would break up the room
    that the layers' outputs have in turn: the same forward passes then take a tenth longer.

    Parameters
    ----------
    floor : float32 (channels,), what a value must exceed to be worth a place among the strongest.
    """

    def __init__(self, probe: Probe, plan: Plan, floor: Tensor) -> None:
        self._probe = probe
        self._plan = plan
        self._floor = floor
        self._sums = Sums.empty(plan.channels)
        self._top = Top.empty(plan.channels, plan.k, grouped=plan.groups is not None)
        self._bins = SampledBins()

    def read(self, images: Tensor, indices: Tensor) -> None:
        """Add a batch.

        Parameters
        ----------
        images : (R, C, H, W), at most a batch; it is filled up to a whole one.
        indices : int64 (R,), which images these are; they come after all earlier ones.
        """
        least = torch.maximum(self._floor, self._top.least)
        found = self._summaries(images, indices, least)
        groups = None if self._plan.groups is None else self._plan.groups[indices]
        peaks = _in_a_row([(self._plan.slices[layer].start, found[layer].peaks) for layer in found])
        self._top.keep(self._top.with_peaks(peaks, indices, groups))
        sums = Sums.side_by_side([part.sums for part in found.values()])
        self._sums.keep(self._sums.merged(sums))

    def statistics(self) -> Statistics:
        """Return what is known after all batches."""
        counted = torch.zeros(self._plan.channels, bins.SLOTS, dtype=torch.int32)
        self._bins.put_into(counted, self._plan.slices)
        return Statistics(self._sums, counted, self._top)

    def _summaries(self, images: Tensor, indices: Tensor, least: Tensor) -> dict[str, MapSummary]:
        rows = len(images)
        sampled = (indices % self._plan.stride == 0).nonzero().flatten()
        room = self._plan.k if self._plan.groups is None else None
        found: dict[str, MapSummary] = {}

        def observe(layer: str, output: Tensor) -> None:
            channels = self._plan.slices.get(layer)
            if channels is None:
                return
            count = channels.stop - channels.start
            seen = self._plan.seen(layer, output[:rows])
            maps = _float32(seen.reshape(rows, count, -1))
            found[layer] = summarise(maps, indices, least[channels], room)
            if len(sampled):
                some = maps[sampled.to(maps.device)]
                self._bins.add(layer, some, finite=found[layer].finite)

        self._probe.observe(_filled(images, self._plan.batch_size), observe)
        for layer in self._plan.slices:
            if layer not in found:
                raise ModelError(f"layer {layer!r} did not run for image {int(indices[0])}")
        return {layer: found[layer] for layer in self._plan.slices}


def _filled(images: Tensor, size: int) -> Tensor:
    missing = size - len(images)
    if not missing:
        return images
    return torch.cat([images, images[:1].expand(missing, *images.shape[1:])])


def _in_a_row(peaks: list[tuple[int, Peaks]]) -> Peaks:
    """Return the peaks of all layers, their channels counted on from the first one of each."""
    return Peaks(
        torch.cat([some.channels + first for first, some in peaks]),
        torch.cat([some.rows for _, some in peaks]),
        torch.cat([some.values for _, some in peaks]),
        torch.cat([some.places for _, some in peaks]),
    )


def _float32(maps: Tensor) -> Tensor:
    if maps.device.type not in ("cpu", "cuda"):
        maps = maps.cpu()  # other devices have no float64
    return (maps.abs() if maps.is_complex() else maps).float()
