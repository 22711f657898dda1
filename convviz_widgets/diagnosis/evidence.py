"""The types of evidence that rules take: curves, firing, gradients, tensors, filters, answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convviz_widgets.images import Duplicates, InputStatistics, Leak
from convviz_widgets.measure import BIASES, WEIGHTS, AnswerFacts, FilterFacts, gradient_norm
from convviz_widgets.record.norms import GRADIENT_NORM
from convviz_widgets.tensors import DepthSlope, Distribution, depth_slope


@dataclass(frozen=True, eq=False)
class Metric:
    """One number over the steps of a run, by its name there."""

    name: str
    steps: NDArray[np.int64] | NDArray[np.float64]
    """(n,), ascending; on the axis of wall times float64, in seconds."""
    values: NDArray[np.float64]
    """(n,); may hold NaN and infinities."""

    @classmethod
    def of_updates(cls, name: str, steps: Sequence[int], ratios: Sequence[float]) -> Metric:
        """Return ‖ΔW‖/‖W‖ between checkpoints, each divided by the steps between the two.

        Parameters
        ----------
        steps
            Training steps of the checkpoints, (n + 1,).
        ratios
            Ratio from each checkpoint but the last to the next, (n,).
        """
        return cls(name, np.array(steps[1:]), np.asarray(ratios, np.float64) / np.diff(steps))

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def finite(self) -> Metric:
        """The curve without the points that are NaN or infinite."""
        known = np.isfinite(self.values)
        return Metric(self.name, self.steps[known], self.values[known])

    def until(self, step: int) -> Metric:
        """Return the curve up to a step, that one included."""
        known = self.steps <= step
        return Metric(self.name, self.steps[known], self.values[known])

    def means_until(self, steps: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of the finite points since the step before, up to each of ``steps``.

        Where a metric is recorded at these very steps, that is its value there; where it is
        recorded at each training step and ``steps`` are those of evaluations, its mean over the
        interval before each. NaN where there is none.
        """
        known = self.finite
        ends = np.searchsorted(known.steps, steps, side="right")
        starts = np.concatenate([[0], ends[:-1]])
        sums = np.concatenate([[0.0], np.cumsum(known.values)])
        counts = ends - starts
        total = sums[ends] - sums[starts]
        return np.divide(total, counts, out=np.full(len(steps), np.nan), where=counts > 0)


@dataclass(frozen=True, eq=False)
class RunCurves:
    """The metrics of a run that the rules know how to read."""

    loss: Metric | None = None
    """The loss of the training data."""
    validation_loss: Metric | None = None
    accuracy: Metric | None = None
    """The accuracy on the training data, in [0, 1]."""
    validation_accuracy: Metric | None = None
    gradient_norms: Mapping[str, Metric] = field(default_factory=dict)
    """Parameter → ‖∂loss/∂parameter‖."""
    update_ratios: Mapping[str, Metric] = field(default_factory=dict)
    """Weight → ‖ΔW‖/‖W‖ of a step."""
    learning_rate: Metric | None = None

    @property
    def gradient_norm(self) -> Metric | None:
        """The norm of all parameters together; None if they are recorded at different steps."""
        curves = list(self.gradient_norms.values())
        if not curves or any(not np.array_equal(each.steps, curves[0].steps) for each in curves):
            return None
        squares = np.sum([each.values**2 for each in curves], axis=0)
        return Metric(GRADIENT_NORM, curves[0].steps, np.sqrt(squares))

    def until(self, step: int) -> RunCurves:
        """Return what was known at a step."""
        return RunCurves(**{name: _until(each, step) for name, each in vars(self).items()})


def _until(found: Any, step: int) -> Any:
    """Return one curve, or all of a mapping, up to a step; None stays None."""
    if isinstance(found, Mapping):
        return {name: curve.until(step) for name, curve in found.items()}
    return None if found is None else found.until(step)


@dataclass(frozen=True, eq=False)
class Firing:
    """The number of images on which each channel of a layer fires (is not zero everywhere)."""

    layer: str
    step: int
    fired: NDArray[np.int64]
    """(C,)"""
    images: int
    of_sweep: bool = False
    """Whether they are those of the sweep that `diagnose` was given, which may be of others."""

    @property
    def dead_share(self) -> float:
        """Share of the channels that fired on no image."""
        return float((self.fired == 0).mean())

    @property
    def rates(self) -> NDArray[np.float64]:
        """Share of the images on which each channel fired: (C,)."""
        return self.fired / self.images


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
        return cls(step, tuple(gradients), tuple(map(gradient_norm, gradients.values())), images)

    @property
    def line(self) -> DepthSlope:
        """The line through the norms' logarithms."""
        return depth_slope(self.norms)


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
        """How far the value farthest from the median is from it, in standard deviations."""
        far = max(self.high - self.median, self.median - self.low)
        return far / self.std if self.std > 0 else 0.0

    @property
    def offset(self) -> float:
        """|mean| in standard deviations, 0 for a constant."""
        return abs(self.mean) / self.std if self.std > 0 else 0.0


@dataclass(frozen=True)
class FiltersAt:
    """How noisy the filters of a layer are at one checkpoint.

    Only of kernels from 4×4 up: smaller ones have too few positions for percentiles to mean much.
    """

    layer: str
    step: int
    facts: FilterFacts


@dataclass(frozen=True)
class AnswersAt:
    """What the model answers to many images at one checkpoint."""

    step: int
    facts: AnswerFacts


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that rules are given; what is unknown is empty or None, and the steps of lists ascend."""

    curves: RunCurves = field(default_factory=RunCurves)
    validation_images: int | None = None
    """Images behind the validation accuracy."""
    classes: int | None = None
    """K where the loss is the cross-entropy of K classes."""
    firing: tuple[Firing, ...] = ()
    gradients: tuple[GradientDepth, ...] = ()
    tensors: tuple[TensorFacts, ...] = ()
    """Facts of tensors of every kind, outputs among them."""
    weights: tuple[TensorFacts, ...] = ()
    """Facts of weights of at least two dimensions: no norm scales."""
    biases: tuple[TensorFacts, ...] = ()
    pre_activations: tuple[TensorFacts, ...] = ()
    checkpoint_ratios: Mapping[str, Metric] = field(default_factory=dict)
    """Layer → ‖W − W₀‖/‖W₀‖ from the checkpoint before, divided by the steps between them."""
    filters: tuple[FiltersAt, ...] = ()
    answers: tuple[AnswersAt, ...] = ()
    inputs: InputStatistics | None = None
    states_preprocessing: bool = False
    """Whether a mean and std are stated, which the inputs can be held against."""
    duplicates: Duplicates | None = None
    leak: Leak | None = None
    batches: tuple[tuple[bytes, ...], ...] = ()
    """Digests of the samples of each batch of a loader; none of one that could not be read."""
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    """Name of another field → one line on why it could not be measured, at least in part."""


def layer_of(parameter: str) -> str:
    """Return the layer that a parameter belongs to: "conv1" for "conv1.weight"."""
    return parameter.rpartition(".")[0] or parameter
