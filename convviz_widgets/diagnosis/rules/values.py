"""Rules for values: weights and biases far out, pre-activations off centre."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from convviz_widgets.diagnosis.evidence import TensorFacts
from convviz_widgets.diagnosis.finding import REMARK, WARNING, Finding
from convviz_widgets.diagnosis.rule import CHECKPOINTS, rule
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
    large = _large("abnormal-weight", "weight", weights, size)
    known = {finding.layer for finding in large}
    far = [
        Finding(
            "abnormal-weight",
            WARNING,
            f"{each.layer}: a weight {each.deviation:.1f} standard deviations from the median "
            f"(threshold {sigmas:g}) at step {each.step:,}, n = {each.n:,}",
            value=each.deviation,
            threshold=sigmas,
            code=tensor_code(each, "facts.deviation"),
            **_place(each),
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
    return _large("abnormal-bias", "bias", biases, size)


def _large(name: str, what: str, facts: Sequence[TensorFacts], size: float) -> list[Finding]:
    return [
        Finding(
            name,
            WARNING,
            f"{each.layer}: a {what} of size {each.size:.3g} (threshold {size:g}) at step "
            f"{each.step:,}, among n = {each.n:,} of std {each.std:.2g}",
            value=each.size,
            threshold=size,
            code=tensor_code(each, "facts.size"),
            **_place(each),
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
    trained = [each for each in pre_activations if each.step > 0] or list(pre_activations)
    found = []
    for each in _first(trained, lambda e: e.offset > stds or abs(e.skew) > skew):
        is_off = each.offset > stds
        found.append(
            Finding(
                "skewed-pre-activation",
                REMARK,
                f"{each.layer}: its input has mean {each.mean:.2g} and std {each.std:.2g} "
                f"(threshold {stds:g} std), skew {each.skew:.2g} (threshold {skew:g}) at step "
                f"{each.step:,}, n = {each.n:,}: batch or layer norm before it centres it",
                value=each.offset if is_off else each.skew,
                threshold=stds if is_off else skew,
                code=tensor_code(each, "facts.offset" if is_off else "facts.skew"),
                **_place(each),
            )
        )
    return found


def _place(each: TensorFacts) -> dict[str, Any]:
    return {"layer": each.layer, "step": each.step, "n": each.n}


def _first(
    facts: Sequence[TensorFacts], is_abnormal: Callable[[TensorFacts], bool]
) -> list[TensorFacts]:
    """Return of each layer the first checkpoint at which it is abnormal."""
    by_layer: dict[str, TensorFacts] = {}
    for each in sorted(facts, key=lambda each: each.step):
        if each.layer not in by_layer and is_abnormal(each):
            by_layer[each.layer] = each
    return list(by_layer.values())
