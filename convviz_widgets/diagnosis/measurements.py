"""What the rules take: frozen facts that were measured elsewhere, in few numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from convviz_widgets.diagnosis.curve import Curve


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
    low: float
    high: float


def layer_of(parameter: str) -> str:
    """Return the layer that a parameter belongs to: "conv1" for "conv1.weight"."""
    return parameter.rpartition(".")[0] or parameter


@dataclass(frozen=True)
class FilterNoise:
    """How noisy the filters of a layer are at one checkpoint, and how they came to be.

    Of kernels from 4×4 up: smaller ones have too few positions for the percentiles to mean much.
    """

    layer: str
    step: int
    share: float
    """Of filters at or above the percentile, see `tensors.noisiness`."""
    count: int
    """Filters that can be ranked."""
    cosine: float = float("nan")
    """Between the weights and those of step 0; NaN without."""
    update_share: float = float("nan")
    """Share of noisy filters in what has changed since step 0; NaN without."""


@dataclass(frozen=True)
class AnswerFacts:
    """What the model answers to many images at one checkpoint."""

    step: int
    images: int
    commonest: int | None = None
    """Class that is answered most often; None for a model that puts out something else."""
    share: float = float("nan")
    """Of the images to which it is answered."""
    label_share: float = float("nan")
    """Largest share of one label among these images; NaN without labels."""
    pictures: int = 0
    """Pairs of output and target picture, those of a grey target left out."""
    chroma: float = float("nan")
    """Mean chroma of the outputs, divided by that of the targets."""
    contrast: float = float("nan")
    """Median over the images: luminance std of the output, divided by that of the target."""
    worst: int | None = None
    """Index of the image that lost most."""
