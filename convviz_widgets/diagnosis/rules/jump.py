"""The rule for a loss that jumps and stays up."""

from __future__ import annotations

import numpy as np

from convviz_widgets.diagnosis.code import jump_code
from convviz_widgets.diagnosis.curve import Curve
from convviz_widgets.diagnosis.finding import WARNING, Finding
from convviz_widgets.diagnosis.windows import (
    LEAST,
    episodes,
    lowest_ahead,
    lowest_before,
    preceding,
)
from convviz_widgets.tensors import smooth


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
    smoothed = smooth(curve.values)
    before = lowest_before(smoothed)
    spread = preceding(curve.values - smoothed, window, LEAST).sigma
    sigma = np.fmax(spread, floor * np.abs(before))
    with np.errstate(invalid="ignore", divide="ignore"):
        heights = (lowest_ahead(smoothed, lasting) - before) / np.where(sigma > 0, sigma, np.nan)
    heights = np.where(np.isnan(spread), np.nan, heights)
    return [
        Finding(
            "loss-jump",
            WARNING,
            f"{curve.name} jumped at step {curve.steps[places[0]]:,} and stayed above its minimum "
            f"for {lasting} recorded steps, by {heights[places].max():.1f} robust σ (threshold "
            f"{sigmas:g}): the learning rate is too high there",
            step=int(curve.steps[places[0]]),
            value=float(heights[places].max()),
            threshold=sigmas,
            n=len(curve),
            code=jump_code(curve.name, int(places[0]), int(places[-1]), lasting, window, floor),
        )
        for places in episodes(heights >= sigmas, lasting)
    ]
