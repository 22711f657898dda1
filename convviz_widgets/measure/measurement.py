"""The record of what was measured at one checkpoint: counts and numbers, without any tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from convviz_widgets.measure.answers import AnswerFacts
from convviz_widgets.probe import LayerInfo
from convviz_widgets.tensors import Distribution

WEIGHTS = "weights"
BIASES = "biases"
PRE_ACTIVATIONS = "pre-activations"
OUTPUTS = "outputs"
OUTPUT_GRADIENTS = "output gradients"
WEIGHT_GRADIENTS = "weight gradients"

QUANTITIES = (WEIGHTS, BIASES, PRE_ACTIVATIONS, OUTPUTS, OUTPUT_GRADIENTS, WEIGHT_GRADIENTS)
"""What there are distributions of. Pre-activations are what an activation takes in; outputs are
what any layer puts out, of an activation its post-activations."""

Name = tuple[str, str]
"""A layer, and which of its quantities."""


@dataclass(frozen=True)
class FilterFacts:
    """How noisy the filters of a convolution are, and how they came to be.

    Attributes
    ----------
    share : share of filters at or above the percentile, see `tensors.noisiness`.
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
    loss : that on the batch.
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

    @cached_property
    def nbytes(self) -> int:
        """Bytes that the counts take, about all there is; asked whenever another is kept."""
        counts = sum(each.counts.nbytes for each in self.distributions.values())
        return counts + sum(each.nbytes for each in self.fired.values())

    def gradients_over_depth(self, layers: Sequence[LayerInfo]) -> dict[str, Distribution]:
        """Return the gradients by the outputs of those layers with weights of 2 dimensions or more.

        They are in the order of ``layers``.
        """
        names = [info.name for info in layers if len(info.weight_shape or ()) >= 2]
        found = {name: self.distributions.get((name, OUTPUT_GRADIENTS)) for name in names}
        return {name: counted for name, counted in found.items() if counted is not None}


def gradient_norm(counted: Distribution) -> float:
    """Return the Euclidean norm of a gradient; infinite where a value of it is not finite."""
    return math.inf if counted.non_finite else counted.moments.norm
