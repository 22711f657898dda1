"""A sweep that was made elsewhere: whether it is about this model and these images."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from convviz_widgets.errors import InputError
from convviz_widgets.instrument import ImageSet, LayerInfo
from convviz_widgets.state.timeline import Entry
from convviz_widgets.sweep import SweepResult
from convviz_widgets.sweep.beginning import numbered
from convviz_widgets.sweep.fingerprint import data_fingerprint, weights_fingerprint
from convviz_widgets.sweep.items import Items


def by_checkpoint(
    given: Any, layers: Sequence[LayerInfo], images: ImageSet, entries: Sequence[Entry]
) -> dict[Hashable, SweepResult]:
    """Return the key of each checkpoint that a result is about → what it says of that one.

    The weights of a series are compared at its first, middle and last checkpoint: reading all of
    them could take as long as the sweep. A sweep of a model without checkpoints belongs to the
    one that has the same weights.

    Raises
    ------
    InputError
        In one line, when the result is about another model, other weights or other images.
    """
    if not isinstance(given, SweepResult):
        raise InputError(f"sweep= takes a SweepResult, got {type(given).__name__}")
    _check_layers(given, layers)
    _check_images(given, images)
    return _of_series(given, entries) if given.steps else _of_model(given, entries)


def _of_series(given: SweepResult, entries: Sequence[Entry]) -> dict[Hashable, SweepResult]:
    known = {entry.step: entry for entry in entries}
    common = [(index, known[step]) for index, step in enumerate(given.steps) if step in known]
    if not common:
        ours = ", ".join(f"{step:,}" for step in list(known)[:5])
        raise _misfit(f"it is of step {given.steps[0]:,}, this state has {ours}, ...")
    for index, entry in {common[0], common[len(common) // 2], common[-1]}:
        if given.subject.weights[index] != weights_fingerprint(entry.load()):
            raise _misfit(f"the weights at step {entry.step:,} differ")
    return {entry.key: given.at(index) if given.series else given for index, entry in common}


def _of_model(given: SweepResult, entries: Sequence[Entry]) -> dict[Hashable, SweepResult]:
    for entry in reversed(entries):
        if given.subject.weights[0] == weights_fingerprint(entry.load()):
            return {entry.key: given}
    raise _misfit(f"its weights are those of none of the {len(entries)} checkpoints")


def _check_layers(given: SweepResult, layers: Sequence[LayerInfo]) -> None:
    ours = {layer.name: layer for layer in layers}
    for layer in given.layers:
        if ours.get(layer.name) != layer:
            shape = "×".join(map(str, layer.shape))
            raise _misfit(f"this model has no layer {layer.name!r} of {layer.kind} {shape}")


def _check_images(given: SweepResult, images: ImageSet) -> None:
    if given.subject.count != len(images):
        raise _misfit(f"it is over {given.subject.count:,} images, this state has {len(images):,}")
    items = Items(images)
    # A sweep may have been told to count each image by itself.
    fitting = [
        data_fingerprint(items, numbered(groups, len(items))) for groups in (images.groups, None)
    ]
    if given.subject.data not in fitting:
        raise _misfit("the images, or their groups, are others")


def _misfit(why: str) -> InputError:
    return InputError(f"the sweep does not belong to this state: {why}")
