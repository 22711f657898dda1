"""The rule for updates: weights that move too much in a step, or not at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from convviz_widgets.diagnosis.code import checkpoint_ratio_code, ratio_code
from convviz_widgets.diagnosis.curve import Curve
from convviz_widgets.diagnosis.finding import WARNING, Finding
from convviz_widgets.diagnosis.measurements import layer_of

TYPICAL = "typical 1e-3 to 2e-2"
"""Of ‖ΔW‖/‖W‖ in a step; 1e-3 is CS231n's rule of thumb ("Neural Networks 3")."""


def update_ratio(
    ratios: Mapping[str, Curve],
    learning_rate: Curve | None = None,
    *,
    between_checkpoints: bool = False,
    high: float = 0.1,
    low: float = 1e-6,
    times: int = 2,
    share: float = 0.025,
) -> list[Finding]:
    """Find weights that move too much in a step, or not at all.

    Too high where ‖ΔW‖/‖W‖ is above ``high`` at ``times`` recorded steps, and at ``share`` of those
    so far; too low where its median over the run is below ``low``, the tail in which the learning
    rate has decayed to below a hundredth of its largest left out (the second half, where it is
    unknown).

    Parameters
    ----------
    ratios
        By weight, of at least two dimensions.
    learning_rate
        Of the same run.
    between_checkpoints
        The ratios are of neighbouring checkpoints, divided by the steps between them: what a step
        moves at least. The findings are marked so.
    """
    found = []
    for name, ratio in ratios.items():
        curve = ratio.finite
        layer = name if between_checkpoints else layer_of(name)
        above = np.cumsum(curve.values > high)
        counts = np.arange(1, len(curve) + 1)
        fires = np.flatnonzero((above >= times) & (above >= share * counts))
        undecayed = _before_the_tail(curve, learning_rate)
        median = float(np.median(undecayed.values)) if len(undecayed) else math.nan
        if fires.size:
            found.append(_too_high(name, curve, int(fires[0]), high))
        elif median < low:
            found.append(_too_low(name, undecayed, median, low))
        else:
            continue
        found[-1] = replace(found[-1], layer=layer)
    return [_marked(each) for each in found] if between_checkpoints else found


def _marked(finding: Finding) -> Finding:
    """Return the finding with the word that it is of checkpoints, not of single steps."""
    statistic = "max" if finding.value is not None and finding.value > 1e-3 else "median"
    return replace(
        finding,
        message=f"{finding.message} (measured between neighbouring checkpoints and divided by the "
        "steps between them: a single step moves at least so much on average)",
        code=checkpoint_ratio_code(str(finding.layer), statistic, finding.n or 0),
    )


def _too_high(name: str, curve: Curve, first: int, high: float) -> Finding:
    above = int((curve.values > high).sum())
    return Finding(
        "update-ratio",
        WARNING,
        f"{name} moves by more than {high:g} of itself a step at {above:,} of {len(curve):,} "
        f"points (up to {curve.values.max():.2g}; {TYPICAL}): steps too large",
        step=int(curve.steps[first]),
        value=float(curve.values.max()),
        threshold=high,
        n=len(curve),
        code=ratio_code(curve.name, "max", len(curve)),
    )


def _too_low(name: str, curve: Curve, median: float, low: float) -> Finding:
    return Finding(
        "update-ratio",
        WARNING,
        f"{name} moves by {median:.1e} of itself a step (median; threshold {low:g}, {TYPICAL}): "
        "it is frozen, gets no gradient, or the learning rate is too low: cannot tell",
        step=int(curve.steps[-1]),
        value=median,
        threshold=low,
        n=len(curve),
        code=ratio_code(curve.name, "median", len(curve)),
    )


def _before_the_tail(curve: Curve, rate: Curve | None) -> Curve:
    if rate is None or not len(rate.finite):
        half = -(-len(curve) // 2)
        return Curve(curve.name, curve.steps[:half], curve.values[:half])
    known = rate.finite
    place = np.clip(np.searchsorted(known.steps, curve.steps, side="right") - 1, 0, None)
    kept = known.values[place] >= 0.01 * known.values.max()
    return Curve(curve.name, curve.steps[kept], curve.values[kept])
