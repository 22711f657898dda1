"""The histograms of all layers, counted over some of the images."""

from __future__ import annotations

import torch
from torch import Tensor

from convviz_widgets.sweep import bins


class SampledBins:
    """Counts the maps of every layer, as soon as there are enough to be worth the counting."""

    def __init__(self) -> None:
        self._counts: dict[str, Tensor] = {}
        self._waiting: dict[str, list[Tensor]] = {}
        self._finite: dict[str, bool] = {}

    def add(self, layer: str, maps: Tensor, *, finite: bool) -> None:
        """Add maps, float32 (R, C, P), which must not change any more.

        Parameters
        ----------
        finite : all values are known to be.
        """
        waiting = self._waiting.setdefault(layer, [])
        waiting.append(maps)
        self._finite[layer] = finite and self._finite.get(layer, True)
        if sum(some.numel() for some in waiting) >= bins.AT_ONCE:
            self._count(layer)

    def put_into(self, counts: Tensor, slices: dict[str, slice]) -> None:
        """Write all counts into int32 (channels, SLOTS), each layer's where its channels are."""
        for layer in list(self._waiting):
            self._count(layer)
        for layer, own in self._counts.items():
            counts[slices[layer]] = own.cpu()

    def _count(self, layer: str) -> None:
        waiting = self._waiting.pop(layer)
        maps = waiting[0] if len(waiting) == 1 else torch.cat(waiting)
        if layer not in self._counts:
            size = (maps.shape[1], bins.SLOTS)
            self._counts[layer] = torch.zeros(size, dtype=torch.int32, device=maps.device)
        bins.count(self._counts[layer], maps, finite=self._finite.pop(layer))
