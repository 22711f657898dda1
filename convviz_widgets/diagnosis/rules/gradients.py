"""Rules for gradients and what they do to weights: they vanish, explode, or are no numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from convviz_widgets.diagnosis.evidence import (
    Evidence,
    GradientDepth,
    Metric,
    TensorFacts,
    layer_of,
)
from convviz_widgets.diagnosis.finding import ERROR, WARNING, Finding
from convviz_widgets.diagnosis.rule import CHECKPOINTS, LOSS, rule
from convviz_widgets.diagnosis.rules.code import at_step, call, code, curve_code, tensor_code
from convviz_widgets.diagnosis.rules.loss import preceding
from convviz_widgets.diagnosis.run_curves import run_curves
from convviz_widgets.measure import relative_change
from convviz_widgets.tensors import distribution

# -- gradients vanish or explode on their way to the input ---------------------------------------

VANISHING_SLOPE, VANISHING_DECADES = 0.2, 3.0
"""Decades a layer, and in all, by which gradients shrink towards the input, at least."""

EXPLODING_SLOPE, EXPLODING_DECADES = -0.25, -1.5
"""The same of gradients that grow towards it, at most."""


def _of_depth(e: Evidence) -> tuple[Sequence[GradientDepth]] | None:
    return (e.gradients,) if any(each.step > 0 for each in e.gradients) else None


@rule(
    "vanishing-gradient",
    place=100,
    needs=f"{CHECKPOINTS} after step 0, and labels",
    takes=_of_depth,
    hides=("slow-learning", "update-ratio", "stuck-output"),
)
def vanishing_gradient(
    profiles: Sequence[GradientDepth],
    *,
    decades: float = VANISHING_DECADES,
    slope: float = VANISHING_SLOPE,
) -> list[Finding]:
    """Find gradients that shrink on their way to the input.

    The slope of log10 ‖∂loss/∂output‖ over depth; layers whose gradient is exactly zero are left
    out. Judged after step 0 [Glorot & Bengio 2010; He et al. 2015].

    Parameters
    ----------
    profiles
        Of the checkpoints, ascending.
    decades
        In all, from the last layer to the first, at least.
    slope
        Decades a layer, at least.
    """
    for profile in _trained(profiles):
        fit = profile.line
        if fit.total >= decades and fit.slope >= slope:
            message = (
                f"gradients shrink towards the input by {fit.slope:.2f} decades a layer, "
                f"{fit.total:.1f} in all (thresholds {slope:g} and {decades:g}), at step "
                f"{profile.step:,}: saturating activations or too small initial weights; the "
                "first layers hardly learn"
            )
            return [_of_slope("vanishing-gradient", message, profile, slope)]
    return []


def _of_depth_and_steps(e: Evidence) -> tuple[Sequence[GradientDepth], Metric | None] | None:
    known = e.gradients or e.curves.gradient_norms
    return (e.gradients, e.curves.gradient_norm) if known else None


@rule(
    "exploding-gradient",
    place=70,
    needs=f"recorded gradient norms, or {CHECKPOINTS}",
    takes=_of_depth_and_steps,
    hides=("update-ratio", "stuck-output"),
    causes=("non-finite",),
)
def exploding_gradient(
    profiles: Sequence[GradientDepth] = (),
    gradient_norm: Metric | None = None,
    *,
    slope: float = EXPLODING_SLOPE,
    decades: float = EXPLODING_DECADES,
    times: float = 100.0,
    window: int = 100,
    least: int = 2,
) -> list[Finding]:
    """Find gradients that grow on their way to the input, or from step to step.

    Judged after step 0; at step 0 where nothing later is finite.

    Parameters
    ----------
    profiles
        Of the checkpoints, ascending.
    gradient_norm
        Of all parameters together, at each recorded step.
    slope, decades
        Of the slope over depth, and its total: at most.
    times
        Its running median, taken over the ``window`` recorded steps before, at least ``least``.
    """
    found = []
    for profile in _trained(profiles) or profiles[:1]:
        fit = profile.line
        if fit.slope <= slope and fit.total <= decades:
            message = (
                f"gradients grow towards the input by {-fit.slope:.2f} decades a layer, "
                f"{-fit.total:.1f} in all (thresholds {-slope:g} and {-decades:g}), at step "
                f"{profile.step:,}: too large initial weights"
            )
            found.append(_of_slope("exploding-gradient", message, profile, slope))
            break
    return found or _leaping(gradient_norm, times, window, least)


def _leaping(norm: Metric | None, times: float, window: int, least: int) -> list[Finding]:
    if norm is None:
        return []
    known = norm.finite
    usual = preceding(known.values, window, least).median
    with np.errstate(divide="ignore", invalid="ignore"):
        leaps = known.values / np.where(usual > 0, usual, np.nan)
    places = np.flatnonzero(leaps > times)
    if not places.size:
        return []
    first = int(places[0])
    limits = {"times": times, "window": window, "least": least}
    found = call(exploding_gradient, "()", "curves.gradient_norm", **limits)
    return [
        Finding(
            "exploding-gradient",
            WARNING,
            f"the gradient norm is {known.values[first]:.3g} at step {known.steps[first]:,}, "
            f"{leaps[first]:.0f} times its running median (threshold {times:g}): too large steps "
            "or initial weights",
            step=int(known.steps[first]),
            value=float(leaps[first]),
            threshold=times,
            n=min(first, window),
            code=curve_code(int(norm.steps[-1]), found, exploding_gradient),
        )
    ]


def _trained(profiles: Sequence[GradientDepth]) -> list[GradientDepth]:
    """Return those after step 0 that a line can be drawn through."""
    return [
        each
        for each in profiles
        if each.step > 0 and sum(math.isfinite(n) and n > 0 for n in each.norms) >= 2
    ]


def _of_slope(name: str, message: str, profile: GradientDepth, threshold: float) -> Finding:
    zero = sum(norm == 0 for norm in profile.norms)
    left_out = f"; {zero} layers with a gradient of exactly zero left out" if zero else ""
    return Finding(
        name,
        WARNING,
        f"{message} (loss on {profile.images} images{left_out})",
        layer=profile.layers[0],
        step=profile.step,
        value=profile.line.slope,
        threshold=threshold,
        n=profile.images,
        code=_slope_code(profile),
    )


def _slope_code(profile: GradientDepth) -> str:
    return code(
        GradientDepth,
        distribution,
        text=f"""
        {at_step(profile.step)}
        gradients = {{
            layer: distribution(state.gradient(layer, batch=True))
            for layer in {list(profile.layers)!r}
        }}
        value = GradientDepth.of({profile.step}, gradients, {profile.images}).line.slope
        """,
    )


# -- weights move too much in a step, or not at all ----------------------------------------------

TYPICAL = "typical 1e-3 to 2e-2"
"""Of ‖ΔW‖/‖W‖ in a step; 1e-3 is CS231n's rule of thumb ("Neural Networks 3")."""

