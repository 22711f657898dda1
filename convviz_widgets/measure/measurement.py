"""Measurement: what a look at a checkpoint has left behind, in counts and few numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from convviz_widgets.tensors import Distribution

WEIGHTS = "weights"

BIASES = "biases"

PRE_ACTIVATIONS = "pre-activations"

OUTPUTS = "outputs"

OUTPUT_GRADIENTS = "output gradients"

WEIGHT_GRADIENTS = "weight gradients"

QUANTITIES = (WEIGHTS, BIASES, PRE_ACTIVATIONS, OUTPUTS, OUTPUT_GRADIENTS, WEIGHT_GRADIENTS)
"""Of which there are distributions. Pre-activations are what an activation takes in; outputs are
what any layer puts out, of an activation its post-activations."""

Name = tuple[str, str]
"""A layer, and what of it."""


@dataclass(frozen=True)
class FilterFacts:
    """How noisy the filters of a convolution are, and how they came to be.

    Attributes
    ----------
    share : of filters at or above the percentile, see `tensors.noisiness`.
    count : filters that can be ranked.
    cosine : between the weights and those of step 0; NaN without these.
    update_share : share of noisy filters in what has changed since step 0; NaN without.
    entropy, relative_entropy : variance entropy, and as a part of that of random kernels; NaN
        where it is undefined.
    """

    share: float
    count: int
    cosine: float = math.nan
    update_share: float = math.nan
    entropy: float = math.nan
    relative_entropy: float = math.nan


@dataclass(frozen=True)
class AnswerFacts:
    """What a model answers to many images: a class for each, or a picture.

    Attributes
    ----------
    images : images that were answered, finite or not.
    commonest : class that is answered most often; None for a model that puts out something else.
    share : of the images to which it is answered.
    label_share : largest share of one label among these images; NaN without labels.
    pictures : pairs of output and target picture.
    chroma : mean chroma of the outputs, divided by that of the targets.
    contrast : median over the images of the luminance's standard deviation, each divided by that
        of its target.
    palest : index of the image that lost most colour, None without a colourful target.
    """

    images: int
    commonest: int | None = None
    share: float = math.nan
    label_share: float = math.nan
    pictures: int = 0
    chroma: float = math.nan
    contrast: float = math.nan
    palest: int | None = None


@dataclass(frozen=True, eq=False)
class Measurement:
    """What was measured at one checkpoint; what was not is empty, None or NaN. No tensor is kept.

    Attributes
    ----------
    images : number of images that were looked at, 0 where none was needed.
    distributions : (layer, quantity) → `Distribution`; the quantities are `QUANTITIES`.
    fired : activation layer → on how many images each channel was not zero everywhere: int64 (C,).
    concentration : activation layer → mean `concentration` of its maps, NaN where all are zero.
    magnitudes : (layer, quantity) → mean magnitude of a gradient.
    update_ratios : layer → ‖W − W₀‖ / ‖W₀‖ from the checkpoint before, NaN from weights of zero.
    filters : convolution → its filters' noise.
    answers : what the model puts out.
    loss : of the batch.
    """

    images: int = 0
    distributions: Mapping[Name, Distribution] = field(default_factory=dict)
    fired: Mapping[str, np.ndarray] = field(default_factory=dict)
    concentration: Mapping[str, float] = field(default_factory=dict)
    magnitudes: Mapping[Name, float] = field(default_factory=dict)
    update_ratios: Mapping[str, float] = field(default_factory=dict)
    filters: Mapping[str, FilterFacts] = field(default_factory=dict)
    answers: AnswerFacts | None = None
    loss: float = math.nan

    @property
    def nbytes(self) -> int:
        """Bytes that the counts take, about all there is."""
        counts = sum(each.counts.nbytes for each in self.distributions.values())
        return counts + sum(each.nbytes for each in self.fired.values())
