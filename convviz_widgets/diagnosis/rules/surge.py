"""The rule for a loss that leaps out of what it was."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from convviz_widgets.diagnosis.code import surge_code
from convviz_widgets.diagnosis.curve import Curve
from convviz_widgets.diagnosis.finding import WARNING, Finding
from convviz_widgets.diagnosis.measurements import layer_of
from convviz_widgets.diagnosis.windows import LEAST, episodes, preceding


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
        rose = first_to_rise(update_ratios or {}, step, recovery, sigmas, window, floor)
        cause, layer = _surge_cause(rose, bool(update_ratios), recovered, recovery)
        found.append(
            Finding(
                "loss-surge",
                WARNING,
                f"{curve.name} surged at step {step:,} to {curve.values[first]:.3g}, {worst:.1f} "
                f"robust σ above the {window} recorded steps before (threshold {sigmas:g}): "
                f"{cause}{_norm_beside(gradient_norm, step, window)}",
                layer=layer,
                step=step,
                value=worst,
                threshold=sigmas,
                n=min(first, window),
                code=surge_code(curve.name, places.tolist(), window, floor),
            )
        )
    return found


def _surge_cause(
    rose: tuple[str, int] | None, has_ratios: bool, recovered: bool, recovery: int
) -> tuple[str, str | None]:
    back = f"it was back within {recovery} recorded steps" if recovered else "it did not recover"
    if not has_ratios:
        return (
            f"{back}; without update ratios a bad batch and a learning rate that is too high "
            "cannot be told apart",
            None,
        )
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
    ratios: Mapping[str, Curve],
    step: int,
    before: int,
    sigmas: float,
    window: int,
    floor: float,
) -> tuple[str, int] | None:
    """Return the weight whose update ratio left its level first before ``step``, and when."""
    rises = []
    for name, ratio in ratios.items():
        known = ratio.finite
        early = (known.steps < step) & (known.values > 0)
        steps, logs = known.steps[early], np.log(known.values[early])
        level = preceding(logs, window, LEAST)
        heights = (logs - level.median) / np.fmax(level.sigma, floor)
        recent = np.flatnonzero((heights >= sigmas) & (steps >= step - before))
        if recent.size:
            place = recent[0]
            rises.append((int(steps[place]), -float(heights[place]), name))
    return (min(rises)[2], min(rises)[0]) if rises else None


def _norm_beside(norm: Curve | None, step: int, window: int) -> str:
    if norm is None or not len(norm):
        return ""
    place = int(np.searchsorted(norm.steps, step, side="right")) - 1
    if place < 1:
        return ""
    usual = float(np.median(norm.values[max(0, place - window) : place]))
    return f" (gradient norm {norm.values[place]:.3g}, usually {usual:.3g})"