BETWEEN_CHECKPOINTS = (
    " (measured between neighbouring checkpoints and divided by the steps between them: a single "
    "step moves at least so much on average)"
)


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
    limits = {"high": high, "low": low, "times": times, "share": share}
    found = []
    for name, ratio in ratios.items():
        curve = ratio.finite
        above = np.cumsum(curve.values > high)
        counts = np.arange(1, len(curve) + 1)
        fires = np.flatnonzero((above >= times) & (above >= share * counts))
        undecayed = _before_the_tail(curve, learning_rate)
        median = float(np.median(undecayed.values)) if len(undecayed) else math.nan
        if fires.size:
            finding = _too_high(name, curve, int(fires[0]), high)
        elif median < low:
            finding = _too_low(name, undecayed, median, low)
        else:
            continue
        if between_checkpoints:
            message = finding.message + BETWEEN_CHECKPOINTS
            again = _checkpoint_code(name, len(ratio), learning_rate, limits)
            found.append(replace(finding, layer=name, message=message, code=again))
        else:
            again = _recorded_code(name, ratio, learning_rate, limits)
            found.append(replace(finding, layer=layer_of(name), code=again))
    return found


def _too_high(name: str, curve: Metric, first: int, high: float) -> Finding:
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
    )


def _too_low(name: str, curve: Metric, median: float, low: float) -> Finding:
    return Finding(
        "update-ratio",
        WARNING,
        f"{name} moves by {median:.1e} of itself a step (median; threshold {low:g}, {TYPICAL}): "
        "it is frozen, gets no gradient, or the learning rate is too low: cannot tell",
        step=int(curve.steps[-1]),
        value=median,
        threshold=low,
        n=len(curve),
    )


