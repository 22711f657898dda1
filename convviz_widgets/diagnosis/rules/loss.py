"""Rules for the loss: it jumps and stays up, surges, or hardly falls."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from convviz_widgets.diagnosis.evidence import Evidence, Metric, layer_of
from convviz_widgets.diagnosis.finding import REMARK, WARNING, Finding
from convviz_widgets.diagnosis.rule import LOSS, AppliedRule, rule
from convviz_widgets.diagnosis.rules.code import curve_code
from convviz_widgets.diagnosis.running_median import running_median
from convviz_widgets.tensors import smooth

LEAST = 20
"""Points that must precede before there is a running median."""

# -- the loss jumps and stays up -----------------------------------------------------------------


@rule(
    "loss-jump",
    place=80,
    needs=LOSS,
    takes=lambda e: None if e.curves.loss is None else (e.curves.loss,),
    hides_later=("loss-surge", "overfit"),
    causes_later=("dead-layer",),
)
def loss_jump(
    loss: Metric,
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
        Loss of the training data, at every recorded step.
    sigmas
        How far above it is, in σ.
    lasting
        Recorded steps for which it stays there.
    window
        Recorded steps before, for σ.
    floor
        Smallest σ, as a share of the loss.
    """
    curve = loss.finite
    smoothed = smooth(curve.values)
    before = lowest_before(smoothed)
    spread = running_median(curve.values - smoothed, window, LEAST).sigma
    sigma = np.fmax(spread, floor * np.abs(before))
    with np.errstate(invalid="ignore", divide="ignore"):
        heights = (lowest_ahead(smoothed, lasting) - before) / np.where(sigma > 0, sigma, np.nan)
    heights = np.where(np.isnan(spread), np.nan, heights)
    applied = AppliedRule(loss_jump, sigmas=sigmas, lasting=lasting, window=window, floor=floor)
    return [
        Finding(
            "loss-jump",
            WARNING,
            f"{curve.name} jumped at {curve.label(curve.steps[places[0]])} and stayed above its "
            f"minimum for {lasting} recorded steps, by {heights[places].max():.1f} robust σ "
            f"(threshold {sigmas:g}): the learning rate is too high there",
            **curve.at(curve.steps[places[0]]),
            value=float(heights[places].max()),
            threshold=sigmas,
            n=len(curve),
            code=_code(applied, loss, int(curve.steps[places[0]])),
        )
        for places in episodes(heights >= sigmas, lasting)
    ]


# -- the loss surges -----------------------------------------------------------------------------


def _of_surge(e: Evidence) -> tuple[Metric, Mapping[str, Metric], Metric | None] | None:
    loss, ratios, norm = e.curves.loss, e.curves.update_ratios, e.curves.gradient_norm
    return None if loss is None else (loss, ratios, norm)


