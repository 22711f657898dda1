"""Selection and Drawing: what is selected, the one value that every view is a function of."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from torch import Tensor

from convviz_widgets.checkpoints import Steps, number_at
from convviz_widgets.errors import (
    InputError,
    SelectionError,
    UnknownLayerError,
    unknown,
    whole_number,
)
from convviz_widgets.images import ImageSet
from convviz_widgets.probe import LayerInfo
from convviz_widgets.state.timeline import Entry, Timeline

FIELDS = ("checkpoint", "image", "layer", "channel", "target", "direction", "drawing")
"""The fields that a user may change."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """What the model is shown instead of an image of the set; equal to nothing but itself."""

    image: int
    """Index of the image that it stands in for, and whose label it keeps."""
    input: Tensor
    """``(C, H, W)``, as the model takes it; only to be read."""
    how: str = "painted over"
    """What was done to the image, for captions."""

    def __str__(self) -> str:
        return f"image {self.image}, {self.how}"


Shown = int | Drawing
"""What the model is shown: an image, by its index, or a drawing that stands in for one."""


def image_of(shown: Shown) -> int:
    """Return the index of the image that is shown, or stood in for."""
    return shown.image if isinstance(shown, Drawing) else shown


def shown_name(shown: Shown) -> str:
    """Name what is shown: "image 5", or "image 5, painted over"."""
    return str(shown) if isinstance(shown, Drawing) else f"image {shown}"


@dataclass(frozen=True)
class Selection:
    """One consistent choice of checkpoint, image, layer, channel, target and direction.

    Two selections that compare equal show the same picture, so views need not draw again.

    Examples
    --------
    >>> before = state.select(layer="1", channel=0)
    >>> after = state.select(channel=2)
    >>> after.layer, after.channel
    ('1', 2)
    >>> after.changed(before)
    frozenset({'channel'})
    """

    checkpoint: int
    """Index into the state's ``steps``."""
    step: int
    """Number of that checkpoint: its training step, or its epoch where the names count those."""
    key: Hashable
    """Identity of its weights: survives index shifts, changes when the file is rewritten."""
    image: int
    """Index into the image set."""
    layer: str
    """Qualified name, as in ``named_modules()``; functional activations after their module."""
    channel: int
    """Channel (or feature) of the layer, from 0."""
    target: int | None = None
    """Class that explanations are for; None: the predicted one."""
    direction: int | None = None
    """Seed of a random unit direction that stands in for the channel; None: the channel."""
    revision: int = 0
    """Counts the changes of the list of checkpoints, and of the metrics beside them."""
    drawing: Drawing | None = None
    """What the model is shown instead of the image, until another one is selected."""
    label: str = ""
    """What the checkpoint is called: "step 1,500", "epoch 9", or "best.pt" by its file."""

    @property
    def shown(self) -> Shown:
        """What the model is shown: the drawing, or the image."""
        return self.image if self.drawing is None else self.drawing

    @property
    def image_name(self) -> str:
        """What the model is shown, for captions: "image 5", or "image 5, painted over"."""
        return shown_name(self.shown)

    def changed(self, before: Selection | None) -> frozenset[str]:
        """Return the names of the fields that differ from ``before`` (all of them for None).

        Another drawing is another image, too: a view of the image depends on what is drawn. And a
        checkpoint of another name is another one: what shows it names it.
        """
        names = [field.name for field in fields(self)]
        if before is None:
            return frozenset(names)
        found = {name for name in names if getattr(self, name) != getattr(before, name)}
        found |= {"image"} if "drawing" in found else set()
        return frozenset(found | {"key"} if "label" in found else found)


def resolve(
    current: Selection,
    changes: Mapping[str, Any],
    *,
    timeline: Timeline,
    layers: Mapping[str, LayerInfo],
    images: ImageSet,
    classes: int | None,
) -> Selection:
    """Return the selection after ``changes``; raise before anything is written.

    A layer that has fewer channels clamps the channel, unless the channel is given too. Another
    image takes away what was drawn on the one before.

    Parameters
    ----------
    current, changes
        What is selected, and the fields to change.
    timeline, layers, images, classes
        What there is: checkpoints, layers, images, and how many classes.

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
        checked["image"] = _within("image", changes["image"], len(images), "images")
        if checked["image"] != current.image:
            checked["drawing"] = None
    if "drawing" in changes:
        image = checked.get("image", current.image)
        checked["drawing"] = checked_drawing(changes["drawing"], image, images.shape)
    layer = changes.get("layer", current.layer)
    info = _layer(layer, layers)
    channels = channel_count(info)
    checked["layer"] = layer
    if "channel" in changes:
        if changes["channel"] != 0 and info.without_channels:
            raise SelectionError(info.without_channels)
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
    """Return how many channels (or features) a layer has; 1 where they are not known."""
    return max(1, layer.shape[0]) if layer.shape and layer.has_channels else 1


def _checkpoint(value: Any, timeline: Timeline) -> dict[str, Any]:
    last = len(timeline) - 1
    if value is None:
        index = last
    else:
        span = f"checkpoints ({_span(timeline.steps)})"
        index = _within("checkpoint", value, len(timeline), span)
    return at(timeline, index)


def at(entries: Timeline | Sequence[Entry], index: int) -> dict[str, Any]:
    """Return the fields of a selection that say which of the checkpoints is selected."""
    entry = entries[index]
    return {"checkpoint": index, "step": entry.step, "key": entry.key, "label": entry.label}


def _span(steps: Steps) -> str:
    ends = dict.fromkeys([number_at(steps, 0), number_at(steps, -1)])
    return f"{steps.unit}s {' to '.join(ends)}"


def _layer(name: Any, layers: Mapping[str, LayerInfo]) -> LayerInfo:
    if not isinstance(name, str) or name not in layers:
        raise UnknownLayerError(unknown("layer", name, layers, "this model has"))
    return layers[name]


def _integer(name: str, value: Any) -> int:
    index = whole_number(value)
    if index is None:
        raise SelectionError(f"{name} {value!r} is not a whole number")
    return index


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


def checked_drawing(value: Any, image: int, shape: tuple[int, ...]) -> Drawing | None:
    """Return the drawing that a value stands for: the input itself is copied.

    Raises
    ------
    SelectionError
        If it is no floating tensor of this shape ``(C, H, W)``, or drawn for another image.
    """
    if value is None:
        return None
    if isinstance(value, Drawing) and value.image != image:
        raise SelectionError(f"drawing: expected one of image {image}, got {value}")
    given = value.input if isinstance(value, Drawing) else value
    if not isinstance(given, Tensor) or not given.is_floating_point() or given.shape != shape:
        kind = f"{given.dtype} {tuple(given.shape)}" if isinstance(given, Tensor) else repr(given)
        raise SelectionError(
            f"drawing: expected a floating tensor {shape} as the model takes it, got {kind[:80]}"
        )
    return value if isinstance(value, Drawing) else Drawing(image, given.detach().clone())
