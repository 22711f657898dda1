"""One batch through the model, summed up over all layers."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from convviz_widgets.errors import ModelError
from convviz_widgets.instrument import Probe
from convviz_widgets.instrument.observing_tape import ObservingTape

from .maps import MapSummary, summarise
from .plan import Plan
from .sums import Sums


def batch_summary(
    probe: Probe, plan: Plan, images: Tensor, indices: Tensor, least: Tensor
) -> MapSummary:
    """Return the summary of one batch, the channels of all layers of a plan in a row.

    Every layer is summed up while it is there: no output is kept, or cloned.

    Parameters
    ----------
    images : (R, C, H, W), at most a batch; it is filled up to a whole one.
    indices : int64 (R,), which images these are.
    least : float32 (channels,), what a value must exceed for its place to be told.
    """
    rows = len(images)
    sampled = (indices % plan.stride == 0).nonzero().flatten()
    found: dict[str, MapSummary] = {}

    def observe(layer: str, output: Tensor) -> None:
        channels = plan.slices.get(layer)
        if channels is not None:
            maps = output[:rows].reshape(rows, channels.stop - channels.start, -1)
            found[layer] = summarise(_float32(maps), indices, least[channels], sampled)

    filling = images[:1].expand(plan.batch_size - rows, *images.shape[1:])
    probe.follow(torch.cat([images, filling]), partial(ObservingTape, observe=observe))
    for layer in plan.slices:
        if layer not in found:
            raise ModelError(f"layer {layer!r} did not run for image {int(indices[0])}")
    return _side_by_side([found[layer] for layer in plan.slices])


def _side_by_side(summaries: list[MapSummary]) -> MapSummary:
    return MapSummary(
        Sums.side_by_side([summary.sums for summary in summaries]),
        torch.cat([summary.peaks for summary in summaries], 1).cpu(),
        torch.cat([summary.places for summary in summaries], 1).cpu(),
    )


def _float32(maps: Tensor) -> Tensor:
    return (maps.abs() if maps.is_complex() else maps).float()
