"""The images of a case: patches of photographs, scaled, split, and put into batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Sampler, TensorDataset

import convviz_widgets as cvw
from convviz_widgets.demo.photographs import (
    LEAST_DEVIATION,
    PHOTOGRAPHS,
    TRAINING_SHARE,
    read_photograph,
)
from convviz_widgets.demo.ward.cases import Case

SIZE = 16

PLANTED = 60
"""Patches that are in a set which they should not be in."""

REPEATED = 2
"""The batch that comes again and again."""


@dataclass(frozen=True, eq=False)
class Data:
    """What a case trains on, and what it is looked at with."""

    images: cvw.ImageSet
    validation: cvw.ImageSet
    loader: DataLoader[tuple[Tensor, ...]]
    """Training batches of (inputs, labels, or the pictures to paint)."""


def prepare(case: Case, seed: int) -> Data:
    """Return the images of a case; patches and the order of batches depend on the seed alone."""
    training, labels = _drawn(0, case.patches, seed)
    held_out, held_out_labels = _drawn(1, case.validation_patches, seed)
    mean, std = _scale(case, training)
    if case.fault == "duplicates":
        training, labels = _with(training, labels, training, labels)
    if case.fault == "leak":
        held_out, held_out_labels = _with(held_out, held_out_labels, training, labels)
    images = _image_set(case, training, labels, mean, std)
    validation = _image_set(case, held_out, held_out_labels, mean, std)
    return Data(images, validation, _loader(case, images, seed))


def _with(
    patches: NDArray[np.uint8],
    labels: NDArray[np.int64],
    more: NDArray[np.uint8],
    their_labels: NDArray[np.int64],
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return patches with the first few of others behind them."""
    return (
        np.concatenate([patches, more[:PLANTED]]),
        np.concatenate([labels, their_labels[:PLANTED]]),
    )


@cache
def _patches(part: int) -> tuple[NDArray[np.uint8], ...]:
    """Return the patches (n, 16, 16, 3) of each photograph; part 0 is the left, 1 the right."""
    photographs = map(read_photograph, PHOTOGRAPHS)
    return tuple(_cut(pixels, part) for pixels in photographs)


def _cut(pixels: NDArray[np.uint8], part: int) -> NDArray[np.uint8]:
    """Return the different patches of a grid that show something."""
    height, width, _ = pixels.shape
    split = int(width * TRAINING_SHARE)
    left, right = ((0, split), (split, width))[part]
    cut = [
        pixels[y : y + SIZE, x : x + SIZE]
        for y in range(0, height - SIZE + 1, SIZE)
        for x in range(left, right - SIZE + 1, SIZE)
    ]
    seen = {patch.tobytes(): patch for patch in cut if patch.std() >= LEAST_DEVIATION}
    return np.stack(list(seen.values()))


def _drawn(part: int, count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return up to ``count`` patches (N, 16, 16, 3) of each photograph in turn, and labels (N,)."""
    generator = np.random.default_rng([seed, part])
    chosen = [patches[generator.permutation(len(patches))[:count]] for patches in _patches(part)]
    labels = np.concatenate([np.full(len(own), label) for label, own in enumerate(chosen)])
    ranks = np.concatenate([np.arange(len(own)) for own in chosen])
    order = np.lexsort((labels, ranks))
    return np.concatenate(chosen)[order], labels[order]


def _scale(case: Case, pixels: NDArray[np.uint8]) -> tuple[NDArray, NDArray]:
    """Return what is subtracted from pixels in [0, 1], and divided by."""
    if case.scaling == "unit":
        return np.zeros(3), np.ones(3)
    if case.scaling == "bytes":
        return np.zeros(3), np.full(3, 1 / 255)
    unit = pixels / 255.0  # (N, H, W, C)
    return unit.mean(axis=(0, 1, 2)), unit.std(axis=(0, 1, 2))


def _image_set(
    case: Case, pixels: NDArray[np.uint8], labels: NDArray[np.int64], mean: NDArray, std: NDArray
) -> cvw.ImageSet:
    scaled = ((pixels / 255.0 - mean) / std).astype(np.float32)  # (N, H, W, C)
    inputs = torch.from_numpy(scaled).permute(0, 3, 1, 2).contiguous()
    if case.scaling == "misstated":  # those of another data set, copied from a tutorial
        mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    classes = [photograph.name for photograph in PHOTOGRAPHS]
    return cvw.ImageSet(
        inputs,
        labels.tolist(),
        targets=inputs if case.is_autoencoder else None,
        class_names=classes,
        mean=mean.tolist(),
        std=std.tolist(),
        groups=[classes[label] for label in labels],
    )


class Batches(Sampler[list[int]]):
    """Indices of whole batches, in another order each time; or one batch again and again."""

    def __init__(self, count: int, batch_size: int, seed: int, repeats: bool) -> None:
        self._count, self._batch_size, self._repeats = count, min(count, batch_size), repeats
        self._generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self._count // self._batch_size

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.randperm(self._count, generator=self._generator)
        batches = [batch.tolist() for batch in order.split(self._batch_size)][: len(self)]
        for number, batch in enumerate(batches):
            stuck = self._repeats and number > REPEATED and number % 3 == 0
            yield batches[REPEATED] if stuck else batch


def _loader(case: Case, images: cvw.ImageSet, seed: int) -> DataLoader[tuple[Tensor, ...]]:
    indices = range(len(images))
    expected = images.expected(indices)
    assert expected is not None
    return DataLoader(
        TensorDataset(images.batch(indices), expected),
        batch_sampler=Batches(
            len(images), case.batch_size, seed, repeats=case.fault == "repeated-batch"
        ),
        # Else iterating draws a seed from the process's own random numbers.
        generator=torch.Generator().manual_seed(seed),
    )
