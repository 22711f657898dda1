"""The next batches of a DataLoader, read off a copy: the loader itself does not move on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from convviz_widgets.errors import InputError, in_one_line
from convviz_widgets.images.items import known_keys
from convviz_widgets.images.randomness import borrowed_randomness
from convviz_widgets.images.reading import first_image


@dataclass(frozen=True, eq=False)
class LoaderBatch:
    """One batch of a loader.

    Attributes
    ----------
    number : its place in the epoch, from 0.
    images : (B, ...), on the CPU.
    labels : class indices, None where there is none; B of them.
    """

    number: int
    images: Tensor
    labels: tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class LoaderBatches:
    """The first batches of a loader's next epoch.

    Attributes
    ----------
    batches : those that could be had, in order.
    failures : number of the batch → one line, for the others.
    """

    batches: tuple[LoaderBatch, ...]
    failures: dict[int, str]


def loader_batches(
    loader: DataLoader[Any], count: int = 4, *, between: Callable[[], object] = lambda: None
) -> LoaderBatches:
    """Return the first ``count`` batches of a loader's next epoch, or as many as it has.

    They are the samples that the next epoch will bring, in its order: whatever draws random
    numbers meanwhile draws them from copies (see `borrowed_randomness`), the sampler is a copy,
    and the workers are new ones, which end afterwards. With ``num_workers=0`` random transforms
    come out as they will, too. What cannot be put back is a data set that counts how often it is
    read, or a generator that it hides where no attribute leads.

    Parameters
    ----------
    loader : a DataLoader of images, of (image, label), or of mappings that hold images.
    count : how many batches; each is read anew.
    between : is called before each of them; what it raises ends the look.

    Raises
    ------
    InputError
        If it is no DataLoader, or gives no images.
    """
    if not isinstance(loader, DataLoader):
        raise InputError(f"loader: expected a DataLoader, got {type(loader).__name__}")
    found: list[LoaderBatch] = []
    failures: dict[int, str] = {}
    with _read_only(loader) as batches:
        for number in range(count):
            between()
            try:
                found.append(_batch(number, next(batches)))
            except StopIteration:
                break
            except Exception as error:  # whatever a data set, a transform or a collate may raise
                failures[number] = f"batch {number}: {in_one_line(error)}"
    return LoaderBatches(tuple(found), failures)


@contextmanager
def _read_only(loader: DataLoader[Any]) -> Iterator[Iterator[Any]]:
    """Open an epoch of a copy of the loader: new workers, and the sampler's state a copy."""
    apart = copy.copy(loader)
    drawing = (loader.generator, loader.batch_sampler, loader.sampler)
    generator, batch_sampler, sampler = _own(drawing, loader.dataset)
    if getattr(loader, "_iterator", None) is not None:  # workers that stay need no new seed
        generator = torch.Generator()
    # By __dict__, because a loader refuses another sampler once it is made.
    vars(apart).update(
        generator=generator,
        batch_sampler=batch_sampler,
        sampler=sampler,
        pin_memory=False,
        persistent_workers=False,
        _iterator=None,
    )
    with borrowed_randomness(*drawing, loader.dataset, loader.collate_fn):
        epoch = iter(apart)
        try:
            yield epoch
        finally:
            if hasattr(epoch, "_shutdown_workers"):  # else they run on until it is collected
                epoch._shutdown_workers()


def _own(drawing: tuple[Any, ...], dataset: Any) -> tuple[Any, ...]:
    """Return copies of samplers and their generator, which still sample the same data."""
    try:
        return copy.deepcopy(drawing, {id(dataset): dataset})
    except Exception:  # one holds what cannot be copied; its generators are given back anyway
        return drawing


def _batch(number: int, item: Any) -> LoaderBatch:
    images = first_image(item)
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(images)
    if not isinstance(images, Tensor) or not images.ndim:
        raise InputError(f"expected a tensor of images, got {type(images).__name__}")
    beside = item[1] if isinstance(item, tuple | list) and len(item) > 1 else None
    if isinstance(item, Mapping):
        _, key = known_keys(item)
        beside = None if key is None else item[key]
    return LoaderBatch(number, images.detach().cpu(), _labels(beside, len(images)))


def _labels(beside: Any, count: int) -> tuple[int | None, ...]:
    values = beside.tolist() if isinstance(beside, Tensor | np.ndarray) else beside
    if not isinstance(values, list | tuple) or len(values) != count:
        return (None,) * count
    return tuple(value if isinstance(value, int) else None for value in values)
