"""The types of evidence that rules take: curves, firing, gradients, tensors, filters, answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from convviz_widgets.images import Duplicates, InputStatistics, Leak
from convviz_widgets.measure import BIASES, WEIGHTS, AnswerFacts, FilterFacts, gradient_norm
from convviz_widgets.record.norms import GRADIENT_NORM
from convviz_widgets.tensors import DepthSlope, Distribution, depth_slope


@dataclass(frozen=True)
class Moment:
    """When in a training a checkpoint was saved, for rules that ask; see `OfCheckpoint`."""

    label: str
    """What the checkpoint is called, such as "epoch 9"."""
    may_be_initial: bool = False
    """Whether it may hold the weights that the training began with."""
    place: float | None = None
    """The step of the run's log that it belongs to; None where that is not known."""


class OfCheckpoint:
    """What all evidence of a checkpoint has: its number, and when that was.

    Without a moment the number is a training step.
    """

    step: int
    moment: Moment | None

    @property
    def label(self) -> str:
        """What the checkpoint is called: "step 1,500"."""
        return f"step {self.step:,}" if self.moment is None else self.moment.label

    @property
    def is_trained(self) -> bool:
        """Whether training had surely begun."""
        return self.step > 0 if self.moment is None else not self.moment.may_be_initial

    @property
    def place(self) -> float | None:
        """The step of the run's log that it belongs to; None where that is not known."""
        return self.step if self.moment is None else self.moment.place

    @property
    def at(self) -> dict[str, Any]:
        """The fields of a `Finding` that say when."""
        when = "" if self.moment is None else self.moment.label
        return {"step": self.step, "when": when, "place": self.place}

    @property
    def moment_in_code(self) -> str:
        """The last argument of the evidence in code; none where the number alone says as much."""
        if self.is_trained == (self.step > 0):
            return ""
        return f", moment={Moment(self.label, not self.is_trained)}"


@dataclass(frozen=True, eq=False)
class Metric:
    """One number over the steps of a run, by its name there."""

    name: str
    steps: NDArray[np.int64] | NDArray[np.float64]
    """(n,), ascending; on the axis of wall times float64, in seconds."""
    values: NDArray[np.float64]
    """(n,); may hold NaN and infinities."""
    axis: str = field(default="step", kw_only=True)
    """What ``steps`` are: "step", "order" or "wall-time", as in `Series`."""

    def label(self, step: float) -> str:
        """Return what a place on the curve is called: "step 1,500"."""
        if self.axis == "order":
            return f"point {step:,} in the order of writing"
        return f"step {step:,}" if self.axis == "step" else f"{step:,.3f} s"

    def at(self, step: float) -> dict[str, Any]:
        """Return the fields of a `Finding` that say when."""
        if self.axis == "step":
            return {"step": int(step)}
        return {"step": int(step), "when": self.label(step), "place": float(step)}

    @property
    def last(self) -> float:
        """The last step."""
        end: float = self.steps[-1].item()
        return end

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def finite(self) -> Self:
        """The curve without the points that are NaN or infinite."""
        return self.only(np.isfinite(self.values))

    def until(self, step: float) -> Self:
        """Return the curve up to a step, that one included."""
        return self.only(self.steps <= step)

    def only(self, kept: NDArray[np.bool_]) -> Self:
        """Return the points that are to be kept, (n,) of them True or False."""
        return replace(self, steps=self.steps[kept], values=self.values[kept])

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
class UpdateCurve(Metric):
    """‖ΔW‖/‖W‖ between neighbouring checkpoints, divided by the steps between the two."""

    moments: tuple[Moment, ...] = ()
    """When the second of each pair was; none where the numbers are training steps."""
    between: tuple[float, ...] = ()
    """What each was divided by; none where it is the difference of the numbers."""
    per: str = "step"
    """What a value is the movement of; "epoch" or "checkpoint" where steps are not known."""
    how: str = ""
    """How the steps between checkpoints are known that do not count them."""

    @classmethod
    def of_updates(
        cls,
        name: str,
        steps: Sequence[int],
        ratios: Sequence[float],
        between: Sequence[float] = (),
        **known: Any,
    ) -> UpdateCurve:
        """Return the ratios, each divided by the steps between the two checkpoints.

        Parameters
        ----------
        steps
            Numbers of the checkpoints, (n + 1,).
        ratios
            Ratio from each checkpoint but the last to the next, (n,).
        between
            Training steps from each to the next, (n,); NaN where they are not known. Default: the
            numbers are training steps.
        known
            The other attributes.
        """
        gaps = np.asarray(between, np.float64) if len(between) else np.diff(steps)
        values = np.asarray(ratios, np.float64) / gaps
        return cls(name, np.array(steps[1:]), values, between=tuple(between), **known)

    def only(self, kept: NDArray[np.bool_]) -> Self:
        """Return the points that are to be kept, (n,) of them True or False."""
        moments = tuple(compress(self.moments, kept))
        between = tuple(compress(self.between, kept))
        fewer = replace(self, moments=moments, between=between)
        return replace(fewer, steps=self.steps[kept], values=self.values[kept])


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
        return replace(curves[0], name=GRADIENT_NORM, values=np.sqrt(squares))

    def until(self, step: float) -> RunCurves:
        """Return what was known at a step."""
        return RunCurves(**{name: _until(each, step) for name, each in vars(self).items()})


