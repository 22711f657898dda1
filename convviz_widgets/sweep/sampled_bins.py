"""The histograms of all layers, counted over some of the images."""

from __future__ import annotations

import torch
from torch import Tensor

from convviz_widgets.sweep import bins


class SampledBins:
    """Counts the maps of every layer, as soon as there are enough to be worth the counting."""

    def __init__(self) -> None:
        self._layers: dict[str, _Layer] = {}

    def add(self, layer: str, maps: Tensor, *, finite: bool) -> None:
        """Add maps, float32 (R, C, P).

        Parameters
        ----------
        finite : all values are known to be.
        """
        if layer not in self._layers:
            self._layers[layer] = _Layer(maps)
        self._layers[layer].add(maps, finite)

    def put_into(self, counts: Tensor, slices: dict[str, slice]) -> None:
        """Write all counts into int32 (channels, SLOTS), each layer's where its channels are."""
        for name, layer in self._layers.items():
            counts[slices[name]] = layer.counted().cpu()


class _Layer:
    """The counts of one layer, and the maps that wait to be counted, in memory that stays."""

    def __init__(self, maps: Tensor) -> None:
        _, channels, positions = maps.shape
        self._counts = maps.new_zeros((channels, bins.SLOTS), dtype=torch.int32)
        rows = bins.AT_ONCE // max(1, channels * positions)
        self._waiting = maps.new_empty((rows, channels, positions))
        self._rows = 0
        self._finite = True

    def add(self, maps: Tensor, finite: bool) -> None:
        if self._rows + len(maps) > len(self._waiting):
            self.counted()
        if len(maps) > len(self._waiting):
            bins.count(self._counts, maps, finite=finite)
            return
        self._waiting[self._rows : self._rows + len(maps)] = maps
        self._rows += len(maps)
        self._finite &= finite

    def counted(self) -> Tensor:
        """Return the counts of all maps so far."""
        if self._rows:
            bins.count(self._counts, self._waiting[: self._rows], finite=self._finite)
        self._rows, self._finite = 0, True
        return self._counts
