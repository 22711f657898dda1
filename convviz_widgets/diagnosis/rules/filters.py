"""The rule for filters that are as noisy as their own weights at shuffled positions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from convviz_widgets.diagnosis.evidence import FiltersAt
from convviz_widgets.diagnosis.finding import REMARK, Finding
from convviz_widgets.diagnosis.rule import AppliedRule, rule
from convviz_widgets.diagnosis.rules.code import at_step, code
from convviz_widgets.measure import FilterFacts
from convviz_widgets.tensors import filter_quality
from convviz_widgets.tensors.filter_quality import FULL_POWER, MANY, STILL_INITIAL, cause_of


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
        Noise of each layer, at one checkpoint or more.
    share
        Share of noisy filters above which a layer is called noisy (smooth run 6 %, noisy 72 %).
    cosine
        Cosine to the initial weights above which the filters are mostly those still.
    update_share
        Share of noisy filters in the change since step 0 above which noise was learned.
    """
    applied = AppliedRule(noisy_filter, share=share, cosine=cosine, update_share=update_share)
    return [
        Finding(
            "noisy-filter",
            REMARK,
            f"{each.layer}: {each.facts.share:.0%} of {each.facts.count} filters are no smoother "
            f"than shuffled ones (threshold {share:.0%}) at {each.label}: "
            f"{_cause(each.facts, many=share, still_initial=cosine, many_updates=update_share)}",
            layer=each.layer,
            **each.at,
            value=each.facts.share,
            threshold=share,
            n=each.facts.count,
            code=_code(applied, each),
        )
        for each in _latest(layers)
        if each.facts.share > share
    ]


def _latest(layers: Sequence[FiltersAt]) -> list[FiltersAt]:
    """Return of each layer the latest checkpoint."""
    ordered = sorted(layers, key=lambda each: each.step)
    return list({each.layer: each for each in ordered}.values())


def _cause(facts: FilterFacts, **thresholds: float) -> str:
    if math.isnan(facts.cosine):
        return "without the checkpoint of step 0, initial noise and learned noise: cannot tell"
    cause = cause_of(facts.share, facts.cosine, facts.update_share, **thresholds)
    return f"{cause} (cosine to the initial weights {facts.cosine:.2f})"


def _code(applied: AppliedRule, each: FiltersAt) -> str:
    """Return the lines that rank the filters of a layer once more, and ask the rule about them."""
    return code(
        applied,
        f"[FiltersAt({each.layer!r}, {each.step}, facts)]",
        lines=f"""
        {at_step(each.step)}
        info = state.layer_info({each.layer!r})
        quality = filter_quality(
            state.weight({each.layer!r}),
            groups=info.groups,
            transposed="Transpose" in info.kind,
        )
        facts = FilterFacts(quality.share, quality.count)
        """,
        uses=[FilterFacts, FiltersAt, filter_quality],
    )