def _recorded_code(
    name: str, ratio: Metric, rate: Metric | None, limits: Mapping[str, float]
) -> str:
    last = max(int(each.steps[-1]) for each in (ratio, rate) if each)
    of = f"{{{name!r}: curves.update_ratios[{name!r}]}}"
    return curve_code(last, call(update_ratio, of, "curves.learning_rate", **limits), update_ratio)


def _checkpoint_code(
    layer: str, pairs: int, rate: Metric | None, limits: Mapping[str, float]
) -> str:
    schedule = f"run_curves(run.metrics).until({rate.steps[-1]}).learning_rate" if rate else "None"
    again = call(update_ratio, f"{{{layer!r}: ratios}}", schedule, "True", **limits)
    return code(
        Metric,
        relative_change,
        update_ratio,
        *([run_curves] if rate else []),
        text=f"""weights = []
for checkpoint in range({pairs} + 1):
    state.select(checkpoint=checkpoint)
    weights.append(state.weight({layer!r}))
moved = [relative_change(*pair) for pair in zip(weights, weights[1:])]
ratios = Metric.of_updates({layer!r}, state.steps[: {pairs} + 1], moved)
value = {again}[0].value""",
    )


def _before_the_tail(curve: Metric, rate: Metric | None) -> Metric:
    """Return the points before the learning rate has decayed to a hundredth of its largest."""
    if rate is None or not len(rate.finite):
        half = -(-len(curve) // 2)
        return Metric(curve.name, curve.steps[:half], curve.values[:half])
    known = rate.finite
    place = np.clip(np.searchsorted(known.steps, curve.steps, side="right") - 1, 0, None)
    kept = known.values[place] >= 0.01 * known.values.max()
    return Metric(curve.name, curve.steps[kept], curve.values[kept])


# -- something is no number any more -------------------------------------------------------------


def _of_curves_and_tensors(
    e: Evidence,
) -> tuple[Metric | None, Mapping[str, Metric], Sequence[TensorFacts]] | None:
    given = e.curves.loss, e.curves.gradient_norms, e.tensors
    return given if any(given) else None


@rule(
    "non-finite",
    place=10,
    needs=f"{LOSS}, or {CHECKPOINTS}",
    takes=_of_curves_and_tensors,
    hides=("stuck-output",),
)
def non_finite(
    loss: Metric | None,
    gradient_norms: Mapping[str, Metric] | None = None,
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
    norms = gradient_norms or {}
    broken = [
        _NonFinite(_first(curve), f"the gradient of {name}", layer_of(name))
        for name, curve in norms.items()
        if not np.isfinite(curve.values).all()
    ]
    broken += [
        _NonFinite(each.step, f"{each.layer} ({each.what})", each.layer, each)
        for each in tensors
        if each.non_finite
    ]
    of_layers = min(broken, key=lambda each: each.step, default=None)
    if loss is not None and not np.isfinite(loss.values).all():
        broken.append(_NonFinite(_first(loss), loss.name, ""))
    if not broken:
        return []
    first = min(broken, key=lambda each: each.step)
    layer = of_layers.layer if of_layers else None
    where = f"the first layer: {layer}" if layer else "no layer was recorded"
    return [
        Finding(
            "non-finite",
            ERROR,
            f"{first.what} is not finite at step {first.step:,}; {where}",
            layer=layer,
            step=first.step,
            value=float(first.step),
            n=len(tensors) + len(norms) + (loss is not None),
            code=_non_finite_code(first),
        )
    ]


class _NonFinite(NamedTuple):
    """Where something is first seen that is no number."""

    step: int
    what: str
    layer: str
    facts: TensorFacts | None = None
    """None for a curve."""


def _non_finite_code(first: _NonFinite) -> str:
    if first.facts is not None:
        return tensor_code(first.facts, "non_finite(None, {}, [facts])[0].value", non_finite)
    again = call(non_finite, "curves.loss", "curves.gradient_norms")
    return curve_code(first.step, again, non_finite)


def _first(curve: Metric) -> int:
    return int(curve.steps[~np.isfinite(curve.values)][0])
