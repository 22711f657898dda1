"""Errors of the user's model, told in one line: which layer, which shape, what it expected."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from types import FrameType
from typing import Any

from torch import Tensor, nn

from convviz_widgets.errors import ConvVizError, InputError, ModelError
from convviz_widgets.instrument.image_kinds import channels_last, channels_last_hint

_EXPECTS = {  # attribute of a module → which dimension of its input, and what stands there
    "in_channels": (1, "channels"),
    "num_features": (1, "channels"),
    "in_features": (-1, "features"),
}


def explain(
    error: Exception,
    shape: tuple[int, ...],
    known: tuple[int, ...] | None,
    layers: Mapping[str, nn.Module],
) -> ConvVizError:
    """Return the error to raise for a model that raised on images of ``shape``.

    Parameters
    ----------
    error : what the model raised, with its traceback.
    shape : of one image, without the batch.
    known : the shape that the model is known to take; None for the first pass.
    layers : qualified name → module.
    """
    name, mismatch = _where(error, {module: name for name, module in layers.items()})
    place = f" in layer {name!r}" if name else ""
    what = mismatch or f"{type(error).__name__}{place}: {one_line(error)}"
    if known is not None and shape != known:
        return InputError(f"got images of shape {shape}, expected {known}: {what}")
    if mismatch:
        order = f"; this looks like {channels_last_hint(4)}" if channels_last(shape) else ""
        return InputError(
            f"got images of shape {shape}, which do not fit the model: {mismatch}{order}"
        )
    return ModelError(f"the model raised on images of shape {shape}: {what}")


def _where(error: Exception, names: Mapping[nn.Module, str]) -> tuple[str, str]:
    """Return the innermost module that was running, and how its input does not fit it."""
    name, forward = "", None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner = frame.f_locals.get("self")
        if not isinstance(owner, nn.Module) or owner not in names:
            continue
        if frame.f_code.co_name == "forward":
            forward = frame
        elif names[owner] != name:
            forward = None  # entered, and not yet, or never, in its forward
        name = names[owner]
    return name, _mismatch(name, forward) if forward is not None else ""


def _mismatch(name: str, forward: FrameType) -> str:
    module: Any = forward.f_locals["self"]
    given = next((value for value in forward.f_locals.values() if isinstance(value, Tensor)), None)
    if given is None or given.ndim < 2:
        return ""
    layer = f"layer {name!r} ({type(module).__name__})"
    for attribute, (dimension, what) in _EXPECTS.items():
        expected, got = getattr(module, attribute, None), given.shape[dimension]
        if isinstance(expected, int) and got != expected:
            return f"{layer} expects {expected} {what}, got {got}"
    weight = getattr(module, "weight", None)
    if isinstance(weight, Tensor) and weight.dtype != given.dtype:
        return f"{layer} expects {weight.dtype}, got {given.dtype}"
    return ""


def one_line(error: BaseException) -> str:
    """Return the first line of an error's text, at most 200 characters."""
    text = str(error).strip().split("\n")[0]
    return (text[:197] + "..." if len(text) > 200 else text) or type(error).__name__