def _until(found: Any, step: float) -> Any:
    """Return one curve, or all of a mapping, up to a step; None stays None."""
    if isinstance(found, Mapping):
        return {name: curve.until(step) for name, curve in found.items()}
    return None if found is None else found.until(step)


@dataclass(frozen=True, eq=False)
class Firing(OfCheckpoint):
    """The number of images on which each channel of a layer fires (is not zero everywhere)."""

    layer: str
    step: int
    fired: NDArray[np.int64]
    """(C,)"""
    images: int
    of_sweep: bool = False
    """Whether they are those of the sweep that `diagnose` was given, which may be of others."""
    moment: Moment | None = None

    @property
    def dead_share(self) -> float:
        """Share of the channels that fired on no image."""
        return float((self.fired == 0).mean())

    @property
    def rates(self) -> NDArray[np.float64]:
        """Share of the images on which each channel fired: (C,)."""
        return self.fired / self.images


@dataclass(frozen=True)
class GradientDepth(OfCheckpoint):
    """Norms of ∂loss/∂output at one checkpoint, over the layers with weights, input first."""

    step: int
    layers: tuple[str, ...]
    norms: tuple[float, ...]
    """Infinite where a value of the gradient is not finite."""
    images: int
    moment: Moment | None = None

    @classmethod
    def of(
        cls,
        step: int,
        gradients: Mapping[str, Distribution],
        images: int,
        moment: Moment | None = None,
    ) -> GradientDepth:
        """Return the norms of the gradients by the outputs of layers, input first."""
        norms = tuple(map(gradient_norm, gradients.values()))
        return cls(step, tuple(gradients), norms, images, moment)

    @property
    def line(self) -> DepthSlope:
        """The line through the norms' logarithms."""
        return depth_slope(self.norms)


@dataclass(frozen=True)
class TensorFacts(OfCheckpoint):
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
    moment: Moment | None = None

    @classmethod
    def of(
        cls, layer: str, what: str, step: int, counted: Distribution, moment: Moment | None = None
    ) -> TensorFacts:
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
            moment=moment,
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
class FiltersAt(OfCheckpoint):
    """How noisy the filters of a layer are at one checkpoint.

    Only of kernels from 4×4 up: smaller ones have too few positions for percentiles to mean much.
    """

    layer: str
    step: int
    facts: FilterFacts
    moment: Moment | None = None


@dataclass(frozen=True)
class AnswersAt(OfCheckpoint):
    """What the model answers to many images at one checkpoint."""

    step: int
    facts: AnswerFacts
    moment: Moment | None = None


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
    checkpoint_ratios: Mapping[str, UpdateCurve] = field(default_factory=dict)
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
    in_part: Mapping[str, str] = field(default_factory=dict)
    """Name of a rule → one line on what of it cannot be judged, where the rest can."""


def layer_of(parameter: str) -> str:
    """Return the layer that a parameter belongs to: "conv1" for "conv1.weight"."""
    return parameter.rpartition(".")[0] or parameter
