"""Reading a set image by image: as a model takes them, or as bytes, to be compared.

Whatever a data set raises for one of its images, the others are still read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.errors import InputError, in_one_line
from convviz_widgets.images.checks import described
from convviz_widgets.images.image_set import ImageSet
from convviz_widgets.images.inputs import MapDataset
from convviz_widgets.images.items import DatasetItems, known_keys
from convviz_widgets.images.randomness import NoRandomness
from convviz_widgets.images.steady_reads import SteadyReads

Source = Tensor | ImageSet | MapDataset


def _checked(source: Any) -> Any:
    """Return what can be read by index; raise InputError for anything else."""
    is_map_style = hasattr(source, "__len__") and hasattr(source, "__getitem__")
    is_set = is_map_style or isinstance(source, ImageSet)
    if not is_set or isinstance(source, str | bytes | Mapping):
        hint = "; give its .dataset" if hasattr(source, "dataset") else ""
        raise InputError(
            "expected a tensor (N, C, H, W), an ImageSet or a map-style data set, got "
            f"{type(source).__name__}{hint}"
        )
    return source


def reason(index: int, error: Exception) -> str:
    """Return one line on an image that could not be read."""
    return f"image {index}: {in_one_line(error)}"


@dataclass(frozen=True, eq=False)
class Loaded:
    """What came of some indices.

    Attributes
    ----------
    images : (R, C, H, W), in the order of the indices; empty if all failed.
    indices : int64 (R,).
    failures : index → one line.
    """

    images: Tensor
    indices: Tensor
    failures: dict[int, str]


class ModelInputs:
    """The images of a set as a model takes them: floating, all of one shape.

    Parameters
    ----------
    dataset : a tensor (N, C, H, W), an `ImageSet`, or a map-style data set of images (C, H, W) or
        of tuples that begin with one.

    Attributes
    ----------
    example : the first image (1, C, H, W) that can be loaded; all must have its shape.

    Raises
    ------
    InputError
        It is nothing of the kind, or empty, or no image can be loaded.
    """

    def __init__(self, dataset: Tensor | ImageSet | MapDataset) -> None:
        _checked(dataset)
        if isinstance(dataset, Tensor) and (dataset.ndim < 2 or not dataset.is_floating_point()):
            raise InputError(f"expected a floating tensor (N, C, H, W), got {described(dataset)}")
        if not len(dataset):
            raise InputError("the data set is empty: there is nothing to sweep")
        whole = isinstance(dataset, Tensor | ImageSet)
        self._dataset: Any = dataset if whole else DatasetItems(dataset)
        self.example = self._first()[None]

    def __len__(self) -> int:
        return len(self._dataset)

    @property
    def groups(self) -> Sequence[Any] | None:
        """The source of each image, as the data set tells it."""
        return self._dataset.groups if isinstance(self._dataset, ImageSet) else None

    def load(self, indices: Sequence[int]) -> Loaded:
        """Return the images of some indices; never raises for one of them."""
        if isinstance(self._dataset, Tensor):
            images = self._dataset[torch.tensor(indices)].detach()
            return Loaded(images, torch.tensor(indices), {})
        if isinstance(self._dataset, DatasetItems):
            return self._dataset.quietly(lambda: self._each(indices))
        return self._each(indices)

    def _each(self, indices: Sequence[int]) -> Loaded:
        found: dict[int, Tensor] = {}
        failures: dict[int, str] = {}
        for index in indices:
            try:
                found[index] = self._item(index)
            except Exception as error:  # whatever a data set may raise
                failures[index] = reason(index, error)
        stacked = torch.stack(list(found.values())) if found else self.example[:0]
        return Loaded(stacked, torch.tensor(list(found), dtype=torch.int64), failures)

    def _first(self) -> Tensor:
        """Return the first image that can be loaded."""
        why = ""
        for index in range(len(self._dataset)):
            try:
                image = self._image(index)
            except Exception as error:
                why = why or reason(index, error)
            else:
                # Of others image 0 is read again with the first batch, which shows as much.
                if isinstance(self._dataset, DatasetItems) and self._dataset.draws:
                    self._dataset.examine(index)
                return image
        raise InputError(f"no image of the data set can be loaded: {why}")

    def _item(self, index: int) -> Tensor:
        image = self._image(index)
        if image.shape != self.example.shape[1:]:
            got, expected = tuple(image.shape), tuple(self.example.shape[1:])
            raise InputError(f"got shape {got}, the first image has {expected}")
        return image

    def _image(self, index: int) -> Tensor:
        if isinstance(self._dataset, ImageSet):
            return self._dataset.input(index)[0]
        whole = isinstance(self._dataset, Tensor)
        image = self._dataset[index] if whole else self._dataset.parts(index)[0]
        if not isinstance(image, Tensor) or not image.is_floating_point():
            got = str(image.dtype) if isinstance(image, Tensor) else type(image).__name__
            raise InputError(f"expected a floating tensor (C, H, W), got {got}")
        return image.detach()


BLOCK_BYTES = 1 << 23
"""Bytes of a block: enough that what is done once a block does not count."""

BLOCK_SAMPLES = 4096
"""Samples of a block at most."""

BLOCK_SECONDS = 0.05
"""Seconds that reading a block may take: decoding is slow, and somebody may want to stop."""


@dataclass(frozen=True, eq=False)
class SampleBlock:
    """Samples of one data type and shape.

    Attributes
    ----------
    indices : int64 (R,).
    rows : uint8 (R, B), the bytes of each sample; not to be written to.
    kind : data type and shape, which belong to what a sample is.
    """

    indices: np.ndarray
    rows: np.ndarray
    kind: str


class RawSamples:
    """The samples of a set as they are, to be compared byte by byte.

    Parameters
    ----------
    source : a tensor (N, ...), an `ImageSet`, or a map-style data set of images, of (image,
        label), ... The images may be tensors, arrays or pictures of any type and size.
    lock : is held while a block is read: a data set need not stand being read by two threads.

    Attributes
    ----------
    failures : index → one line, for the samples that could not be read so far.

    Raises
    ------
    InputError
        If it is nothing of the kind.
    """

    def __init__(self, source: Source, lock: AbstractContextManager[Any] | None = None) -> None:
        self._source, self._lock = _checked(source), lock or nullcontext()
        if isinstance(source, Tensor) and not source.ndim:
            raise InputError("expected a tensor (N, C, H, W), got a single number")
        self._batched = isinstance(source, Tensor | ImageSet)
        self._reads = None if self._batched else SteadyReads(source)
        self.failures: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._source)

    def reads(
        self, indices: Sequence[int] | None = None
    ) -> Iterator[tuple[int, list[SampleBlock]]]:
        """Yield how many samples of some indices, default all, were read at a time, and those.

        What fails is noted and left out: where all of them fail there are no blocks.
        """
        chosen = range(len(self)) if indices is None else indices
        start, size = 0, 1  # one, to see how large they are, and how slow
        while start < len(chosen):
            begun = perf_counter()
            with self._lock:
                blocks = self._read(chosen[start : start + size])
            taken = perf_counter() - begun
            yield len(chosen[start : start + size]), blocks
            start += size
            widest = max((block.rows.shape[1] for block in blocks), default=0)
            in_time = int(BLOCK_SECONDS * size / max(taken, 1e-6))
            fitting = min(BLOCK_BYTES // max(1, widest), in_time, BLOCK_SAMPLES)
            size = max(1, min(fitting, 16 * size))  # the first one is slower than the others

    def _read(self, indices: Sequence[int]) -> list[SampleBlock]:
        if self._batched:
            try:
                return [_block(np.asarray(indices), self._batch(indices))]
            except Exception:  # one of them is broken, then: which one is seen below
                self._batched = isinstance(self._source, Tensor)
        alike: dict[tuple[Any, ...], dict[int, np.ndarray]] = {}
        for index, item in self._items(indices):
            try:
                pixels = as_array(first_image(item))
                alike.setdefault((pixels.dtype.num, pixels.shape), {})[index] = pixels
            except Exception as error:  # whatever a data set may give
                self.failures[index] = reason(index, error)
        return [
            _block(np.array(list(found)), np.stack(list(found.values())))
            for found in alike.values()
        ]

    def _batch(self, indices: Sequence[int]) -> np.ndarray:
        if isinstance(self._source, ImageSet):
            return as_array(self._source.batch(indices))
        assert isinstance(self._source, Tensor)
        if isinstance(indices, range) and len(indices) and indices.step == 1:
            return as_array(self._source[indices.start : indices.stop])  # a view: nothing is copied
        return as_array(self._source[torch.as_tensor(indices)])

    def _items(self, indices: Sequence[int]) -> list[tuple[int, Any]]:
        """Return what the source gives for some indices, and note those for which it raises.

        They are many at a time, because entering and leaving the mode takes longer than an image.
        """
        if self._reads is None:  # an ImageSet, which sees to that itself
            return self._each(indices)
        return self._reads.quietly(lambda: self._each(indices))

    def _each(self, indices: Sequence[int]) -> list[tuple[int, Any]]:
        items = []
        with NoRandomness():
            for index in indices:
                try:
                    items.append((index, self._item(index)))
                except Exception as error:  # whatever a data set may raise
                    self.failures[index] = reason(index, error)
        return items

    def _item(self, index: int) -> Any:
        source = self._source
        return source.input(index)[0] if isinstance(source, ImageSet) else source[index]


def first_image(item: Any) -> Any:
    """Return the image of what a data set or a loader yields: itself, or the first of its parts.

    Of a mapping what stands under a known key, or else the first part that is an array of two
    dimensions or more.
    """
    if isinstance(item, Mapping):
        key, _ = known_keys(item)
        if key is not None:
            return item[key]
        pictures = (part for part in item.values() if getattr(part, "ndim", 0) >= 2)
        return next(pictures, None)
    return item[0] if isinstance(item, tuple | list) and item else item


def as_array(image: Any) -> np.ndarray:
    """Return the values of an image as an array, of integers where numpy lacks the type.

    Raises
    ------
    InputError
        If it is no tensor, array or picture.
    """
    try:
        return np.asarray(image.numpy())
    except (AttributeError, TypeError, RuntimeError):  # no tensor, or one that numpy cannot share
        pass
    if not isinstance(image, Tensor):
        array = np.asarray(image)
        if array.dtype.kind not in "biufc" or not array.ndim:
            raise InputError(f"expected an image, got {type(image).__name__}")
        return array
    plain = image.detach().cpu().resolve_conj().resolve_neg()
    if plain.dtype in (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2):
        plain = plain.view(torch.int16 if plain.element_size() == 2 else torch.uint8)
    return np.asarray(plain.numpy())


def _block(indices: np.ndarray, pixels: np.ndarray) -> SampleBlock:
    flat = np.ascontiguousarray(pixels).reshape(len(pixels), -1)
    return SampleBlock(indices.astype(np.int64), flat.view(np.uint8), _kind(pixels[0]))


def _kind(pixels: np.ndarray) -> str:
    return f"{pixels.dtype.str} {pixels.shape}"
