"""Evidence: everything that was measured of a run; what is unknown is empty or None."""

from __future__ import annotations

from dataclasses import dataclass, field

from convviz_widgets.diagnosis.measurements import Firing, GradientDepth, RunCurves, TensorFacts


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
    input_rms: float | None = None
