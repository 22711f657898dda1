"""Rules for the loss: it jumps, surges, stops falling, is not a number any more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from convviz_widgets.diagnosis.curve import Curve
from convviz_widgets.diagnosis.finding import ERROR, REMARK, WARNING, Finding
from convviz_widgets.diagnosis.measurements import TensorFacts, layer_of
from convviz_widgets.diagnosis.windows import episodes, lowest_ahead, lowest_before, preceding
from convviz_widgets.tensors import smooth

SMOOTHING = 0.9
LEAST = 20
"""Points that must precede before a level is known."""


def loss_jump(
    loss: Curve,
    *,
    sigmas: float = 3.0,
    lasting: int = 50,
    window: int = 100,
    floor: float = 0.01,
) -> list[Finding]:
    """Find where the smoothed loss stays above its running minimum: the learning rate is too high.

    Robust σ of loss − smoothed over the points before, at least ``floor`` of the loss itself
    [Hui, "Visualize Deep Network models and metrics"; smoothing: TensorBoard's, 0.9].

    Parameters
    ----------
    loss
        Of the training data, at every recorded step.
    sigmas
        How far above.
    lasting
        Recorded steps for which it stays there.
    window
        Recorded steps before, for σ.
    floor
        Smallest σ, as a share of the loss.
    """
    curve = loss.finite
    smoothed = smooth(curve.values, SMOOTHING)
    before = lowest_before(smoothed)
    spread = preceding(curve.values - smoothed, window, LEAST).sigma
    sigma = np.fmax(spread, floor * np.abs(before))
    with np.errstate(invalid="ignore", divide="ignore"):
        heights = (lowest_ahead(smoothed, lasting) - before) / np.where(sigma > 0, sigma, np.nan)
    heights = np.where(np.isnan(spread), np.nan, heights)
    return [
        _jump(curve, heights, places, sigmas, lasting, window)
        for places in episodes(heights >= sigmas, lasting)
    ]


def _jump(
    curve: Curve, heights: np.ndarray, places: np.ndarray, sigmas: float, lasting: int, window: int
) -> Finding:
    first, worst = int(places[0]), float(heights[places].max())
    return Finding(
        "loss-jump",
        WARNING,
        f"{curve.name} jumped at step {curve.steps[first]:,} and stayed above its minimum for "
        f"{lasting} recorded steps, by {worst:.1f} robust σ (threshold {sigmas:g}): the learning "
        "rate is too high there",
        step=int(curve.steps[first]),
        value=worst,
        threshold=sigmas,
        n=len(curve),
    )


def loss_surge(
    loss: Curve,
    update_ratios: Mapping[str, Curve] | None = None,
    gradient_norm: Curve | None = None,
    *,
    sigmas: float = 10.0,
    window: int = 50,
    floor: float = 0.05,
    recovery: int = 20,
) -> list[Finding]:
    """Find where the loss leaps out of what it was: a bad batch, or a step that was too large.

    The log of the loss against its median over the ``window`` recorded steps before, in robust σ
    of at least ``floor`` [Hui]. It recovers and the updates before were ordinary: the batch is to
    be suspected; an update ratio rose first: the learning rate, and which layer's.

    Parameters
    ----------
    loss
        Of the training data; a loss that is not above zero has no log, those points are left out.
    update_ratios
        ‖ΔW‖/‖W‖ of each step by weight.
    gradient_norm
        Of all parameters together; evidence, never a threshold.
    recovery
        Recorded steps within which the loss of a bad batch is back.
    """
    curve = loss.finite
    positive = curve.values > 0
    curve = Curve(curve.name, curve.steps[positive], curve.values[positive])
    level = preceding(np.log(curve.values), window, LEAST)
    sigma = np.fmax(level.sigma, floor)
    heights = (np.log(curve.values) - level.median) / sigma
    found = []
    for places in episodes(heights >= sigmas, window):
        first = int(places[0])
        step, worst = int(curve.steps[first]), float(heights[places].max())
        after = heights[first + 1 : first + 1 + recovery]
        recovered = bool((after < sigmas / 2).any())
        cause, layer = _surge_cause(step, recovered, recovery, update_ratios or {}, sigmas, window)
        found.append(
            Finding(
                "loss-surge",
                WARNING,
                f"{curve.name} surged at step {step:,} to {curve.values[first]:.3g}, {worst:.1f} "
                f"robust σ above the {window} recorded steps before (threshold {sigmas:g}): "
                f"{cause}{_norm_beside(gradient_norm, step)}",
                layer=layer,
                step=step,
                value=worst,
                threshold=sigmas,
                n=min(first, window),
            )
        )
    return found


def _surge_cause(
    step: int,
    recovered: bool,
    recovery: int,
    ratios: Mapping[str, Curve],
    sigmas: float,
    window: int,
) -> tuple[str, str | None]:
    back = f"it was back within {recovery} recorded steps" if recovered else "it did not recover"
    if not ratios:
        return (
            f"{back}; without update ratios a bad batch and a learning rate that is too high "
            "cannot be told apart",
            None,
        )
    rose = first_to_rise(ratios, step, recovery, sigmas, window)
    if rose is not None:
        name, at = rose
        return (
            f"the update ratio of {name} rose first, at step {at:,}; {back}: the learning rate",
            layer_of(name),
        )
    if recovered:
        return f"the updates before it were ordinary and {back}: suspect the batch", None
    return f"the updates before it were ordinary, but {back}: cannot tell the cause", None


def first_to_rise(
    ratios: Mapping[str, Curve], step: int, before: int, sigmas: float, window: int
) -> tuple[str, int] | None:
    """Return the weight whose update ratio left its level first before ``step``, and when."""
    rises = []
    for name, ratio in ratios.items():
        known = ratio.finite
        early = (known.steps < step) & (known.values > 0)
        steps, logs = known.steps[early], np.log(known.values[early])
        level = preceding(logs, window, LEAST)
        heights = (logs - level.median) / np.fmax(level.sigma, 0.05)
        recent = np.flatnonzero((heights >= sigmas) & (steps >= step - before))
        if recent.size:
            place = recent[0]
            rises.append((int(steps[place]), -float(heights[place]), name))
    return (min(rises)[2], min(rises)[0]) if rises else None


def _norm_beside(norm: Curve | None, step: int) -> str:
    if norm is None or not len(norm):
        return ""
    place = int(np.searchsorted(norm.steps, step, side="right")) - 1
    if place < 1:
        return ""
    usual = float(np.median(norm.values[max(0, place - 50) : place]))
    return f" (gradient norm {norm.values[place]:.3g}, usually {usual:.3g})"


def non_finite(
    loss: Curve | None,
    gradient_norms: Mapping[str, Curve] | None = None,
    tensors: Sequence[TensorFacts] = (),
) -> list[Finding]:
    """Find the first step at which something is NaN or infinite, and the first layer.

    Parameters
    ----------
    loss
        Of the training data.
    gradient_norms
        By parameter, in the order of the layers.
    tensors
        Weights and outputs at each checkpoint, in the order of the layers.
    """
    odd = [
        (int(_odd_steps(curve)[0]), f"the gradient of {name}", layer_of(name))
        for name, curve in (gradient_norms or {}).items()
        if len(_odd_steps(curve))
    ]
    odd += [(each.step, each.what, each.layer) for each in tensors if each.non_finite]
    of_layers = min(odd, key=lambda place: place[0], default=None)
    if loss is not None and len(_odd_steps(loss)):
        odd.append((int(_odd_steps(loss)[0]), loss.name, ""))
    if not odd:
        return []
    step, what, _ = min(odd, key=lambda place: place[0])
    layer = of_layers[2] if of_layers else None
    where = f"the first layer: {layer}" if layer else "no layer was recorded"
    return [
        Finding(
            "non-finite",
            ERROR,
            f"{what} is not finite from step {step:,} on; {where}",
            layer=layer,
            step=step,
            value=float(len(odd)),
            threshold=0.0,
            n=len(tensors) + len(gradient_norms or {}) + (loss is not None),
        )
    ]


def _odd_steps(curve: Curve) -> np.ndarray:
    return curve.steps[~np.isfinite(curve.values)]


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
    smoothed = smooth(curve.values, SMOOTHING)
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
        )
    ]
