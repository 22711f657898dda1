"""The plan of a sweep: its settings, and which images it has covered."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from convviz_widgets.errors import InputError, ModelError, UnknownLayerError, unknown
from convviz_widgets.probe import LayerInfo, Probe
from convviz_widgets.sweeps.subject import slices_of

TOP = 9
"""Images that are kept for each channel unless told otherwise, as in Zeiler and Fergus."""

_SAMPLE = 128
_RAREST = 32
_BATCHES_OF_A_PART = 16


@dataclass(frozen=True, eq=False)
class Plan:
    """The settings of a sweep, the same on every machine that takes part.

    Attributes
    ----------
    layers : those that are swept.
    count : images in the data set, failing ones too.
    batch_size : images in each, so that the same image gives the same numbers wherever it stands;
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
    def histogram_stride(self) -> int:
        """Histograms count every so many-th image, no fewer than 128 and no fewer than 1 in 32."""
        return min(max(1, self.count // _SAMPLE), _RAREST)

    @property
    def part_size(self) -> int:
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

    def projected(self, layer: str, output: Tensor) -> Tensor:
        """Return an output (N, C, ...), along the layer's directions if any: (N, C or D, ...)."""
        if layer not in self.directions:
            return output
        along = self.directions[layer].to(output)
        return torch.tensordot(output, along, dims=([1], [1])).movedim(-1, 1)


def group_numbers(groups: Sequence[Hashable] | Tensor | bool | None, count: int) -> Tensor | None:
    """Return the groups as numbers, int64 (count,), in the order of their first image.

    None and False: each image its own.
    """
    if groups is None or groups is False:
        return None
    if groups is True:
        raise InputError("groups must be one source for each image, or False, got True")
    sources = groups.tolist() if isinstance(groups, Tensor) else list(groups)
    if len(sources) != count:
        raise InputError(f"got {len(sources)} groups for {count} images")
    numbers: dict[Hashable, int] = {}
    return torch.tensor([numbers.setdefault(source, len(numbers)) for source in sources])


@dataclass(frozen=True)
class Coverage:
    """A set of image indices, as spans [start, stop) in order that do not touch."""

    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, spans: Iterable[tuple[int, int]]) -> Coverage:
        """Return the set of all spans; those that touch become one."""
        joined: list[tuple[int, int]] = []
        for start, stop in sorted(span for span in spans if span[0] < span[1]):
            if joined and start <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(stop, joined[-1][1])
            else:
                joined.append((start, stop))
        return cls(tuple(joined))

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self.spans)

    def __or__(self, other: Coverage) -> Coverage:
        return Coverage.of((*self.spans, *other.spans))

    @property
    def end(self) -> int:
        """One more than the last image."""
        return self.spans[-1][1] if self.spans else 0

    def within(self, wanted: range) -> Coverage:
        """Return the images that are in a range."""
        spans = ((max(a, wanted.start), min(b, wanted.stop)) for a, b in self.spans)
        return Coverage.of(spans)

    def overlaps(self, other: Coverage) -> bool:
        """Tell whether an image is in both."""
        return len(self | other) < len(self) + len(other)

    def missing(self, wanted: range, size: int) -> Iterator[range]:
        """Return what is missing of a range, in ranges that end at multiples of ``size``."""
        position = wanted.start
        for start, stop in (*self.spans, (wanted.stop, wanted.stop)):
            gap = min(start, wanted.stop)
            while position < gap:
                end = min(gap, position - position % size + size)
                yield range(position, end)
                position = end
            position = max(position, stop)


def swept_layers(
    probe: Probe, image: Tensor, names: Collection[str] | None
) -> tuple[LayerInfo, ...]:
    """Return the layers to sweep, in execution order: those named, or all that can be.

    A layer can be swept if it puts out a map for each image, or a list of features; not an empty
    one.

    Parameters
    ----------
    image : (1, C, H, W), any image of the data set.
    """
    if isinstance(names, str):
        raise InputError(f"layers are a list of names: write [{names!r}]")
    known = {layer.name: layer for layer in probe.layers}
    for name in names or ():
        if name not in known:
            raise UnknownLayerError(unknown("layer", name, known, "this model has"))
    fitting = _one_output_an_image(probe, image)
    for name in names or ():
        if name not in fitting:
            raise ModelError(f"layer {name!r} cannot be swept: it mixes the images of a batch")
        if known[name].without_channels:
            raise ModelError(known[name].without_channels)
    fitting &= {layer.name for layer in probe.layers if layer.has_channels}
    chosen = fitting if names is None else set(names)
    if not chosen:
        raise InputError("no layers to sweep")
    return tuple(layer for layer in probe.layers if layer.name in chosen)


def _one_output_an_image(probe: Probe, image: Tensor) -> set[str]:
    shapes: dict[str, tuple[int, ...]] = {}

    def observe(layer: str, output: Tensor) -> None:
        shapes[layer] = tuple(output.shape)

    probe.observe(torch.cat([image, image]), observe)
    return {
        layer.name
        for layer in probe.layers
        if shapes.get(layer.name) == (2, *layer.shape) and 0 not in layer.shape
    }
