"""The rule for values that are no numbers any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from convviz_widgets.diagnosis.code import non_finite_code, non_finite_tensor_code
from convviz_widgets.diagnosis.curve import Curve
from convviz_widgets.diagnosis.finding import ERROR, Finding
from convviz_widgets.diagnosis.measurements import TensorFacts, layer_of


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
        (_first(curve), f"the gradient of {name}", layer_of(name), non_finite_code(curve.name))
        for name, curve in (gradient_norms or {}).items()
        if not np.isfinite(curve.values).all()
    ]
    odd += [
        (each.step, f"{each.layer} ({each.what})", each.layer, _code(each))
        for each in tensors
        if each.non_finite
    ]
    of_layers = min(odd, key=lambda place: place[0], default=None)
    if loss is not None and not np.isfinite(loss.values).all():
        odd.append((_first(loss), loss.name, "", non_finite_code(loss.name)))
    if not odd:
        return []
    step, what, _, code = min(odd, key=lambda place: place[0])
    layer = of_layers[2] if of_layers else None
    where = f"the first layer: {layer}" if layer else "no layer was recorded"
    return [
        Finding(
            "non-finite",
            ERROR,
            f"{what} is not finite at step {step:,}; {where}",
            layer=layer,
            step=step,
            value=float(step),
            n=len(tensors) + len(gradient_norms or {}) + (loss is not None),
            code=code,
        )
    ]


def _first(curve: Curve) -> int:
    return int(curve.steps[~np.isfinite(curve.values)][0])


def _code(each: TensorFacts) -> str:
    return non_finite_tensor_code(each.layer, each.what, each.step)
