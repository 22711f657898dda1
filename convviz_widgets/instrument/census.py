"""The census: which channels fire, and what the model answers, over many images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from convviz_widgets.instrument.answers import Answers
from convviz_widgets.instrument.filter_measuring import measure_filters
from convviz_widgets.instrument.image_set import ImageSet
from convviz_widgets.instrument.measurement import Measurement
from convviz_widgets.instrument.measuring import fired_images
from convviz_widgets.instrument.probe import Probe


@dataclass(frozen=True, eq=False)
class Batch:
    """Some images of a set, and what is expected for them."""

    indices: Sequence[int]
    inputs: Tensor
    """(B, C, H, W)"""
    expected: Tensor | None
    """Labels (B,), target pictures (B, C', H', W'), or None."""


def measure_census(
    probe: Probe,
    images: ImageSet,
    batches: Iterable[Batch],
    initial: Mapping[str, Tensor] | None = None,
) -> Measurement:
    """Count where each channel of every activation is not zero, and what the model answers.

    One forward pass for each batch; nothing but counts outlives it. The noise of the filters is
    measured as well, against the ``initial`` weights where those are known.
    """
    fired: dict[str, np.ndarray] = {}
    answers = Answers(images)
    for batch in batches:
        recording = probe.record(batch.inputs)
        answers.add(batch.indices, recording.result, batch.expected)
        for layer in recording.inputs:
            maps = recording.outputs[layer]  # (N, C, ...)
            if maps.ndim >= 2:
                fired[layer] = fired.get(layer, 0) + fired_images(maps)
    facts = answers.facts
    filters = measure_filters(probe, initial).filters
    return Measurement(facts.images, fired=fired, filters=filters, answers=facts)


def spread_over(size: int, count: int) -> tuple[int, ...]:
    """Return ``count`` of ``size`` images, spread evenly over them, the first included."""
    return tuple(index * size // count for index in range(count))
