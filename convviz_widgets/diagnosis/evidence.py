"""Evidence: everything that was measured of a run; what is unknown is empty or None."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from convviz_widgets.diagnosis.curve import Curve
from convviz_widgets.diagnosis.measurements import (
    Answered,
    FilterNoise,
    Firing,
    GradientDepth,
    RunCurves,
    TensorFacts,
)
from convviz_widgets.instrument import Duplicates, InputStatistics, Leak


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the rules are given; the steps of each list ascend."""

    curves: RunCurves = field(default_factory=RunCurves)
    validation_images: int | None = None
    """Images behind the validation accuracy."""
    classes: int | None = None
    """K where the loss is the cross-entropy of K classes."""
    firing: tuple[Firing, ...] = ()
    gradients: tuple[GradientDepth, ...] = ()
    tensors: tuple[TensorFacts, ...] = ()
    """Of every kind, outputs among them."""
    weights: tuple[TensorFacts, ...] = ()
    """Of at least two dimensions: no norm scales."""
    biases: tuple[TensorFacts, ...] = ()
    pre_activations: tuple[TensorFacts, ...] = ()
    checkpoint_ratios: Mapping[str, Curve] = field(default_factory=dict)
    """Layer → ‖W − W₀‖/‖W₀‖ from the checkpoint before, divided by the steps between them."""
    filters: tuple[FilterNoise, ...] = ()
    answers: tuple[Answered, ...] = ()
    inputs: InputStatistics | None = None
    states_preprocessing: bool = False
    """Whether a mean and std are stated, which the inputs can be held against."""
    duplicates: Duplicates | None = None
    leak: Leak | None = None
    batches: tuple[tuple[bytes, ...], ...] = ()
    """Digests of the samples of each batch of a loader."""
