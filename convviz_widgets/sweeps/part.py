"""Part: the statistics after some images at one checkpoint; how they are computed and merged."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from convviz_widgets.errors import InputError, ModelError
from convviz_widgets.images.reading import ModelInputs
from convviz_widgets.probe import Probe
from convviz_widgets.sweeps.histograms import COUNTERS, SampledHistograms
from convviz_widgets.sweeps.plan import Coverage, Plan
from convviz_widgets.sweeps.statistics import MapSummary, Statistics, Sums, summarise
from convviz_widgets.sweeps.top import Peaks, Top


@dataclass(frozen=True, eq=False)
class Part:
    """What is known after some of the images.

    Attributes
    ----------
    statistics : those of the channels of all layers in a row.
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


def swept_part(probe: Probe, plan: Plan, items: ModelInputs, span: range, before: Part) -> Part:
    """Return what is known after some images.

    Parameters
    ----------
    before : the part that the result will be merged with; values too small to be among the
        strongest of both are skipped.

    Raises
    ------
    InputError
        An image cannot be loaded, and the plan does not skip it.
    ModelError
        The model raises.
    """
    accumulator = Accumulator(probe, plan, _floor(before, span))
    failures: dict[int, str] = {}
    for start in range(span.start, span.stop, plan.batch_size):
        loaded = items.load(range(start, min(start + plan.batch_size, span.stop)))
        if loaded.failures and not plan.skip:
            raise InputError(next(iter(loaded.failures.values())))
        failures |= loaded.failures
        if len(loaded.indices):
            accumulator.add(loaded.images, loaded.indices)
    return Part(accumulator.statistics(), Coverage.of([(span.start, span.stop)]), failures)


def _floor(before: Part, span: range) -> Tensor:
    """Return what a value must exceed to be among the strongest, beside those of ``before``."""
    least = before.statistics.top.least
    # Of equal values the earlier image wins: an earlier one needs no more than to be equal.
    return least if before.coverage.end <= span.start else torch.full_like(least, -torch.inf)


class Accumulator:
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
        self._histograms = SampledHistograms()

    def add(self, images: Tensor, indices: Tensor) -> None:
        """Add a batch.

        Parameters
        ----------
        images : (R, C, H, W), at most a batch; it is filled up to a whole one.
        indices : int64 (R,), which images these are; they come after all earlier ones.
        """
        least = torch.maximum(self._floor, self._top.least)
        found = self._summaries(images, indices, least)
        groups = None if self._plan.groups is None else self._plan.groups[indices]
        peaks = _concatenated(
            [(self._plan.slices[layer].start, found[layer].peaks) for layer in found]
        )
        self._top.keep(self._top.with_peaks(peaks, indices, groups))
        sums = Sums.side_by_side([part.sums for part in found.values()])
        self._sums.keep(self._sums.merged(sums))

    def statistics(self) -> Statistics:
        """Return what is known after all batches."""
        counts = torch.zeros(self._plan.channels, COUNTERS, dtype=torch.int32)
        self._histograms.put_into(counts, self._plan.slices)
        return Statistics(self._sums, counts, self._top)

    def _summaries(self, images: Tensor, indices: Tensor, least: Tensor) -> dict[str, MapSummary]:
        rows = len(images)
        sampled = (indices % self._plan.histogram_stride == 0).nonzero().flatten()
        room = self._plan.k if self._plan.groups is None else None
        found: dict[str, MapSummary] = {}

        def observe(layer: str, output: Tensor) -> None:
            channels = self._plan.slices.get(layer)
            if channels is None:
                return
            count = channels.stop - channels.start
            projected = self._plan.projected(layer, output[:rows])
            maps = _float32(projected.reshape(rows, count, -1))
            found[layer] = summarise(maps, indices, least[channels], room)
            if len(sampled):
                some = maps[sampled.to(maps.device)]
                self._histograms.add(layer, some, finite=found[layer].finite)

        self._probe.observe(_padded(images, self._plan.batch_size), observe)
        for layer in self._plan.slices:
            if layer not in found:
                raise ModelError(f"layer {layer!r} did not run for image {int(indices[0])}")
        return {layer: found[layer] for layer in self._plan.slices}


def _padded(images: Tensor, size: int) -> Tensor:
    missing = size - len(images)
    if not missing:
        return images
    return torch.cat([images, images[:1].expand(missing, *images.shape[1:])])


def _concatenated(peaks: list[tuple[int, Peaks]]) -> Peaks:
    """Return the peaks of all layers, their channels counted on from the first one of each."""
    each = [(some.channels + first, some.rows, some.values, some.places) for first, some in peaks]
    return Peaks(*map(torch.cat, zip(*each, strict=True)))


def _float32(maps: Tensor) -> Tensor:
    if maps.device.type not in ("cpu", "cuda"):
        maps = maps.cpu()  # other devices have no float64
    return (maps.abs() if maps.is_complex() else maps).float()
