"""Which of a run's metrics are the loss, the accuracy, the gradient norms, the update ratios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from convviz_widgets.diagnosis.evidence import Metric, RunCurves
from convviz_widgets.record import Series, paired
from convviz_widgets.record.norms import GRADIENT_NORM, UPDATE_RATIO

QUANTITIES = {"loss": ("loss",), "accuracy": ("accuracy", "acc")}


def run_curves(metrics: Mapping[str, Series]) -> RunCurves:
    """Return the curves of a run's metrics; of several losses the one with the shortest name."""
    loss, validation_loss = _pair(metrics, "loss")
    accuracy, validation_accuracy = _pair(metrics, "accuracy")
    return RunCurves(
        loss=loss,
        validation_loss=validation_loss,
        accuracy=_as_share(accuracy, validation_accuracy),
        validation_accuracy=_as_share(validation_accuracy, accuracy),
        gradient_norms=_below(metrics, GRADIENT_NORM),
        update_ratios=_below(metrics, UPDATE_RATIO),
        learning_rate=_learning_rate(metrics),
    )


def has_update_ratios(metrics: Mapping[str, Series]) -> bool:
    """Tell whether the update ratios of each step were recorded."""
    return any(name.startswith(UPDATE_RATIO) for name in metrics)


def _pair(metrics: Mapping[str, Series], quantity: str) -> tuple[Metric | None, Metric | None]:
    pairs = [pair for pair in paired(metrics) if _is_of(pair.name, quantity)]
    if pairs:
        pair = min(pairs, key=lambda each: len(each.name))
        return _curve(metrics, pair.training), _curve(metrics, pair.validation)
    alone = [name for name in metrics if _is_of(name, quantity) and _is_training(name, quantity)]
    held = [name for name in metrics if _is_of(name, quantity) and not _is_training(name, quantity)]
    return _curve(metrics, *sorted(alone, key=len)[:1]), _curve(metrics, *sorted(held, key=len)[:1])


def _is_of(name: str, quantity: str) -> bool:
    return any(word in name.lower() for word in QUANTITIES[quantity])


def _is_training(name: str, quantity: str) -> bool:
    """Tell whether a metric without a partner would be paired with one of validation data."""
    return bool(paired([name, f"validation/{quantity}"]))


def _curve(metrics: Mapping[str, Series], name: str | None = None) -> Metric | None:
    if name is None:
        return None
    series = metrics[name]
    return Metric(name, series.steps, series.values, axis=series.axis)


def _below(metrics: Mapping[str, Series], prefix: str) -> dict[str, Metric]:
    return {
        name.removeprefix(prefix): Metric(name, series.steps, series.values, axis=series.axis)
        for name, series in metrics.items()
        if name.startswith(prefix)
    }


def _learning_rate(metrics: Mapping[str, Series]) -> Metric | None:
    names = [name for name in metrics if name.split("/")[0] in ("learning_rate", "lr")]
    return _curve(metrics, *names[:1])


def _as_share(curve: Metric | None, other: Metric | None) -> Metric | None:
    """Return an accuracy in [0, 1]; one that is written in percent is above 1 somewhere."""
    if curve is None:
        return None
    both = [each.finite.values for each in (curve, other) if each is not None]
    largest = max((float(values.max()) for values in both if len(values)), default=0.0)
    return replace(curve, values=curve.values / 100) if largest > 1 else curve
