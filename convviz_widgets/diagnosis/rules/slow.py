"""The rule for a loss that hardly falls."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from convviz_widgets.diagnosis.code import slow_code
from convviz_widgets.diagnosis.curve import Curve
from convviz_widgets.diagnosis.finding import REMARK, WARNING, Finding
from convviz_widgets.tensors import smooth


def slow_learning(
    loss: Curve,
    update_ratios: Mapping[str, Curve] | None = None,
    *,
    classes: int | None = None,
    share: float = 0.9,
    fall: float = 0.01,
    ratio: float = 5e-4,
    least: int = 30,
) -> list[Finding]:
    """Find a loss that hardly falls: the rate is too low, or the run is where it can get.

    A warning where the weights hardly move either; else the two cannot be told apart, and a rate
    that is merely low, with which the loss still falls by a tenth, cannot be seen without a second
    run [Hui].

    Parameters
    ----------
    loss
        Of the training data.
    update_ratios
        ‖ΔW‖/‖W‖ of each step by weight; None or empty: unknown.
    classes
        K of a cross-entropy, whose loss starts at ln K; None: another loss.
    share
        Of its start that the smoothed loss has not fallen below.
    fall
        Share by which it fell over the last third.
    ratio
        Below which the largest of the weights' median update ratios lies.
    least
        Points that a loss needs to be judged.
    """
    curve = loss.finite
    if len(curve) < least:
        return []
    smoothed = smooth(curve.values)
    start = float(np.median(curve.values[:10]))
    if classes is not None and classes > 1:
        start = min(start, math.log(classes))
    now, earlier = float(smoothed[-1]), float(smoothed[-1 - len(curve) // 3])
    if start <= 0 or now <= share * start or earlier - now >= fall * abs(earlier):
        return []
    medians = {
        name: float(np.median(each.finite.values))
        for name, each in (update_ratios or {}).items()
        if len(each.finite)
    }
    largest = max(medians.values(), default=math.nan)
    is_slow = largest < ratio
    still = (
        f"{curve.name} is {now:.3g} after {len(curve):,} recorded steps, {now / start:.0%} of its "
        f"start {start:.3g}, and fell by {(earlier - now) / abs(earlier):.1%} over the last third"
    )
    if is_slow:
        why = (
            f"; no weight moves by more than {largest:.1e} of itself a step (threshold {ratio:g}): "
            "the learning rate is too low"
        )
    elif medians:
        why = f", though weights move by up to {largest:.1e} a step: slow or converged: cannot tell"
    else:
        why = "; update ratios are not recorded: slow or converged: cannot tell"
    return [
        Finding(
            "slow-learning",
            WARNING if is_slow else REMARK,
            still + why,
            step=int(curve.steps[-1]),
            value=now / start,
            threshold=share,
            n=len(curve),
            code=slow_code(curve.name, start),
        )
    ]
