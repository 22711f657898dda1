"""The result of a sweep: statistics and strongest images of every channel."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from convviz_widgets.checkpoints import label_at
from convviz_widgets.errors import InputError, SelectionError, checked_index, number_of
from convviz_widgets.images.reading import ModelInputs
from convviz_widgets.probe import LayerInfo, Probe, ReceptiveFields
from convviz_widgets.sweeps.histograms import to_histogram
from convviz_widgets.sweeps.part import Part
from convviz_widgets.sweeps.plan import Plan
from convviz_widgets.sweeps.statistics import Statistics, Sums
from convviz_widgets.sweeps.storage import read_sweep, write_sweep
from convviz_widgets.sweeps.subject import Subject, data_fingerprint


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
        at = f" at {number_of(len(self.parts), 'checkpoint')}" if self.series else ""
        seen = f"{self.count:,} of {number_of(self.subject.count, 'image')}"
        return f"<SweepResult: {seen}{at}, {number_of(len(self.layers), 'layer')}>"

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
            _remark(
                f"{layer.name} at {label_at(self.steps, index)}" if self.series else layer.name,
                part.statistics.sums.of(self.subject.channels(layer.name)),
            )
            for index, part in enumerate(self.parts)
            for layer in self.layers
        )
        return tuple(line for line in lines if line)

    def at(self, index: int) -> SweepResult:
        """Return the result of one checkpoint."""
        if not self.series:
            raise SelectionError("this result is about one set of weights: it has no checkpoints")
        if not -len(self.parts) <= index < len(self.parts):
            raise SelectionError(f"no checkpoint {index}; there are 0 to {len(self.parts) - 1}")
        return SweepResult(self.subject.at(index), (self.parts[index],), self.fields, series=False)

    def top(self, layer: str | LayerInfo, channel: int) -> list[Any]:
        """Return the images in which a channel is strongest, as `Hit` objects, the strongest first.

        At most k, at most one of each group, of equal ones the first. NaN counts as nothing.
        """
        info = self.subject.layer(_name(layer))
        index = checked_index("channel", channel, info.shape[0], info.name)
        return self._each(layer, lambda known: known.top.hits(index, info, self.fields))

    def fired(self, layer: str | LayerInfo) -> Tensor:
        """Return in how many images a channel's map was not zero everywhere: int64 (C,)."""
        return self._tensor(layer, lambda sums: sums.fired)

    def dead(self, layer: str | LayerInfo) -> Tensor:
        """Return which channels were zero everywhere in every image: bool (C,).

        After n images without firing a channel's rate is below 3/n, with 95 % confidence.
        Activations that are never exactly zero (GELU, SiLU, sigmoid) have no dead channels.
        """
        return self._tensor(layer, lambda sums: (sums.fired == 0) & (sums.values > 0))

    def mean(self, layer: str | LayerInfo) -> Tensor:
        """Return the mean of all finite values: float64 (C,); NaN where there are none."""
        return self._tensor(layer, lambda sums: sums.mean.where(sums.values > 0, torch.nan))

    def std(self, layer: str | LayerInfo) -> Tensor:
        """Return the standard deviation of all finite values (divided by n): float64 (C,)."""
        return self._tensor(layer, lambda sums: (sums.squares / sums.values).sqrt())

    def max(self, layer: str | LayerInfo) -> Tensor:
        """Return the largest value, NaN left out: float32 (C,)."""
        return self._tensor(layer, lambda sums: sums.maximum)

    def nan(self, layer: str | LayerInfo) -> Tensor:
        """Return how many values were NaN: int64 (C,)."""
        return self._tensor(layer, lambda sums: sums.nan)

    def infinite(self, layer: str | LayerInfo) -> Tensor:
        """Return how many values were infinite: int64 (C,)."""
        return self._tensor(layer, lambda sums: sums.infinite)

    def histogram(self, layer: str | LayerInfo, channel: int | None = None) -> Any:
        """Return the distribution of a layer's values, or of one channel's, as a `Histogram`.

        Four bins an octave from ±2**-12 to ±2**12. Of a data set of up to 255 images all are
        counted, of a larger one evenly many: at least 128, at least one in 32. ``n`` says how many
        values.
        """
        info = self.subject.layer(_name(layer))
        if channel is None:
            return self._each(layer, lambda known: to_histogram(known.counts.sum(0)))
        index = checked_index("channel", channel, info.shape[0], info.name)
        return self._each(layer, lambda known: to_histogram(known.counts[index]))

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
        return replace(self, subject=self.subject.with_weights(index, fingerprint))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result to one safetensors file, complete or not at all.

        Raises
        ------
        CheckpointError
            The file cannot be written.
        """
        write_sweep(path, self.subject, self.parts, self.fields, series=self.series)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SweepResult:
        """Return a result that `save` has written; nothing in the file is run.

        Raises
        ------
        CheckpointError
            In one line, when the file cannot be read or is something else.
        """
        return cls(*read_sweep(path))

    def _each(self, layer: str | LayerInfo, read: Callable[[Statistics], Any]) -> Any:
        """Return what is read at each checkpoint; without checkpoints, that alone."""
        channels = self.subject.channels(_name(layer))
        found = [read(part.statistics.of(channels)) for part in self.parts]
        return found if self.series else found[0]

    def _tensor(self, layer: str | LayerInfo, read: Callable[[Sums], Tensor]) -> Tensor:
        """Return what is read of the sums: a tensor of the caller's own."""
        found = self._each(layer, lambda known: read(known.sums).clone())
        return torch.stack(found) if self.series else found


def _name(layer: str | LayerInfo) -> str:
    return layer.name if isinstance(layer, LayerInfo) else layer


def _remark(where: str, sums: Sums) -> str:
    nan, infinite = sums.nan, sums.infinite
    found = []
    if nan.any():
        channels, first = int((nan > 0).sum()), int(sums.first_nan.min())
        found.append(f"{int(nan.sum()):,} NaN in {channels} channels, first in image {first}")
    if infinite.any():
        found.append(f"{int(infinite.sum()):,} infinite values")
    return f"{where}: {'; '.join(found)}" if found else ""


def empty_result(
    probe: Probe, plan: Plan, items: ModelInputs, steps: tuple[int, ...] | None
) -> SweepResult:
    """Return the result before any image.

    Parameters
    ----------
    steps : those of a series of checkpoints; None: one set of weights.
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
