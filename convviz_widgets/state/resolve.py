"""Check a change of the selection against what there is, before anything is written."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from convviz_widgets.errors import InputError, SelectionError, UnknownLayerError, unknown
from convviz_widgets.instrument import LayerInfo
from convviz_widgets.state.drawing import checked_drawing
from convviz_widgets.state.selection import Selection
from convviz_widgets.state.timeline import Timeline

FIELDS = ("checkpoint", "image", "layer", "channel", "target", "direction", "drawing")
"""The fields that a user may change."""


def resolve(
    current: Selection,
    changes: Mapping[str, Any],
    *,
    timeline: Timeline,
    layers: Mapping[str, LayerInfo],
    images: int,
    shape: tuple[int, ...],
    classes: int | None,
) -> Selection:
    """Return the selection after ``changes``; raise before anything is written.

    A layer that has fewer channels clamps the channel, unless the channel is given too. Another
    image takes away what was drawn on the one before.

    Parameters
    ----------
    current, changes
        What is selected, and the fields to change.
    timeline, layers, images, shape, classes
        What there is: checkpoints, layers, how many images of which shape ``(C, H, W)``, and how
        many classes.

    Raises
    ------
    InputError
        For a field that does not exist.
    SelectionError
        For a value out of range; `UnknownLayerError` for a layer that the model does not have.
    """
    for name in changes:
        if name not in FIELDS:
            raise InputError(unknown("field", name, FIELDS, "a selection has"))
    checked: dict[str, Any] = {}
    if "checkpoint" in changes:
        checked.update(_checkpoint(changes["checkpoint"], timeline))
    if "image" in changes:
        checked["image"] = _within("image", changes["image"], images, "images")
        if checked["image"] != current.image:
            checked["drawing"] = None
    if "drawing" in changes:
        image = checked.get("image", current.image)
        checked["drawing"] = checked_drawing(changes["drawing"], image, shape)
    layer = changes.get("layer", current.layer)
    channels = channel_count(_layer(layer, layers))
    checked["layer"] = layer
    if "channel" in changes:
        owner = f"channels in {layer}"
        checked["channel"] = _within("channel", changes["channel"], channels, owner)
    else:
        checked["channel"] = min(current.channel, channels - 1)
    if "target" in changes:
        checked["target"] = _optional("target", changes["target"], classes, "classes")
    if "direction" in changes:
        checked["direction"] = _optional("direction", changes["direction"], None, "seeds")
    return replace(current, **checked)


def channel_count(layer: LayerInfo) -> int:
    """Return how many channels (or features) a layer has: the first axis of its output."""
    return max(1, layer.shape[0]) if layer.shape else 1


def _checkpoint(value: Any, timeline: Timeline) -> dict[str, Any]:
    last = len(timeline) - 1
    if value is None:
        index = last
    else:
        span = f"checkpoints (steps {_span(timeline.steps)})"
        index = _within("checkpoint", value, len(timeline), span)
    return {"checkpoint": index, "step": timeline[index].step, "key": timeline[index].key}


def _span(steps: Sequence[int]) -> str:
    return f"{steps[0]:,} to {steps[-1]:,}" if len(steps) > 1 else f"{steps[0]:,}"


def _layer(name: Any, layers: Mapping[str, LayerInfo]) -> LayerInfo:
    if not isinstance(name, str) or name not in layers:
        raise UnknownLayerError(unknown("layer", name, layers, "this model has"))
    return layers[name]


def _integer(name: str, value: Any) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError as error:
        raise SelectionError(f"{name} {value!r} is not a whole number") from error


def _within(name: str, value: Any, count: int, of: str) -> int:
    index = _integer(name, value)
    if not 0 <= index < count:
        raise SelectionError(f"{name} {index} is out of range: {count} {of}, 0 to {count - 1}")
    return index


def _optional(name: str, value: Any, count: int | None, of: str) -> int | None:
    if value is None:
        return None
    if count is not None:
        return _within(name, value, count, of)
    index = _integer(name, value)
    if index < 0:
        raise SelectionError(f"{name} {index} is out of range: {of} start at 0")
    return index
