"""Rules for values: weights and biases far out, pre-activations off centre."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from convviz_widgets.diagnosis.evidence import TensorFacts
from convviz_widgets.diagnosis.finding import REMARK, WARNING, Finding
from convviz_widgets.diagnosis.rule import CHECKPOINTS, AppliedRule, rule
from convviz_widgets.diagnosis.rules.code import tensor_code


@rule(
    "abnormal-weight",
    place=170,
    needs=CHECKPOINTS,
    takes=lambda e: (e.weights,) if e.weights else None,
)
def abnormal_weight(
    weights: Sequence[TensorFacts], *, sigmas: float = 20.0, size: float = 10.0
) -> list[Finding]:
    """Find weights that are large, or far from all others of their layer.

    Measured: ill runs 13 to 27,600, healthy ones up to 3.9 [TensorBoard's distributions; Hui].

    Parameters
    ----------
    weights
        Facts of weights with at least two dimensions, never norm scales (healthy ones reach 36 σ).
    sigmas
        |w − median| in standard deviations.
    size
        |w|.
    """
    applied = AppliedRule(abnormal_weight, sigmas=sigmas, size=size)
    large = _large(applied, "weight", weights)
    known = {finding.layer for finding in large}
    far = [
        Finding(
            severity=WARNING,
            message=f"{each.layer}: a weight {each.deviation:.1f} standard deviations from the "
            f"median (threshold {sigmas:g}) at {each.label}, n = {each.n:,}",
            value=each.deviation,
            threshold=sigmas,
            **_about(applied, each),
        )
        for each in _first(weights, lambda each: each.deviation > sigmas)
        if each.layer not in known
    ]
    return large + far


@rule(
    "abnormal-bias",
    place=180,
    needs=CHECKPOINTS,
    takes=lambda e: (e.biases,) if e.biases else None,
)
def abnormal_bias(biases: Sequence[TensorFacts], *, size: float = 10.0) -> list[Finding]:
    """Find biases larger than ``size``: ill runs reach 13 to 27,600, healthy ones 3.9 [Hui]."""
    return _large(AppliedRule(abnormal_bias, size=size), "bias", biases)


def _large(applied: AppliedRule, what: str, facts: Sequence[TensorFacts]) -> list[Finding]:
    size = applied.thresholds["size"]
    return [
        Finding(
            severity=WARNING,
            message=f"{each.layer}: a {what} of size {each.size:.3g} (threshold {size:g}) at "
            f"{each.label}, among n = {each.n:,} of std {each.std:.2g}",
            value=each.size,
            threshold=size,
            **_about(applied, each),
        )
        for each in _first(facts, lambda each: each.size > size)
    ]


@rule(
    "skewed-pre-activation",
    place=220,
    needs=CHECKPOINTS,
    takes=lambda e: (e.pre_activations,) if e.pre_activations else None,
)
def skewed_pre_activation(
    pre_activations: Sequence[TensorFacts], *, stds: float = 1.0, skew: float = 2.0
) -> list[Finding]:
    """Find inputs of a nonlinearity that are off centre, or lopsided: a remark.

    Judged by whole layers, not channels, after step 0. Batch or layer norm centres them [Hui].

    Parameters
    ----------
    stds
        |mean| in standard deviations.
    skew
        |third standardised moment|.
    """
    trained = [each for each in pre_activations if each.is_trained] or list(pre_activations)
    return [
        Finding(
            severity=REMARK,
            message=f"{each.layer}: its input has mean {each.mean:.2g} and std {each.std:.2g} "
            f"(threshold {stds:g} std), skew {each.skew:.2g} (threshold {skew:g}) at "
            f"{each.label}, n = {each.n:,}: batch or layer norm before it centres it",
            value=each.offset if each.offset > stds else each.skew,
            threshold=stds if each.offset > stds else skew,
            **_about(AppliedRule(skewed_pre_activation, stds=stds, skew=skew), each),
        )
        for each in _first(trained, lambda each: each.offset > stds or abs(each.skew) > skew)
    ]


def _about(applied: AppliedRule, facts: TensorFacts) -> dict[str, Any]:
    """Return what a rule's finding says of the place, and the code that counts there once more."""
    place = {"layer": facts.layer, "n": facts.n, **facts.at}
    return {"rule": applied.name, **place, "code": tensor_code(applied, facts)}


def _first(
    facts: Sequence[TensorFacts], is_abnormal: Callable[[TensorFacts], bool]
) -> list[TensorFacts]:
    """Return of each layer the first checkpoint at which it is abnormal."""
    by_layer: dict[str, TensorFacts] = {}
    for each in sorted(facts, key=lambda each: each.step):
        if each.layer not in by_layer and is_abnormal(each):
            by_layer[each.layer] = each
    return list(by_layer.values())