@rule("loss-surge", place=110, needs=LOSS, takes=_of_surge)
def loss_surge(
    loss: Metric,
    update_ratios: Mapping[str, Metric] | None = None,
    gradient_norm: Metric | None = None,
    *,
    sigmas: float = 10.0,
    window: int = 50,
    floor: float = 0.05,
    recovery: int = 20,
    recovered: float = 0.5,
) -> list[Finding]:
    """Find where the loss leaps out of what it was: a bad batch, or a step that was too large.

    The log of the loss against its median over the ``window`` recorded steps before, in robust σ
    of at least ``floor`` [Hui]. It recovers and the updates before were ordinary: the batch is to
    be suspected; an update ratio rose first: the learning rate, and which layer's.

    Parameters
    ----------
    loss
        Loss of the training data; points that are not above zero have no log and are left out.
    update_ratios
        ‖ΔW‖/‖W‖ of each step by weight.
    gradient_norm
        Norm over all parameters together; evidence, never a threshold.
    recovery
        Recorded steps within which the loss of a bad batch is back.
    recovered
        Share of ``sigmas`` below which it is.
    """
    curve = loss.finite
    positive = curve.values > 0
    curve = curve.only(positive)
    heights = _heights(np.log(curve.values), window, floor)
    given = "curves.update_ratios", "curves.gradient_norm"
    applied = AppliedRule(
        loss_surge,
        sigmas=sigmas,
        window=window,
        floor=floor,
        recovery=recovery,
        recovered=recovered,
    )
    found = []
    for places in episodes(heights >= sigmas, window):
        first = int(places[0])
        step, worst = curve.steps[first].item(), float(heights[places].max())
        after = heights[first + 1 : first + 1 + recovery]
        is_back = bool((after < recovered * sigmas).any())
        rose = first_to_rise(update_ratios or {}, step, recovery, sigmas, window, floor)
        found.append(
            Finding(
                "loss-surge",
                WARNING,
                f"{curve.name} surged at {curve.label(step)} to {curve.values[first]:.3g}, "
                f"{worst:.1f} robust σ above the {window} recorded steps before "
                f"(threshold {sigmas:g}): "
                f"{_surge_cause(rose, curve, bool(update_ratios), is_back, recovery)}"
                f"{_norm_beside(gradient_norm, step, window)}",
                layer=None if rose is None else layer_of(rose[0]),
                **curve.at(step),
                value=worst,
                threshold=sigmas,
                n=min(first, window),
                code=_code(applied, loss, step, *given),
            )
        )
    return found


def _surge_cause(
    rose: tuple[str, float] | None, curve: Metric, has_ratios: bool, is_back: bool, recovery: int
) -> str:
    back = f"it was back within {recovery} recorded steps" if is_back else "it did not recover"
    if not has_ratios:
        return (
            f"{back}; without update ratios a bad batch and a learning rate that is too high "
            "cannot be told apart"
        )
    if rose is not None:
        weight, at = rose[0], curve.label(rose[1])
        return f"the update ratio of {weight} rose first, at {at}; {back}: the learning rate"
    if is_back:
        return f"the updates before it were ordinary and {back}: suspect the batch"
    return f"the updates before it were ordinary, but {back}: cannot tell the cause"


def first_to_rise(
    ratios: Mapping[str, Metric],
    step: float,
    before: int,
    sigmas: float,
    window: int,
    floor: float,
) -> tuple[str, float] | None:
    """Return the weight whose update ratio left its level first before ``step``, and at which step.

    None where no ratio did, at most ``before`` steps earlier.
    """
    rises = []
    for name, ratio in ratios.items():
        known = ratio.finite
        early = (known.steps < step) & (known.values > 0)
        steps, logs = known.steps[early], np.log(known.values[early])
        heights = _heights(logs, window, floor)
        recent = np.flatnonzero((heights >= sigmas) & (steps >= step - before))
        if recent.size:
            place = recent[0]
            rises.append((steps[place].item(), -float(heights[place]), name))
    return (min(rises)[2], min(rises)[0]) if rises else None


def _heights(logs: np.ndarray, window: int, floor: float) -> np.ndarray:
    """Return how far each point is above the median of those before, in robust σ."""
    level = running_median(logs, window, LEAST)
    return (logs - level.median) / np.fmax(level.sigma, floor)


def _norm_beside(norm: Metric | None, step: float, window: int) -> str:
    if norm is None or not len(norm):
        return ""
    place = int(np.searchsorted(norm.steps, step, side="right")) - 1
    if place < 1:
        return ""
    usual = float(np.median(norm.values[max(0, place - window) : place]))
    return f" (gradient norm {norm.values[place]:.3g}, usually {usual:.3g})"


# -- the loss hardly falls -----------------------------------------------------------------------

START = 10
"""Points whose median the loss is taken to start at."""


def _of_slow(e: Evidence) -> tuple[Metric, Mapping[str, Metric], int | None] | None:
    return None if e.curves.loss is None else (e.curves.loss, e.curves.update_ratios, e.classes)


