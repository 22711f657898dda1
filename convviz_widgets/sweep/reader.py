"""Takes batches through a model and adds up what every channel does."""

from __future__ import annotations

import torch
from torch import Tensor

from convviz_widgets.errors import ModelError
from convviz_widgets.instrument import Probe
from convviz_widgets.sweep import bins
from convviz_widgets.sweep.maps import MapSummary, Peaks, summarise
from convviz_widgets.sweep.plan import Plan
from convviz_widgets.sweep.sampled_bins import SampledBins
from convviz_widgets.sweep.statistics import Statistics
from convviz_widgets.sweep.sums import Sums
from convviz_widgets.sweep.top import Top


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
