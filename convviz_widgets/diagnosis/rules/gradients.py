"""Rules for gradients that vanish or explode on their way to the input, or from step to step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from convviz_widgets.diagnosis.evidence import Evidence, GradientDepth, Metric, Moment
from convviz_widgets.diagnosis.finding import WARNING, Finding
from convviz_widgets.diagnosis.rule import CHECKPOINTS, AppliedRule, rule
from convviz_widgets.diagnosis.rules.code import at_step, code, curve_code
from convviz_widgets.diagnosis.running_median import running_median
from convviz_widgets.tensors import distribution

VANISHING_SLOPE, VANISHING_DECADES = 0.2, 3.0
"""Decades a layer, and in all, by which gradients shrink towards the input, at least."""

EXPLODING_SLOPE, EXPLODING_DECADES = -0.25, -1.5
"""Decades a layer, and in all, of gradients that grow towards the input, at most."""


def _of_depth(e: Evidence) -> tuple[Sequence[GradientDepth]] | None:
    return (e.gradients,) if any(each.is_trained for each in e.gradients) else None


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
        Gradients over depth at each checkpoint, ascending.
    decades
        Decades in all, from the last layer to the first, at least.
    slope
        Decades a layer, at least.
    """
    for profile in _trained(profiles):
        fit = profile.line
        if fit.total >= decades and fit.slope >= slope:
            message = (
                f"gradients shrink towards the input by {fit.slope:.2f} decades a layer, "
                f"{fit.total:.1f} in all (thresholds {slope:g} and {decades:g}), at "
                f"{profile.label}: saturating activations or too small initial weights; the "
                "first layers hardly learn"
            )
            applied = AppliedRule(vanishing_gradient, decades=decades, slope=slope)
            return [_of_slope(applied, message, profile)]
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
        Gradients over depth at each checkpoint, ascending.
    gradient_norm
        Norm over all parameters together, at each recorded step.
    slope, decades
        Slope over depth, and its total, at most.
    times
        Multiple of its median over the ``window`` recorded steps before, of ``least`` at least.
    """
    found = []
    for profile in _trained(profiles) or profiles[:1]:
        fit = profile.line
        if fit.slope <= slope and fit.total <= decades:
            message = (
                f"gradients grow towards the input by {-fit.slope:.2f} decades a layer, "
                f"{-fit.total:.1f} in all (thresholds {-slope:g} and {-decades:g}), at "
                f"{profile.label}: too large initial weights"
            )
            applied = AppliedRule(exploding_gradient, slope=slope, decades=decades)
            found.append(_of_slope(applied, message, profile))
            break
    return found or _leaping(gradient_norm, times, window, least)


def _leaping(norm: Metric | None, times: float, window: int, least: int) -> list[Finding]:
    if norm is None:
        return []
    known = norm.finite
    usual = running_median(known.values, window, least).median
    with np.errstate(divide="ignore", invalid="ignore"):
        leaps = known.values / np.where(usual > 0, usual, np.nan)
    places = np.flatnonzero(leaps > times)
    if not places.size:
        return []
    first = int(places[0])
    applied = AppliedRule(exploding_gradient, times=times, window=window, least=least)
    given = "()", "curves.gradient_norm"
    return [
        Finding(
            "exploding-gradient",
            WARNING,
            f"the gradient norm is {known.values[first]:.3g} at {known.label(known.steps[first])}, "
            f"{leaps[first]:.0f} times its running median (threshold {times:g}): too large steps "
            "or initial weights",
            **known.at(known.steps[first]),
            value=float(leaps[first]),
            threshold=times,
            n=min(first, window),
            code=curve_code(applied, norm.last, *given),
        )
    ]


def _trained(profiles: Sequence[GradientDepth]) -> list[GradientDepth]:
    """Return those after step 0 that a line can be drawn through."""
    return [
        each
        for each in profiles
        if each.is_trained and sum(math.isfinite(n) and n > 0 for n in each.norms) >= 2
    ]


def _of_slope(applied: AppliedRule, message: str, profile: GradientDepth) -> Finding:
    zero = sum(norm == 0 for norm in profile.norms)
    left_out = f"; {zero} layers with a gradient of exactly zero left out" if zero else ""
    return Finding(
        applied.name,
        WARNING,
        f"{message} (loss on {profile.images} images{left_out})",
        layer=profile.layers[0],
        **profile.at,
        value=profile.line.slope,
        threshold=applied.thresholds["slope"],
        n=profile.images,
        code=_slope_code(applied, profile),
    )


def _slope_code(applied: AppliedRule, profile: GradientDepth) -> str:
    """Return the lines that take the gradients of a checkpoint again, and ask a rule about them."""
    return code(
        applied,
        f"[GradientDepth.of({profile.step}, gradients, {profile.images}{profile.moment_in_code})]",
        lines=f"""
        {at_step(profile.step)}
        gradients = {{
            layer: distribution(state.gradient(layer, batch=True))
            for layer in {list(profile.layers)!r}
        }}
        """,
        uses=[GradientDepth, distribution, *([Moment] * bool(profile.moment_in_code))],
    )