@rule("slow-learning", place=130, needs=LOSS, takes=_of_slow, hides=("stuck-output",))
def slow_learning(
    loss: Metric,
    update_ratios: Mapping[str, Metric] | None = None,
    classes: int | None = None,
    *,
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
        Loss of the training data.
    update_ratios
        ‖ΔW‖/‖W‖ of each step by weight; None or empty: unknown.
    classes
        K of a cross-entropy, whose loss starts at ln K; None: another loss.
    share
        Share of its start that the smoothed loss has not fallen below.
    fall
        Share by which it fell over the last third.
    ratio
        What the largest of the weights' median update ratios lies below.
    least
        Points that a loss needs to be judged.
    """
    curve = loss.finite
    if len(curve) < least:
        return []
    smoothed = smooth(curve.values)
    start = float(np.median(curve.values[:START]))
    if classes is not None and classes > 1:
        start = min(start, math.log(classes))
    now, earlier = float(smoothed[-1]), float(smoothed[-1 - len(curve) // 3])
    if start <= 0 or now <= share * start or earlier - now >= fall * abs(earlier):
        return []
    largest = _largest_median(update_ratios or {})
    is_slow = largest < ratio
    given = "curves.update_ratios", repr(classes)
    applied = AppliedRule(slow_learning, share=share, fall=fall, ratio=ratio, least=least)
    return [
        Finding(
            "slow-learning",
            WARNING if is_slow else REMARK,
            f"{curve.name} is {now:.3g} after {len(curve):,} recorded steps, {now / start:.0%} of "
            f"its start {start:.3g}, and fell by {(earlier - now) / abs(earlier):.1%} over the "
            f"last third{_slow_cause(largest, ratio)}",
            **curve.at(curve.last),
            value=now / start,
            threshold=share,
            n=len(curve),
            code=_code(applied, loss, curve.last, *given),
        )
    ]


def _largest_median(ratios: Mapping[str, Metric]) -> float:
    """Return the largest of the weights' median update ratios; NaN for none."""
    medians = [float(np.median(each.finite.values)) for each in ratios.values() if len(each.finite)]
    return max(medians, default=math.nan)


def _slow_cause(largest: float, ratio: float) -> str:
    if math.isnan(largest):
        return "; update ratios are not recorded: slow or converged: cannot tell"
    if largest < ratio:
        return (
            f"; no weight moves by more than {largest:.1e} of itself a step (threshold {ratio:g}): "
            "the learning rate is too low"
        )
    return f", though weights move by up to {largest:.1e} a step: slow or converged: cannot tell"


def _code(applied: AppliedRule, loss: Metric, step: float, *arguments: str) -> str:
    """Return the lines that find what was found at a step, in the loss as it was known."""
    given = "curves.loss", *arguments
    where = f"each.step == {int(step)}"
    return curve_code(applied, loss.last, *given, where=where)


# -- runs of points ------------------------------------------------------------------------------


def lowest_ahead(values: np.ndarray, width: int) -> np.ndarray:
    """Return the smallest of each point and the ``width`` - 1 after it; NaN where some lack."""
    lowest = np.full(len(values), np.nan)
    if len(values) >= width:
        lowest[: len(values) - width + 1] = sliding_window_view(values, width).min(axis=1)
    return lowest


def lowest_before(values: np.ndarray) -> np.ndarray:
    """Return the smallest of all points before each; NaN for the first."""
    before = np.full(len(values), np.nan)
    before[1:] = np.minimum.accumulate(values)[:-1]
    return before


def episodes(hits: np.ndarray, apart: int) -> list[np.ndarray]:
    """Return the indices of hits, those of one episode together.

    An episode ends where ``apart`` points in a row are none.
    """
    places = np.flatnonzero(hits)
    if not places.size:
        return []
    return np.split(places, np.flatnonzero(np.diff(places) > apart) + 1)
