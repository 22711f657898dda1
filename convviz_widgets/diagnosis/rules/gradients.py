"""Rules for gradients: they vanish, or explode."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from convviz_widgets.diagnosis.code import leap_code, slope_code
from convviz_widgets.diagnosis.curve import Curve
from convviz_widgets.diagnosis.finding import WARNING, Finding
from convviz_widgets.diagnosis.measurements import GradientDepth
from convviz_widgets.diagnosis.windows import preceding
from convviz_widgets.tensors import DepthSlope, depth_slope

VANISHING_SLOPE, VANISHING_DECADES = 0.2, 3.0
"""Decades a layer, and in all, by which gradients shrink towards the input, at least."""

EXPLODING_SLOPE, EXPLODING_DECADES = -0.25, -1.5
"""The same of gradients that grow towards it, at most."""


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
        fit = depth_slope(profile.norms)
        if fit.total >= decades and fit.slope >= slope:
            message = (
                f"gradients shrink towards the input by {fit.slope:.2f} decades a layer, "
                f"{fit.total:.1f} in all (thresholds {slope:g} and {decades:g}), at step "
                f"{profile.step:,}: saturating activations or too small initial weights; the "
                "first layers hardly learn"
            )
            return [_of_slope("vanishing-gradient", message, profile, fit, slope)]
    return []


def exploding_gradient(
    profiles: Sequence[GradientDepth] = (),
    gradient_norm: Curve | None = None,
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
        fit = depth_slope(profile.norms)
        if fit.slope <= slope and fit.total <= decades:
            message = (
                f"gradients grow towards the input by {-fit.slope:.2f} decades a layer, "
                f"{-fit.total:.1f} in all (thresholds {-slope:g} and {-decades:g}), at step "
                f"{profile.step:,}: too large initial weights"
            )
            found.append(_of_slope("exploding-gradient", message, profile, fit, slope))
            break
    return found or _leaping(gradient_norm, times, window, least)


def _leaping(norm: Curve | None, times: float, window: int, least: int) -> list[Finding]:
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
            code=leap_code(norm.name, first, window),
        )
    ]


def _trained(profiles: Sequence[GradientDepth]) -> list[GradientDepth]:
    """Return those after step 0 at which something can be measured."""
    return [
        each
        for each in profiles
        if each.step > 0 and sum(math.isfinite(n) and n > 0 for n in each.norms) >= 2
    ]


def _of_slope(
    rule: str,
    message: str,
    profile: GradientDepth,
    fit: DepthSlope,
    threshold: float,
) -> Finding:
    zero = sum(norm == 0 for norm in profile.norms)
    left_out = f"; {zero} layers with a gradient of exactly zero left out" if zero else ""
    return Finding(
        rule,
        WARNING,
        f"{message} (loss on {profile.images} images{left_out})",
        layer=profile.layers[0],
        step=profile.step,
        value=fit.slope,
        threshold=threshold,
        n=profile.images,
        code=slope_code(profile.step, profile.layers),
    )
