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
    source: str = "probe"
    """Where the counts are: "probe" (the state's history) or "sweep"."""


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


@dataclass(frozen=True, eq=False)
class CheckpointRatios:
    """‖W − W₀‖/‖W₀‖ from one checkpoint to the next, of one layer."""

    layer: str
    steps: NDArray[np.int64]
    """Of the later checkpoint of each pair."""
    apart: NDArray[np.int64]
    """Steps between the two."""
    values: NDArray[np.float64]


def layer_of(parameter: str) -> str:
    """Return the layer that a parameter belongs to: "conv1" for "conv1.weight"."""
    return parameter.rpartition(".")[0] or parameter
