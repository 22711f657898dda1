"""The rulebook: every rule, what it needs, and how it reads the evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convviz_widgets.diagnosis.evidence import Evidence
from convviz_widgets.diagnosis.finding import Finding
from convviz_widgets.diagnosis.rules.firing import IMAGES, dead_layer
from convviz_widgets.diagnosis.rules.generalisation import overfit
from convviz_widgets.diagnosis.rules.gradients import (
    exploding_gradient,
    update_ratio,
    vanishing_gradient,
)
from convviz_widgets.diagnosis.rules.loss import loss_jump, loss_surge, non_finite, slow_learning
from convviz_widgets.diagnosis.run_curves import total_norm


@dataclass(frozen=True)
class Rule:
    """A rule, and whether there is what it needs."""

    name: str
    needs: str
    """In words, for a run that lacks it."""
    has: Callable[[Evidence], bool]
    apply: Callable[[Evidence], list[Finding]]


def _non_finite(evidence: Evidence) -> list[Finding]:
    curves = evidence.curves
    return non_finite(curves.loss, curves.gradient_norms, evidence.tensors)


def _exploding(evidence: Evidence) -> list[Finding]:
    return exploding_gradient(evidence.gradients, total_norm(evidence.curves.gradient_norms))


def _surge(evidence: Evidence) -> list[Finding]:
    curves = evidence.curves
    norm = total_norm(curves.gradient_norms)
    return [] if curves.loss is None else loss_surge(curves.loss, curves.update_ratios, norm)


def _slow(evidence: Evidence) -> list[Finding]:
    curves = evidence.curves
    if curves.loss is None:
        return []
    return slow_learning(curves.loss, curves.update_ratios, classes=evidence.classes)


RULES = (
    Rule(
        "non-finite",
        "a training loss, gradient norms or checkpoints",
        lambda e: bool(e.curves.loss or e.curves.gradient_norms or e.tensors),
        _non_finite,
    ),
    Rule(
        "exploding-gradient",
        "recorded gradient norms, or checkpoints with labelled images",
        lambda e: bool(e.gradients or e.curves.gradient_norms),
        _exploding,
    ),
    Rule(
        "dead-layer",
        f"the activations of {IMAGES} images",
        lambda e: any(each.images >= IMAGES for each in e.firing),
        lambda e: dead_layer(e.firing, e.input_rms),
    ),
    Rule(
        "vanishing-gradient",
        "checkpoints after step 0 with labelled images",
        lambda e: any(each.step > 0 for each in e.gradients),
        lambda e: vanishing_gradient(e.gradients),
    ),
    Rule(
        "loss-jump",
        "a training loss",
        lambda e: e.curves.loss is not None,
        lambda e: [] if e.curves.loss is None else loss_jump(e.curves.loss),
    ),
    Rule("loss-surge", "a training loss", lambda e: e.curves.loss is not None, _surge),
    Rule(
        "overfit",
        "accuracy of training and validation data",
        lambda e: bool(e.curves.accuracy and e.curves.validation_accuracy),
        lambda e: overfit(e.curves, e.validation_images),
    ),
    Rule("slow-learning", "a training loss", lambda e: e.curves.loss is not None, _slow),
    Rule(
        "update-ratio",
        "recorded update ratios",
        lambda e: bool(e.curves.update_ratios),
        lambda e: update_ratio(e.curves.update_ratios, e.curves.learning_rate),
    ),
)
"""In the order of how much they explain: of two findings as grave, the earlier rule's is first."""
