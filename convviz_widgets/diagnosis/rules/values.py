"""Rules for values: weights and biases far out, noisy filters, pre-activations off centre."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from convviz_widgets.diagnosis.evidence import FiltersAt, TensorFacts
from convviz_widgets.diagnosis.finding import REMARK, WARNING, Finding
from convviz_widgets.diagnosis.rule import CHECKPOINTS, rule
from convviz_widgets.diagnosis.rules.code import at_step, code, tensor_code
from convviz_widgets.tensors import filter_quality
from convviz_widgets.tensors.filter_quality import FULL_POWER, MANY, STILL_INITIAL

# -- weights, biases and pre-activations ---------------------------------------------------------


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
        Of tensors with at least two dimensions, never norm scales (healthy ones reach 36 σ).
    sigmas
        |w − median| in standard deviations.
    size
        |w|.
    """
    large = [
        Finding(
            "abnormal-weight",
            WARNING,
            f"{each.layer}: a weight of size {each.size:.3g} (threshold {size:g}) at step "
            f"{each.step:,}, among n = {each.n:,} of std {each.std:.2g}",
            value=each.size,
            threshold=size,
            code=tensor_code(each, "facts.size"),
            **_place(each),
        )
        for each in _first(weights, lambda each: each.size > size)
    ]
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
    return [
        Finding(
            "abnormal-bias",
            WARNING,
            f"{each.layer}: a bias of size {each.size:.3g} (threshold {size:g}) at step "
            f"{each.step:,}, n = {each.n:,}",
            value=each.size,
            threshold=size,
            code=tensor_code(each, "facts.size"),
            **_place(each),
        )
        for each in _first(biases, lambda each: each.size > size)
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

    Of the whole layer, never per channel, after step 0. Batch or layer norm centres them [Hui].

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


# -- filters -------------------------------------------------------------------------------------


@rule(
    "noisy-filter",
    place=210,
    needs=f"a state with kernels of {FULL_POWER}×{FULL_POWER} or more",
    takes=lambda e: (e.filters,) if e.filters else None,
    graver_with=("overfit", "slow-learning"),
)
def noisy_filter(
    layers: Sequence[FiltersAt],
    *,
    share: float = MANY,
    cosine: float = STILL_INITIAL,
    update_share: float = MANY,
) -> list[Finding]:
    """Find layers whose filters are no smoother than their weights at shuffled positions.

    A remark, for healthy short runs keep 44 to 100 % noisy filters; kernels below 4×4 have too few
    positions to be judged. Judged at a layer's latest checkpoint: at step 0 all filters are noise
    [CS231n; Gavrikov & Keuper, CVPR 2022].

    Parameters
    ----------
    layers
        At one checkpoint or more.
    share
        Of noisy filters above which a layer is called noisy (smooth run 6 %, noisy 72 %).
    cosine
        To the initial weights, above which they are mostly those still.
    update_share
        Of noisy filters in the change since step 0, above which noise was learned.
    """
    return [
        Finding(
            "noisy-filter",
            REMARK,
            f"{each.layer}: {each.facts.share:.0%} of {each.facts.count} filters are no smoother "
            f"than shuffled ones (threshold {share:.0%}) at step {each.step:,}: "
            f"{_cause(each, cosine, update_share)}",
            layer=each.layer,
            step=each.step,
            value=each.facts.share,
            threshold=share,
            n=each.facts.count,
            code=_noise_code(each),
        )
        for each in _latest(layers)
        if each.facts.share > share
    ]


def _latest(layers: Sequence[FiltersAt]) -> list[FiltersAt]:
    """Return of each layer the latest checkpoint."""
    ordered = sorted(layers, key=lambda each: each.step)
    return list({each.layer: each for each in ordered}.values())


def _cause(each: FiltersAt, cosine: float, update_share: float) -> str:
    if math.isnan(each.facts.cosine):
        return "without the checkpoint of step 0, initial noise and learned noise: cannot tell"
    beside = f"(cosine to the initial weights {each.facts.cosine:.2f})"
    if each.facts.cosine > cosine:
        return f"mostly still their initial noise {beside}: updates too few or too small"
    if each.facts.update_share > update_share:
        return f"learned noise {beside}: regularise"
    return f"neither initial nor learned {beside}: cannot tell"


def _noise_code(each: FiltersAt) -> str:
    return code(
        filter_quality,
        text=f"""
        {at_step(each.step)}
        info = state.layer_info({each.layer!r})
        quality = filter_quality(
            state.weight({each.layer!r}),
            groups=info.groups,
            transposed="Transpose" in info.kind,
        )
        value = quality.share
        """,
    )
