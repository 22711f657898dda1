"""What a sweep does: settled once, the same on every machine that takes part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from convviz_widgets.instrument import LayerInfo

_SAMPLE = 128
_RAREST = 32
_BATCHES_OF_A_PART = 16


@dataclass(frozen=True, eq=False)
class Plan:
    """The settings of a sweep.

    Attributes
    ----------
    layers : those that are swept.
    count : images in the data set, failing ones too.
    batch_size : of every batch, so that the same image gives the same numbers wherever it stands;
        what is missing is filled up and left out of the sums.
    k : places in each channel's top list.
    groups : int64 (count,), the source of each image; None: each its own.
    skip : an item that cannot be loaded is left out instead of stopping the sweep.
    directions : layer → (D, C): what counts as its channels is what lies along these directions.
    """

    layers: tuple[LayerInfo, ...]
    count: int
    batch_size: int
    k: int
    groups: Tensor | None
    skip: bool
    directions: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def stride(self) -> int:
        """Histograms count every so many-th image, no fewer than 128 and no fewer than 1 in 32."""
        return min(max(1, self.count // _SAMPLE), _RAREST)

    @property
    def part(self) -> int:
        """How many images are swept before the result is put together and can be saved."""
        return self.batch_size * _BATCHES_OF_A_PART

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Layer → its channels among those of all layers in a row."""
        return slices_of(self.layers)

    @property
    def channels(self) -> int:
        """Channels of all layers."""
        return sum(layer.shape[0] for layer in self.layers)

    def seen(self, layer: str, output: Tensor) -> Tensor:
        """Return a layer's output (N, C, ...) as the plan looks at it: (N, C or D, ...)."""
        if layer not in self.directions:
            return output
        along = self.directions[layer].to(output)
        return torch.tensordot(output, along, dims=([1], [1])).movedim(-1, 1)


def slices_of(layers: tuple[LayerInfo, ...]) -> dict[str, slice]:
    """Return layer → its channels, those of all layers standing in a row."""
    slices, end = {}, 0
    for layer in layers:
        slices[layer.name] = slice(end, end := end + layer.shape[0])
    return slices
