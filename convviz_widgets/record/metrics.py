"""What a training loop hands over as metrics, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convviz_widgets.errors import InputError


def as_floats(metrics: Mapping[str, object]) -> dict[str, float]:
    """Return metrics as floats; numbers, and arrays or tensors of one number, will do.

    Raises
    ------
    InputError
        For anything else, with the metric's name.
    """
    return {name: _as_float(name, value) for name, value in metrics.items()}


def _as_float(name: str, value: Any) -> float:
    try:
        if getattr(value, "ndim", 0):
            value = value.reshape(())
        number = float(value.item() if hasattr(value, "item") else value)
        if isinstance(value, str | bytes):
            raise TypeError
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    except (TypeError, ValueError, RuntimeError):
        shape = getattr(value, "shape", None)
        what = f"a {type(value).__name__}" + ("" if shape is None else f" of shape {(*shape,)}")
        raise InputError(f"metric {name!r} must be one number, got {what}") from None
    return number
