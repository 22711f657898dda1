"""The rule for losses, gradients, weights and outputs that are NaN or infinite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from convviz_widgets.diagnosis.evidence import Evidence, Metric, TensorFacts, layer_of
from convviz_widgets.diagnosis.finding import ERROR, Finding
from convviz_widgets.diagnosis.rule import CHECKPOINTS, LOSS, AppliedRule, rule
from convviz_widgets.diagnosis.rules.code import curve_code, tensor_code


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
        Loss of the training data.
    gradient_norms
        Gradient norms by parameter, in the order of the layers.
    tensors
        Weights and outputs at each checkpoint, in the order of the layers.
    """
    norms = gradient_norms or {}
    broken = [
        _NonFinite(_first(curve), f"the gradient of {name}", layer_of(name), curve)
        for name, curve in norms.items()
        if not np.isfinite(curve.values).all()
    ]
    broken += [
        _NonFinite(each.step, f"{each.layer} ({each.what})", each.layer, each)
        for each in tensors
        if each.non_finite
    ]
    of_layers = min(broken, key=_place, default=None)
    if loss is not None and not np.isfinite(loss.values).all():
        broken.append(_NonFinite(_first(loss), loss.name, "", loss))
    if not broken:
        return []
    first = min(broken, key=_place)
    layer = of_layers.layer if of_layers else None
    where = f"the first layer: {layer}" if layer else "no layer was recorded"
    return [
        Finding(
            "non-finite",
            ERROR,
            f"{first.what} is not finite at {first.label}; {where}",
            layer=layer,
            **first.at,
            value=float(first.step),
            n=len(tensors) + len(norms) + (loss is not None),
            code=_non_finite_code(first),
        )
    ]


class _NonFinite(NamedTuple):
    """Where something is first seen that is no number."""

    step: float
    what: str
    layer: str
    source: TensorFacts | Metric

    @property
    def label(self) -> str:
        if isinstance(self.source, Metric):
            return self.source.label(self.step)
        return self.source.label

    @property
    def at(self) -> dict[str, Any]:
        return self.source.at(self.step) if isinstance(self.source, Metric) else self.source.at


def _place(broken: _NonFinite) -> tuple[bool, float]:
    """Return what to compare by: what has no place in the log comes after all that has one."""
    place = broken.step if isinstance(broken.source, Metric) else broken.source.place
    return place is None, broken.step if place is None else place


def _non_finite_code(first: _NonFinite) -> str:
    applied = AppliedRule(non_finite)
    if isinstance(first.source, TensorFacts):
        return tensor_code(applied, first.source, "None", "{}", "[facts]")
    return curve_code(applied, first.step, "curves.loss", "curves.gradient_norms")


def _first(curve: Metric) -> float:
    step: float = curve.steps[~np.isfinite(curve.values)][0].item()
    return step
