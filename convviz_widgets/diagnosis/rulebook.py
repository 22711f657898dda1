"""The rulebook: every rule, what it needs, and how it reads the evidence."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from convviz_widgets.diagnosis.evidence import Evidence
from convviz_widgets.diagnosis.finding import Finding
from convviz_widgets.diagnosis.rules.answers import stuck_output, washed_out_output
from convviz_widgets.diagnosis.rules.distributions import (
    abnormal_bias,
    abnormal_weight,
    skewed_pre_activation,
)
from convviz_widgets.diagnosis.rules.filters import noisy_filter
from convviz_widgets.diagnosis.rules.firing import IMAGES, dead_filter, dead_layer, dying_filter
from convviz_widgets.diagnosis.rules.gradients import exploding_gradient, vanishing_gradient
from convviz_widgets.diagnosis.rules.inputs import (
    input_not_centred,
    input_scale,
    unequal_input_scales,
    wrong_preprocessing,
)
from convviz_widgets.diagnosis.rules.jump import loss_jump
from convviz_widgets.diagnosis.rules.non_finite import non_finite
from convviz_widgets.diagnosis.rules.overfit import overfit
from convviz_widgets.diagnosis.rules.samples import (
    duplicate_sample,
    repeated_batch,
    train_validation_leak,
)
from convviz_widgets.diagnosis.rules.slow import slow_learning
from convviz_widgets.diagnosis.rules.surge import loss_surge
from convviz_widgets.diagnosis.rules.updates import update_ratio
from convviz_widgets.diagnosis.run_curves import total_norm
from convviz_widgets.tensors.noisiness import FULL_POWER

Applied = list[Finding] | None
"""What a rule found; None where it lacks what it needs."""


@dataclass(frozen=True)
class Rule:
    """A rule, what it needs in words, and how it reads the evidence."""

    name: str
    needs: str
    apply: Callable[[Evidence], Applied]


def _non_finite(e: Evidence) -> Applied:
    if not (e.curves.loss or e.curves.gradient_norms or e.tensors):
        return None
    return non_finite(e.curves.loss, e.curves.gradient_norms, e.tensors)


def _exploding(e: Evidence) -> Applied:
    if not (e.gradients or e.curves.gradient_norms):
        return None
    return exploding_gradient(e.gradients, total_norm(e.curves.gradient_norms))


def _vanishing(e: Evidence) -> Applied:
    return vanishing_gradient(e.gradients) if any(g.step > 0 for g in e.gradients) else None


def _dead_layer(e: Evidence) -> Applied:
    rms = None if e.inputs is None else e.inputs.overall[2]
    return dead_layer(e.firing, rms) if _counted(e) else None


def _counted(e: Evidence) -> bool:
    return any(each.images >= IMAGES for each in e.firing)


def _jump(e: Evidence) -> Applied:
    return None if e.curves.loss is None else loss_jump(e.curves.loss)


def _surge(e: Evidence) -> Applied:
    if e.curves.loss is None:
        return None
    norm = total_norm(e.curves.gradient_norms)
    return loss_surge(e.curves.loss, e.curves.update_ratios, norm)


def _overfit(e: Evidence) -> Applied:
    if not (e.curves.accuracy and e.curves.validation_accuracy):
        return None
    return overfit(e.curves, e.validation_images)


def _slow(e: Evidence) -> Applied:
    if e.curves.loss is None:
        return None
    return slow_learning(e.curves.loss, e.curves.update_ratios, classes=e.classes)


def _ratios(e: Evidence) -> Applied:
    curves = e.curves
    if curves.update_ratios:
        return update_ratio(curves.update_ratios, curves.learning_rate)
    if not e.checkpoint_ratios:
        return None
    return update_ratio(e.checkpoint_ratios, curves.learning_rate, between_checkpoints=True)


def _of_inputs(rule: Callable[..., list[Finding]]) -> Callable[[Evidence], Applied]:
    def apply(e: Evidence) -> Applied:
        return None if e.inputs is None or e.inputs.n < IMAGES else rule(e.inputs)

    return apply


def _preprocessing(e: Evidence) -> Applied:
    return wrong_preprocessing(e.inputs) if e.inputs and e.states_preprocessing else None


def _stuck(e: Evidence) -> Applied:
    labelled = any(not math.isnan(each.facts.label_share) for each in e.answers)
    return stuck_output(e.answers) if labelled else None


def _washed_out(e: Evidence) -> Applied:
    return washed_out_output(e.answers) if any(each.facts.pictures for each in e.answers) else None


CHECKPOINTS = "a state with checkpoints"
LOSS = "a run with a training loss"
MANY = f"a state with {IMAGES} images or more"

RULES = (
    Rule("non-finite", f"{LOSS}, or {CHECKPOINTS}", _non_finite),
    Rule(
        "train-validation-leak",
        "training images and other ones as validation=",
        lambda e: None if e.leak is None else train_validation_leak(e.leak),
    ),
    Rule(
        "repeated-batch",
        "loader=, a DataLoader without random transforms",
        lambda e: repeated_batch(e.batches) if e.batches else None,
    ),
    Rule(
        "duplicate-sample",
        "training images",
        lambda e: None if e.duplicates is None else duplicate_sample(e.duplicates),
    ),
    Rule("wrong-preprocessing", "images with mean= and std=", _preprocessing),
    Rule("input-scale", f"{IMAGES} images", _of_inputs(input_scale)),
    Rule("exploding-gradient", f"recorded gradient norms, or {CHECKPOINTS}", _exploding),
    Rule("loss-jump", LOSS, _jump),
    Rule("dead-layer", f"{MANY}, and activations that can be zero", _dead_layer),
    Rule("vanishing-gradient", f"{CHECKPOINTS} after step 0, and labels", _vanishing),
    Rule("loss-surge", LOSS, _surge),
    Rule("overfit", "a run with accuracies of training and validation data", _overfit),
    Rule("slow-learning", LOSS, _slow),
    Rule("washed-out-output", "a state with target pictures", _washed_out),
    Rule(
        "update-ratio",
        "a run with update ratios, or two checkpoints",
        _ratios,
    ),
    Rule("stuck-output", "a state with labelled images, and class scores", _stuck),
    Rule(
        "abnormal-weight",
        CHECKPOINTS,
        lambda e: abnormal_weight(e.weights) if e.weights else None,
    ),
    Rule("abnormal-bias", CHECKPOINTS, lambda e: abnormal_bias(e.biases) if e.biases else None),
    Rule("input-not-centred", f"{IMAGES} images", _of_inputs(input_not_centred)),
    Rule("unequal-input-scales", f"{IMAGES} images", _of_inputs(unequal_input_scales)),
    Rule(
        "noisy-filter",
        f"a state with kernels of {FULL_POWER}×{FULL_POWER} or more",
        lambda e: noisy_filter(e.filters) if e.filters else None,
    ),
    Rule(
        "skewed-pre-activation",
        CHECKPOINTS,
        lambda e: skewed_pre_activation(e.pre_activations) if e.pre_activations else None,
    ),
    Rule(
        "dead-filter",
        f"{MANY}, and activations that can be zero",
        lambda e: dead_filter(e.firing) if _counted(e) else None,
    ),
    Rule(
        "dying-filter",
        f"{MANY}, and activations that can be zero",
        lambda e: dying_filter(e.firing) if _counted(e) else None,
    ),
)
"""In the order of how much they explain: of two findings as grave, the earlier rule's is first."""
