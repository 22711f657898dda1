"""What the rules take: frozen facts that were measured elsewhere, in few numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from convviz_widgets.diagnosis.curve import Curve
from convviz_widgets.instrument import BIASES, WEIGHTS, AnswerFacts, FilterFacts
from convviz_widgets.tensors import Distribution


@dataclass(frozen=True, eq=False)
class RunCurves:
    """The metrics of a run that the rules know how to read."""

    loss: Curve | None = None
    """Of the training data."""
    validation_loss: Curve | None = None
    accuracy: Curve | None = None
    """Of the training data, in [0, 1]."""
    validation_accuracy: Curve | None = None
    gradient_norms: Mapping[str, Curve] = field(default_factory=dict)
    """Parameter → ‖∂loss/∂parameter‖."""
    update_ratios: Mapping[str, Curve] = field(default_factory=dict)
    """Weight → ‖ΔW‖/‖W‖ of a step."""
    learning_rate: Curve | None = None


@dataclass(frozen=True, eq=False)
class Firing:
    """On how many images each channel of a layer was not zero everywhere, at one checkpoint."""

    layer: str
    step: int
    fired: NDArray[np.int64]
    """(C,)"""
    images: int


@dataclass(frozen=True)
class GradientDepth:
    """Norms of ∂loss/∂output at one checkpoint, over the layers with weights, input first."""

    step: int
    layers: tuple[str, ...]
    norms: tuple[float, ...]
    """Infinite where a value of the gradient is not finite."""
    images: int

    @classmethod
    def of(cls, step: int, gradients: Mapping[str, Distribution], images: int) -> GradientDepth:
        """Return the norms of the gradients by the outputs of layers, input first."""
        counted = gradients.values()
        norms = [math.inf if each.non_finite else each.moments.norm for each in counted]
        return cls(step, tuple(gradients), tuple(norms), images)


@dataclass(frozen=True)
class TensorFacts:
    """What a layer's weights, biases, outputs or pre-activations are like at one checkpoint."""

    layer: str
    what: str
    """The quantity, such as "weights"."""
    step: int
    n: int
    non_finite: int
    mean: float
    std: float
    skew: float
    median: float
    """NaN for what is neither weights nor biases."""
    low: float
    high: float

    @classmethod
    def of(cls, layer: str, what: str, step: int, counted: Distribution) -> TensorFacts:
        """Return the facts of what was counted."""
        moments = counted.moments
        is_parameter = what in (WEIGHTS, BIASES)
        return cls(
            layer=layer,
            what=what,
            step=step,
            n=counted.n,
            non_finite=counted.non_finite,
            mean=moments.mean,
            std=moments.std,
            skew=moments.skew,
            median=float(counted.percentiles([50.0])[0]) if is_parameter else math.nan,
            low=counted.low,
            high=counted.high,
        )

    @property
    def size(self) -> float:
        """The largest magnitude."""
        return max(-self.low, self.high)

    @property
    def deviation(self) -> float:
        """Of the value farthest from the median, in standard deviations."""
        far = max(self.high - self.median, self.median - self.low)
        return far / self.std if self.std > 0 else 0.0

    @property
    def offset(self) -> float:
        """|mean| in standard deviations, 0 for a constant."""
        return abs(self.mean) / self.std if self.std > 0 else 0.0


def layer_of(parameter: str) -> str:
    """Return the layer that a parameter belongs to: "conv1" for "conv1.weight"."""
    return parameter.rpartition(".")[0] or parameter


@dataclass(frozen=True)
class FilterNoise:
    """How noisy the filters of a layer are at one checkpoint.

    Of kernels from 4×4 up: smaller ones have too few positions for the percentiles to mean much.
    """

    layer: str
    step: int
    facts: FilterFacts


@dataclass(frozen=True)
class Answered:
    """What the model answers to many images at one checkpoint."""

    step: int
    facts: AnswerFacts
