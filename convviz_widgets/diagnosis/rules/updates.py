"""The rule for updates: weights that move too much in a step, or not at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from convviz_widgets.diagnosis.evidence import Evidence, Metric, UpdateCurve, layer_of
from convviz_widgets.diagnosis.finding import WARNING, Finding
from convviz_widgets.diagnosis.rule import AppliedRule, rule
from convviz_widgets.diagnosis.rules.code import code, curve_code
from convviz_widgets.diagnosis.run_curves import run_curves
from convviz_widgets.measure import relative_change

TYPICAL = "typical 1e-3 to 2e-2"
"""What ‖ΔW‖/‖W‖ of a step is like; 1e-3 is CS231n's rule of thumb ("Neural Networks 3")."""

CANNOT_JUDGE = "whether steps are too large cannot be told"
"""What is said where checkpoints do not count steps."""


def _of_updates(e: Evidence) -> tuple[Mapping[str, Metric], Metric | None, bool] | None:
    recorded = e.curves.update_ratios
    ratios = recorded or e.checkpoint_ratios
    return (ratios, e.curves.learning_rate, not recorded) if ratios else None


@rule(
    "update-ratio",
    place=150,
    needs="a run with update ratios, or two checkpoints",
    takes=_of_updates,
)
def update_ratio(
    ratios: Mapping[str, Metric],
    learning_rate: Metric | None = None,
    between_checkpoints: bool = False,
    *,
    high: float = 0.1,
    low: float = 1e-6,
    times: int = 2,
    share: float = 0.025,
    decayed: float = 0.01,
) -> list[Finding]:
    """Find weights that move too much in a step, or not at all.

    Too high where ‖ΔW‖/‖W‖ is above ``high`` at ``times`` recorded steps, and at ``share`` of those
    so far; too low where its median over the run is below ``low``, the tail in which the learning
    rate has ``decayed`` left out (the second half, where it is unknown).

    Parameters
    ----------
    ratios
        Update ratios by weight, of at least two dimensions.
    learning_rate
        Learning rate of the same run.
    between_checkpoints
        The ratios are `UpdateCurve`s of neighbouring checkpoints, divided by the steps between
        them: what a step moves at least. The findings are marked so. Where those steps are not
        known only what is too low is found: a step moves no more than all of an epoch.
    decayed
        Share of its largest value that a decayed learning rate is below.
    """
    applied = AppliedRule(
        update_ratio, high=high, low=low, times=times, share=share, decayed=decayed
    )
    found = []
    for name, ratio in ratios.items():
        curve = ratio.finite
        above = np.cumsum(curve.values > high)
        counts = np.arange(1, len(curve) + 1)
        is_too_high = (above >= times) & (above >= share * counts) & (_per(curve) == "step")
        fires = np.flatnonzero(is_too_high)
        undecayed = _before_the_tail(curve, learning_rate, decayed)
        median = float(np.median(undecayed.values)) if len(undecayed) else math.nan
        if fires.size:
            finding = _too_high(name, curve, int(fires[0]), high)
        elif median < low:
            finding = _too_low(name, undecayed, median, low)
        else:
            continue
        if between_checkpoints:
            again = _checkpoint_code(applied, ratio, learning_rate)
            found.append(replace(_marked(finding, curve), layer=name, code=again))
        else:
            again = _recorded_code(applied, name, ratio, learning_rate)
            found.append(replace(finding, layer=layer_of(name), code=again))
    return found


def _too_high(name: str, curve: Metric, first: int, high: float) -> Finding:
    above = int((curve.values > high).sum())
    return Finding(
        "update-ratio",
        WARNING,
        f"{name} moves by more than {high:g} of itself a step at {above:,} of {len(curve):,} "
        f"points (up to {curve.values.max():.2g}; {TYPICAL}): steps too large",
        **curve.at(curve.steps[first]),
        value=float(curve.values.max()),
        threshold=high,
        n=len(curve),
    )


def _too_low(name: str, curve: Metric, median: float, low: float) -> Finding:
    return Finding(
        "update-ratio",
        WARNING,
        f"{name} moves by {median:.1e} of itself {_a(_per(curve))} (median; threshold {low:g}, "
        f"{TYPICAL}{'' if _per(curve) == 'step' else ' a step'}): "
        "it is frozen, gets no gradient, or the learning rate is too low: cannot tell",
        **curve.at(curve.last),
        value=median,
        threshold=low,
        n=len(curve),
    )


def _recorded_code(applied: AppliedRule, name: str, ratio: Metric, rate: Metric | None) -> str:
    last = max(each.last for each in (ratio, rate) if each)
    given = f"{{{name!r}: curves.update_ratios[{name!r}]}}", "curves.learning_rate"
    return curve_code(applied, last, *given)


def _per(curve: Metric) -> str:
    return curve.per if isinstance(curve, UpdateCurve) else "step"


def _a(unit: str) -> str:
    return f"{'an' if unit[0] in 'aeiou' else 'a'} {unit}"


def _marked(finding: Finding, curve: Metric) -> Finding:
    """Return the finding of a curve over checkpoints, with when that was, and how it is known."""
    if not isinstance(curve, UpdateCurve):
        return replace(finding, message=finding.message + _between("step", ""))
    place = int(np.flatnonzero(curve.steps == finding.step)[0])
    found = replace(finding, message=finding.message + _between(curve.per, curve.how))
    if not curve.moments:
        return found
    return replace(found, when=curve.moments[place].label, place=curve.moments[place].place)


def _between(per: str, how: str) -> str:
    if per != "step":
        return f" (measured between neighbouring checkpoints; a step moves no more than {_a(per)})"
    return (
        " (measured between neighbouring checkpoints and divided by the steps between them"
        f"{how and f', {how}'}: a single step moves at least so much on average)"
    )


def _checkpoint_code(applied: AppliedRule, ratio: Metric, rate: Metric | None) -> str:
    layer, pairs = ratio.name, len(ratio)
    given = ""
    if isinstance(ratio, UpdateCurve) and ratio.between:
        given = f", {_short(ratio.between)}, per={ratio.per!r}"
    schedule = f"run_curves(run.metrics).until({rate.steps[-1]}).learning_rate" if rate else "None"
    return code(
        applied,
        f"{{{layer!r}: ratios}}",
        schedule,
        "True",
        lines=f"""
        weights = []
        for checkpoint in range({pairs} + 1):
            state.select(checkpoint=checkpoint)
            weights.append(state.weight({layer!r}))
        moved = [relative_change(*pair) for pair in zip(weights, weights[1:])]
        ratios = UpdateCurve.of_updates({layer!r}, state.steps[: {pairs} + 1], moved{given})
        """,
        uses=[UpdateCurve, relative_change, *([run_curves] if rate else [])],
    )


def _short(between: tuple[float, ...]) -> str:
    """Return an expression for the steps between checkpoints, which are often the same."""
    if len(set(between)) == 1:
        return f"[{between[0]:g}] * {len(between)}"
    numbers = (f"float({'nan'!r})" if math.isnan(gap) else f"{gap:g}" for gap in between)
    return f"[{', '.join(numbers)}]"


def _before_the_tail(curve: Metric, rate: Metric | None, decayed: float) -> Metric:
    """Return the points before the learning rate has decayed; the first half without a rate."""
    if rate is None or not len(rate.finite):
        half = -(-len(curve) // 2)
        return curve.only(np.arange(len(curve)) < half)
    known = rate.finite
    place = np.clip(np.searchsorted(known.steps, curve.steps, side="right") - 1, 0, None)
    kept = known.values[place] >= decayed * known.values.max()
    return curve.only(kept)
