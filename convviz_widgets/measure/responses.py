"""Responses, image by image: each one's label, class, probability and drift, from one pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.errors import error_text
from convviz_widgets.images import ImageSet
from convviz_widgets.images.image_set import expected_of
from convviz_widgets.measure.drift import DRIFT, picture_drift
from convviz_widgets.measure.segmentation import MaskCounts, count_masks
from convviz_widgets.probe import Probe
from convviz_widgets.probe.output_kinds import SEGMENTATION, OutputKind

UNKNOWN = -1
"""Stands for a label that is not known, or for a class where the scores are not finite."""

_COLUMNS = ("indices", "labels", "predicted", "probability", "drift")


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Images of a set that could be read, with what belongs to each."""

    indices: np.ndarray
    """int64 (B,)"""
    inputs: Tensor | None
    """(B, C, H, W); None for no image."""
    labels: np.ndarray
    """int64 (B,), `UNKNOWN` without one."""
    targets: tuple[Tensor | None, ...]
    """(C', H', W') each."""
    failures: tuple[str, ...] = ()
    """One line for each image that could not be read."""

    @property
    def expected(self) -> Tensor | None:
        """What a loss compares with, as `expected_of` says it."""
        labels = (None if label == UNKNOWN else label for label in self.labels.tolist())
        return expected_of(self.targets, labels)

    def first(self, count: int) -> ImageBatch:
        """Return the first images alone."""
        inputs = None if self.inputs is None else self.inputs[:count]
        return ImageBatch(
            self.indices[:count], inputs, self.labels[:count], self.targets[:count], self.failures
        )


@dataclass(frozen=True, eq=False)
class Responses:
    """What a model put out at one checkpoint, image by image.

    Attributes
    ----------
    indices : int64 (N,), the images.
    labels : int64 (N,), the true classes, `UNKNOWN` without one.
    predicted : int64 (N,), the most probable class, `UNKNOWN` where scores are not finite; (0,) for
        pictures.
    probability : float32 (N,), that of this class.
    drift : float64 (N, 4), `DRIFT` of each picture, NaN without a target of its shape; (0, 4) for
        class scores.
    classes : K, 0 for pictures.
    outputs : as the model puts them out, float32 (N, K) or (N, C, H, W); of a map of scores the
        predicted classes, int16 (N, H, W); None where they were not to be kept.
    masks : how the predicted classes compare with the target masks; None for another kind.
    failures : one line for each image that could not be read.
    """

    indices: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    probability: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    drift: np.ndarray = field(default_factory=lambda: np.zeros((0, len(DRIFT))))
    classes: int = 0
    outputs: Tensor | None = None
    masks: MaskCounts | None = None
    failures: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of everything that is kept."""
        held = 0 if self.outputs is None else self.outputs.nbytes
        return held + sum(getattr(self, column).nbytes for column in _COLUMNS)

    def output(self, image: int) -> Tensor | None:
        """Return what was put out for an image, (K,) or (C, H, W); None where it is not kept."""
        place = np.flatnonzero(self.indices == image)
        return None if self.outputs is None or not len(place) else self.outputs[place[0]]

    def without_outputs(self) -> Responses:
        """Return the numbers alone."""
        return replace(self, outputs=None)


def read_batch(
    images: ImageSet, indices: Iterable[int], lock: AbstractContextManager[Any] | None = None
) -> ImageBatch:
    """Read images and what belongs to them; those that raise are left out and noted.

    The ``lock``, which must stand being entered often, is held while each image is read.
    """
    kept, inputs, labels, targets, failures = [], [], [], [], []
    for index in indices:
        try:
            with lock or nullcontext():
                image, label = images.input(index), images.label(index)
                target = images.target(index)
        except Exception as error:  # whatever a data set raises: the others are still fine
            failures.append(f"image {index}: {error_text(error)}")
            continue
        kept.append(index)
        inputs.append(image)
        labels.append(UNKNOWN if label is None else label)
        targets.append(target)
    return ImageBatch(
        np.array(kept, np.int64),
        torch.cat(inputs) if inputs else None,
        np.array(labels, np.int64),
        tuple(targets),
        tuple(failures),
    )


def respond(probe: Probe, images: ImageSet, batch: ImageBatch, kind: OutputKind) -> Responses:
    """Return what the model in the probe puts out for a batch, from one forward pass.

    Raises InputError if that cannot be read as its kind.
    """
    found = Responses(batch.indices, batch.labels, failures=batch.failures)
    if batch.inputs is None:
        return found
    result = probe.record(batch.inputs, layers=()).result
    outputs = read_values(kind, result, len(batch.indices))  # (N, ...)
    if kind.name == SEGMENTATION:
        masks = count_masks(outputs, batch.targets, kind)
        shown = _masks(outputs, kind)
        return replace(found, outputs=shown, masks=masks, classes=kind.classes or 0)
    if outputs.ndim == 4:
        return replace(found, outputs=outputs, drift=picture_drift(outputs, batch.targets, images))
    probabilities = kind.probabilities(outputs)
    best = probabilities.max(dim=1)
    is_known = torch.isfinite(probabilities).all(dim=1)
    return replace(
        found,
        outputs=outputs,
        classes=probabilities.shape[1],
        predicted=torch.where(is_known, best.indices, UNKNOWN).numpy(),
        probability=best.values.numpy(),
    )


def _masks(values: Tensor, kind: OutputKind) -> Tensor:
    """Return the predicted class of each position, int16 (N, H, W); -1 where it is not known."""
    known = values.isfinite().flatten(1).all(1)[:, None, None]  # (N, 1, 1)
    return torch.where(known, kind.masks(values), UNKNOWN).to(torch.int16)


def joined(parts: Sequence[Responses]) -> Responses:
    """Return the responses to several batches as one; at least one part."""
    full = [part for part in parts if len(part.indices)] or list(parts[:1])
    outputs = [part.outputs for part in full if part.outputs is not None]
    masks = [part.masks for part in full if part.masks is not None]
    return Responses(
        **{name: np.concatenate([getattr(part, name) for part in full]) for name in _COLUMNS},
        classes=full[0].classes,
        masks=sum(masks[1:], masks[0]) if masks else None,
        outputs=torch.cat(outputs) if len(outputs) == len(full) else None,
        failures=tuple(line for part in parts for line in part.failures),
    )


def read_values(kind: OutputKind, result: Any, count: int) -> Tensor:
    """Return the values (N, *shape) of what a model returned, float32 on the CPU, one's own.

    Raises InputError where they cannot be read.
    """
    return kind.values(result, count).detach().to("cpu", torch.float32).clone()
