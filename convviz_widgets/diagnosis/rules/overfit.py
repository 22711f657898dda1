"""The rule for overfitting: training gets better while validation gets worse."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from convviz_widgets.diagnosis.evidence import Evidence, Metric, RunCurves
from convviz_widgets.diagnosis.finding import REMARK, WARNING, Finding
from convviz_widgets.diagnosis.rule import AppliedRule, rule
from convviz_widgets.diagnosis.rules.code import curve_code


def _of_accuracies(e: Evidence) -> tuple[RunCurves, int | None] | None:
    both = e.curves.accuracy and e.curves.validation_accuracy
    return (e.curves, e.validation_images) if both else None


@rule(
    "overfit",
    place=120,
    needs="a run with accuracies of training and validation data",
    takes=_of_accuracies,
)
def overfit(
    curves: RunCurves,
    validation_images: int | None = None,
    *,
    gap: float = 0.1,
    errors: float = 3.0,
    rise: float = 0.15,
    evaluations: int = 3,
) -> list[Finding]:
    """Find where accuracy parts and the validation loss rises while the training loss falls.

    A gap alone is a remark: overfitting, or validation data from elsewhere, cannot be told apart
    [Hui]. Means over the last ``evaluations``, judged after each evaluation, so that later ones
    take nothing back.

    Parameters
    ----------
    curves
        Loss and accuracy of training and validation data.
    validation_images
        Images behind an accuracy, for its binomial standard error; None: unknown.
    gap
        Smallest gap between the accuracies.
    errors
        Standard errors that the gap must exceed too.
    rise
        Share by which the validation loss is above its own minimum.
    """
    train, held = curves.accuracy, curves.validation_accuracy
    if train is None or held is None:
        return []
    held = held.finite
    apart = _trailing_mean(train.means_until(held.steps) - held.values, evaluations)
    level = np.clip(_trailing_mean(held.values, evaluations), 0, 1)
    error = np.sqrt(level * (1 - level) / validation_images) if validation_images else 0 * level
    threshold = np.fmax(gap, errors * error)
    wide = apart > threshold
    if not wide.any():
        return []
    risen = _risen(curves, held.steps, evaluations)
    firm = wide & (risen >= rise)
    applied = AppliedRule(overfit, gap=gap, errors=errors, rise=rise, evaluations=evaluations)
    code = _code(applied, curves, validation_images)
    found = _Gap(held, apart, threshold, validation_images, code)
    return [found.with_rising_loss(risen, firm, rise) if firm.any() else found.alone(wide)]


@dataclass(frozen=True, eq=False)
class _Gap:
    """How far the accuracies are apart after each evaluation of ``held``, and how far they may."""

    held: Metric
    apart: np.ndarray
    threshold: np.ndarray
    images: int | None
    code: str

    def alone(self, wide: np.ndarray) -> Finding:
        first = int(np.flatnonzero(wide)[0])
        widest = int(np.nanargmax(np.where(wide, self.apart, np.nan)))
        known = f"n = {self.images:,}" if self.images else "n unknown"
        message = (
            f"gap {self.apart[widest]:.2f} between training and validation accuracy from "
            f"{self._at(first)} on (threshold {self.threshold[first]:.2f}), {known}: "
            "overfitting, or a validation set from elsewhere: cannot tell"
        )
        return self._finding(REMARK, message, begun=first, measured=widest, judged=first)

    def with_rising_loss(self, risen: np.ndarray, firm: np.ndarray, rise: float) -> Finding:
        first, last = map(int, np.flatnonzero(firm)[[0, -1]])
        known = f", n = {self.images:,}" if self.images else ""
        message = (
            f"overfitting from {self._at(first)} on: at "
            f"{self._at(last)} training accuracy is {self.apart[last]:.2f} above "
            f"validation (threshold {self.threshold[last]:.2f}{known}), and the validation loss "
            f"{risen[last]:.0%} above its own minimum (threshold {rise:.0%}) while the training "
            "loss went on falling"
        )
        return self._finding(WARNING, message, begun=first, measured=last, judged=last)

    def _at(self, index: int) -> str:
        return self.held.label(self.held.steps[index])

    def _finding(
        self, severity: str, message: str, *, begun: int, measured: int, judged: int
    ) -> Finding:
        """Return the finding; the places are those where it begins, and of value and threshold."""
        return Finding(
            "overfit",
            severity,
            message,
            **self.held.at(self.held.steps[begun]),
            value=float(self.apart[measured]),
            threshold=float(self.threshold[judged]),
            n=self.images,
            code=self.code,
        )


def _code(applied: AppliedRule, curves: RunCurves, images: int | None) -> str:
    used = (curves.accuracy, curves.validation_accuracy, curves.loss, curves.validation_loss)
    last = max(each.last for each in used if each)
    return curve_code(applied, last, "curves", repr(images))


def _risen(curves: RunCurves, steps: np.ndarray, evaluations: int) -> np.ndarray:
    """Return by what share the validation loss is above its minimum so far, at each evaluation.

    NaN where the training loss is not lower than it was at that minimum.
    """
    train, held = curves.loss, curves.validation_loss
    risen = np.full(len(steps), math.nan)
    if train is None or held is None or not len(held.finite):
        return risen
    held = held.finite
    validation = _trailing_mean(held.values, evaluations)
    training = train.means_until(held.steps)
    places = np.searchsorted(held.steps, steps, side="right") - 1
    for index, place in enumerate(places):
        so_far = validation[: place + 1]
        if place < 0 or np.isnan(so_far).all():
            continue
        lowest = int(np.nanargmin(so_far))
        if training[place] < training[lowest] and so_far[lowest] > 0:
            risen[index] = so_far[place] / so_far[lowest] - 1
    return risen


def _trailing_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Return the mean of each point and the ``width`` - 1 before it; NaN where those lack."""
    means = np.full(len(values), math.nan)
    if len(values) >= width:
        means[width - 1 :] = np.convolve(values, np.ones(width) / width, mode="valid")
    return means
