"""What a sweep has found."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.errors import InputError, SelectionError, UnknownLayerError, unknown
from convviz_widgets.images.reading import Items
from convviz_widgets.probe import FieldBox, LayerInfo, Probe, ReceptiveFields
from convviz_widgets.probe.attribution import within
from convviz_widgets.sweeps import bins
from convviz_widgets.sweeps.fingerprint import data_fingerprint
from convviz_widgets.sweeps.part import Part
from convviz_widgets.sweeps.plan import Plan, slices_of
from convviz_widgets.sweeps.sums import Statistics
from convviz_widgets.tensors import Histogram


@dataclass(frozen=True, eq=False)
class SweepResult:
    """Every channel of every layer over a whole data set.

    With ``checkpoints=`` whatever a method returns has a leading axis, one entry for each
    checkpoint (a list, where a single result is no tensor); `at` picks one of them.

    Attributes
    ----------
    subject : the layers, checkpoints and data set that it is about, with their fingerprints.
    parts : what is known at each checkpoint.
    fields : what units see of an image, None for images without rows and columns.
    series : whether there is a leading axis.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())
    >>> _ = model[0].weight.data.fill_(1.0), model[0].bias.data.copy_(torch.tensor([0.0, -9.0]))
    >>> found = cvw.sweep(model, torch.ones(4, 1, 8, 8), progress=False)
    >>> found.fired("1")  # of 4 images
    tensor([4, 0])
    >>> found.dead("1")
    tensor([False,  True])
    """

    subject: Subject
    parts: tuple[Part, ...]
    fields: ReceptiveFields | None
    series: bool

    def __repr__(self) -> str:
        at = f" at {len(self.parts)} checkpoints" if self.series else ""
        seen, layers = f"{self.count:,} of {self.subject.count:,} images", len(self.layers)
        return f"<SweepResult: {seen}{at}, {layers} layers>"

    @property
    def count(self) -> int:
        """Images that every number is about, the n to show; failed ones are left out."""
        return min(part.count for part in self.parts)

    @property
    def complete(self) -> bool:
        """Whether every image of the data set was swept, or reported, at every checkpoint."""
        return all(len(part.coverage) == self.subject.count for part in self.parts)

    @property
    def steps(self) -> tuple[int, ...]:
        """Training steps of the checkpoints; () for a model without."""
        return self.subject.steps

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """The layers swept, in execution order; methods take them, or their names."""
        return self.subject.layers

    @property
    def failures(self) -> dict[int, str]:
        """Index → one line, for the images that could not be loaded."""
        return {index: line for part in self.parts for index, line in part.failures.items()}

    @property
    def remarks(self) -> tuple[str, ...]:
        """One line for each layer that had NaN or infinite values: how many, where first."""
        lines = (
            _remark(layer.name, self._of(part, layer), f" at step {step}" if self.series else "")
            for part, step in zip(self.parts, self.steps or (0,), strict=True)
            for layer in self.layers
        )
        return tuple(line for line in lines if line)

    def at(self, index: int) -> SweepResult:
        """Return the result of one checkpoint."""
        if not self.series:
            raise SelectionError("this result is about one set of weights: it has no checkpoints")
        if not -len(self.parts) <= index < len(self.parts):
            raise SelectionError(f"no checkpoint {index}; there are 0 to {len(self.parts) - 1}")
        subject = replace(
            self.subject, steps=(self.steps[index],), weights=(self.subject.weights[index],)
        )
        return SweepResult(subject, (self.parts[index],), self.fields, series=False)

    def top(self, layer: str | LayerInfo, channel: int) -> list[Any]:
        """Return the images in which a channel is strongest, as `Hit` objects, the strongest first.

        At most k, at most one of each group, of equal ones the first. NaN counts as nothing.
        """
        found = [self._hits(self._of(part, layer), layer, channel) for part in self.parts]
        return found if self.series else found[0]

    def fired(self, layer: str | LayerInfo) -> Tensor:
        """Return in how many images a channel's map was not zero everywhere: int64 (C,)."""
        return self._each(layer, lambda known: known.sums.fired)

    def dead(self, layer: str | LayerInfo) -> Tensor:
        """Return which channels were zero everywhere in every image: bool (C,).

        After n images without firing a channel's rate is below 3/n, with 95 % confidence.
        Activations that are never exactly zero (GELU, SiLU, sigmoid) have no dead channels.
        """
        return self._each(layer, lambda known: (known.sums.fired == 0) & (known.sums.values > 0))

    def mean(self, layer: str | LayerInfo) -> Tensor:
        """Return the mean of all finite values: float64 (C,); NaN where there are none."""
        return self._each(
            layer, lambda known: known.sums.mean.where(known.sums.values > 0, torch.nan)
        )

    def std(self, layer: str | LayerInfo) -> Tensor:
        """Return the standard deviation of all finite values (divided by n): float64 (C,)."""
        return self._each(layer, lambda known: (known.sums.squares / known.sums.values).sqrt())

    def max(self, layer: str | LayerInfo) -> Tensor:
        """Return the largest value, NaN left out: float32 (C,)."""
        return self._each(layer, lambda known: known.sums.maximum)

    def nan(self, layer: str | LayerInfo) -> Tensor:
        """Return how many values were NaN: int64 (C,)."""
        return self._each(layer, lambda known: known.sums.nan)

    def infinite(self, layer: str | LayerInfo) -> Tensor:
        """Return how many values were infinite: int64 (C,)."""
        return self._each(layer, lambda known: known.sums.infinite)

    def histogram(self, layer: str | LayerInfo, channel: int | None = None) -> Any:
        """Return the distribution of a layer's values, or of one channel's, as a `Histogram`.

        Four bins an octave from ±2**-12 to ±2**12. Of a data set of up to 255 images all are
        counted, of a larger one evenly many: at least 128, at least one in 32. ``n`` says how many
        values.
        """

        def of(part: Part) -> Histogram:
            counts = self._of(part, layer).bins
            if channel is None:
                return bins.histogram(counts.sum(0))
            return bins.histogram(counts[within("channel", channel, len(counts), _name(layer))])

        found = [of(part) for part in self.parts]
        return found if self.series else found[0]

    def merge(self, other: SweepResult) -> SweepResult:
        """Return the result over the images of both, in whatever order they are merged.

        Raises
        ------
        InputError
            They are about other weights or data, or have images in common.
        """
        if not isinstance(other, SweepResult):
            raise InputError(f"expected a SweepResult to merge with, got {type(other).__name__}")
        subject = self.subject.joined(other.subject)
        pairs = list(zip(self.parts, other.parts, strict=True))
        for mine, theirs in pairs:
            if mine.coverage.overlaps(theirs.coverage):
                raise InputError("these results have images in common: each counts once")
        merged = tuple(mine.merged(theirs) for mine, theirs in pairs)
        return SweepResult(subject, merged, self.fields, self.series)

    def with_part(self, index: int, part: Part) -> SweepResult:
        """Return the result with more images at one checkpoint."""
        parts = list(self.parts)
        parts[index] = parts[index].merged(part)
        return replace(self, parts=tuple(parts))

    def with_weights(self, index: int, fingerprint: str) -> SweepResult:
        """Return the result with the fingerprint of a checkpoint's weights noted.

        Raises
        ------
        InputError
            Another one is noted there: what is known is about other weights.
        """
        known = self.subject.weights
        if known[index] not in ("", fingerprint):
            name = self.subject.weights_name(index)
            raise InputError(f"cannot resume: the {name} are not those of the earlier result")
        weights = (*known[:index], fingerprint, *known[index + 1 :])
        return replace(self, subject=self.subject.with_weights(weights))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result to one safetensors file, complete or not at all.

        Raises
        ------
        CheckpointError
            The file cannot be written.
        """
        from convviz_widgets.sweeps.storage import write_result

        write_result(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SweepResult:
        """Return a result that `save` has written; nothing in the file is run.

        Raises
        ------
        CheckpointError
            In one line, when the file cannot be read or is something else.
        """
        from convviz_widgets.sweeps.storage import read_result

        return read_result(path)

    @cached_property
    def _slices(self) -> dict[str, slice]:
        return slices_of(self.layers)

    def _of(self, part: Part, layer: str | LayerInfo) -> Statistics:
        name = _name(layer)
        if name not in self._slices:
            raise UnknownLayerError(unknown("layer", name, self._slices, "this sweep has"))
        return part.statistics.of(self._slices[name])

    def _each(self, layer: str | LayerInfo, read: Callable[[Statistics], Tensor]) -> Tensor:
        found = [read(self._of(part, layer)).clone() for part in self.parts]
        return torch.stack(found) if self.series else found[0]

    def _hits(self, known: Statistics, layer: str | LayerInfo, channel: int) -> list[Hit]:
        name = _name(layer)
        index = within("channel", channel, len(known.top.keys), name)
        shape = next(info.shape for info in self.layers if info.name == name)
        places = known.top.of(slice(index, index + 1))
        return [
            self._hit(name, index, image, value, flat, shape[1:])
            for image, value, flat in zip(
                places.images[0].tolist(),
                places.values[0].tolist(),
                places.positions[0].tolist(),
                strict=True,
            )
            if image >= 0
        ]

    def _hit(
        self, layer: str, channel: int, image: int, value: float, flat: int, shape: tuple[int, ...]
    ) -> Hit:
        position = tuple(map(int, np.unravel_index(flat, shape))) if shape else None
        box = None if self.fields is None else self.fields.box(layer, channel, position)
        return Hit(image, value, position, box)


def _name(layer: str | LayerInfo) -> str:
    return layer.name if isinstance(layer, LayerInfo) else layer


def _where_known(known: Statistics, values: Tensor) -> Tensor:
    return values.where(known.sums.values > 0, torch.nan)


def _remark(layer: str, known: Statistics, at: str) -> str:
    nan, infinite = known.sums.nan, known.sums.infinite
    found = []
    if nan.any():
        channels, first = int((nan > 0).sum()), int(known.sums.first_nan.min())
        found.append(f"{int(nan.sum()):,} NaN in {channels} channels, first in image {first}")
    if infinite.any():
        found.append(f"{int(infinite.sum()):,} infinite values")
    return f"{layer}{at}: {'; '.join(found)}" if found else ""


def begun(probe: Probe, plan: Plan, items: Items, steps: tuple[int, ...] | None) -> SweepResult:
    """Return the result before any image.

    Parameters
    ----------
    steps : of a series of checkpoints; None: one set of weights.
    """
    subject = Subject(
        layers=plan.layers,
        steps=steps or (),
        weights=("",) * max(1, len(steps or ())),
        data=data_fingerprint(items, plan.groups),
        count=plan.count,
        image_shape=tuple(items.example.shape[1:]),
        k=plan.k,
    )
    has_boxes = items.example.ndim == 4
    fields = ReceptiveFields.of(probe, items.example) if has_boxes else None
    parts = tuple(Part.empty(plan) for _ in subject.weights)
    return SweepResult(subject, parts, fields, series=steps is not None)


def numbered(groups: Sequence[Hashable] | Tensor | bool | None, count: int) -> Tensor | None:
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
class Hit:
    """Where a channel is strongest in one image.

    Attributes
    ----------
    image : index into the data set.
    value : the channel's maximum over that image's map.
    position : (row, col) of the maximum, the first one of several; None in a layer of features.
    box : the pixels that this unit sees; None for images without rows and columns.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 1, 1))
    >>> _ = model[0].weight.data.fill_(1.0), model[0].bias.data.fill_(0.0)
    >>> images = torch.zeros(3, 1, 4, 4)
    >>> images[2, 0, 1, 3] = 5.0
    >>> best, *others = cvw.sweep(model, images, progress=False).top("0", 0)
    >>> best.image, best.value, best.position
    (2, 5.0, (1, 3))
    """

    image: int
    value: float
    position: tuple[int, ...] | None
    box: FieldBox | None


@dataclass(frozen=True)
class Subject:
    """The layers, the checkpoints and the data set of a sweep.

    Attributes
    ----------
    layers : those swept, in execution order.
    steps : of the checkpoints; () for the model as it was.
    weights : sha256 of each checkpoint's weights, or of the model's; "" of one not loaded yet.
    data : sha256 of the data set, see `data_fingerprint`.
    count : images in the data set.
    image_shape : (C, H, W).
    k : places in each channel's top list.
    """

    layers: tuple[LayerInfo, ...]
    steps: tuple[int, ...]
    weights: tuple[str, ...]
    data: str
    count: int
    image_shape: tuple[int, ...]
    k: int

    def joined(self, other: Subject) -> Subject:
        """Return what both are about.

        Raises
        ------
        InputError
            They are about different things; says which.
        """
        difference = self._difference(other)
        if difference:
            raise InputError(f"these results do not belong together: {difference}")
        pairs = zip(self.weights, other.weights, strict=True)
        return self.with_weights(tuple(mine or theirs for mine, theirs in pairs))

    def with_weights(self, weights: tuple[str, ...]) -> Subject:
        """Return the same with other fingerprints of the weights."""
        return Subject(**{**vars(self), "weights": weights})

    def weights_name(self, index: int) -> str:
        """Say whose weights these are."""
        return f"weights at step {self.steps[index]}" if self.steps else "model's weights"

    def _difference(self, other: Subject) -> str:
        if self.layers != other.layers:
            mine, theirs = _names(self.layers), _names(other.layers)
            same_names = "of other shapes" if mine == theirs else f"{mine} and {theirs}"
            return f"the layers differ, {same_names}"
        if self.steps != other.steps:
            return f"the checkpoints differ, steps {_span(self.steps)} and {_span(other.steps)}"
        for index, pair in enumerate(zip(self.weights, other.weights, strict=True)):
            if "" not in pair and len(set(pair)) > 1:
                return f"the {self.weights_name(index)} differ"
        if (self.count, self.data) != (other.count, other.data):
            return f"the data sets differ, {self.count:,} and {other.count:,} images"
        return f"they keep the top {self.k} and {other.k}" if self.k != other.k else ""


def _names(layers: tuple[LayerInfo, ...]) -> str:
    names = [layer.name for layer in layers]
    return ", ".join(names[:3]) + (f", ... ({len(names)} in all)" if len(names) > 3 else "")


def _span(steps: tuple[int, ...]) -> str:
    return f"{steps[0]:,} to {steps[-1]:,} ({len(steps)})" if steps else "none"
