"""Inputs: the images of a tensor or of a data set, and the way in for what is neither."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.images.checks import hint, is_images
from convviz_widgets.images.items import IMAGE_KEYS, DatasetItems, Keys, kind_of


class MapDataset(Protocol):
    """What a map-style ``torch.utils.data.Dataset`` offers."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class Inputs:
    """The images of a tensor (N, C, H, W) or of a map-style dataset, all of one `shape`."""

    def __init__(self, source: Tensor | MapDataset, keys: Keys | None) -> None:
        if not is_images(source) and not _is_dataset(source):
            raise InputError(
                "expected a floating tensor (N, C, H, W) or a map-style dataset, got "
                f"{kind_of(source)}{_way_in(source)}"
            )
        if not len(source):
            raise InputError("an ImageSet needs at least one image, got none")
        self._source = source if isinstance(source, Tensor) else DatasetItems(source, keys)
        self.shape: tuple[int, ...] = tuple(self._read(0)[0].shape)
        if isinstance(self._source, DatasetItems):
            self._source.examine()

    def __len__(self) -> int:
        return len(self._source)

    def item(self, index: int) -> tuple[Tensor, Any]:
        """Return an image, which is not the caller's to write to, and what stands beside it."""
        image, beside = self._read(index)
        if image.shape != self.shape:
            shape = tuple(image.shape)
            raise InputError(
                f"image {index} has shape {shape}, the first has {self.shape}: resize them in the "
                "data set's transform; ImageSet.from_images and from_folder do it with size="
            )
        return image, beside

    def several(self, indices: Sequence[int]) -> list[Tensor]:
        """Return some images, the caller's own."""
        if isinstance(self._source, Tensor) or len(indices) == 1:
            return [self.item(index)[0].clone() for index in indices]
        return self._source.quietly(lambda: [self.item(index)[0].clone() for index in indices])

    def readable(self, indices: range) -> Tensor:
        """Return those of the first images (B, C, H, W) that can be read; B may be 0."""
        if isinstance(self._source, Tensor):
            return self._source[: len(indices)].detach()
        images = [torch.empty(0, *self.shape)]
        for index in indices:
            # Whoever asks for a broken image is told; the others are shown all the same.
            with suppress(Exception):
                images.append(self.item(index)[0][None].clone())
        return torch.cat(images)

    def _read(self, index: int) -> tuple[Tensor, Any]:
        if isinstance(self._source, Tensor):
            return self._source[index].detach(), None
        image, beside = self._source.parts(index)
        if not isinstance(image, Tensor) or image.ndim != 3 or not image.is_floating_point():
            raise InputError(
                f"image {index} of the data set must be a floating tensor (C, H, W), got "
                f"{kind_of(image)}; {_item_way_in(image)}"
            )
        return image.detach(), beside


def _way_in(source: Any) -> str:
    """Return what to do with something that is no data set of images, from "; " on, or ""."""
    if isinstance(source, str | os.PathLike):
        return "; ImageSet.from_folder reads pictures"
    if isinstance(source, Mapping):
        key = next((name for name in IMAGE_KEYS.split() if name in source), None)
        image = f"batch[{key!r}]" if key else f"data[{next(iter(source), 'train')!r}]"
        return f"; take out what is meant: ImageSet({image}, ...)"
    if hasattr(source, "dataset"):
        return "; give its data set: ImageSet(loader.dataset)"
    if hasattr(source, "__iter__") and not hasattr(source, "__len__"):
        return "; take some of it: ImageSet(list(itertools.islice(data, 100)))"
    if isinstance(source, Tensor) and source.is_floating_point() and source.ndim == 3:
        return "; one image has a batch axis, too: image[None]"
    more = hint(source)
    takes = "ImageSet.from_images takes it as it is" if _is_pixels(source) else ""
    return "".join(f"; {part}" for part in (more, takes) if part)


def _item_way_in(image: Any) -> str:
    """Return what to do with an item's image that is no floating tensor (C, H, W)."""
    if isinstance(image, Tensor) and image.ndim == 4 and len(image) == 1:
        return "take it out of its batch of one: image[0]"
    if isinstance(image, Tensor) and image.ndim == 4:
        return "a batch is taken as it is: ImageSet(images, labels)"
    if isinstance(image, list):
        return 'lists become tensors by dataset.with_format("torch") or a transform'
    takes = "ImageSet.from_images(data set) takes pictures"
    if isinstance(image, str | os.PathLike | Image.Image):
        return f"add a transform such as ToTensor, or {takes}"
    more = hint(image) or "add a transform such as ToTensor"
    return f"{more}; {takes}" if _is_pixels(image) else more


def _is_pixels(value: Any) -> bool:
    return isinstance(value, np.ndarray) or (
        isinstance(value, Tensor) and value.dtype == torch.uint8
    )


def _is_dataset(inputs: Any) -> bool:
    other = Tensor | np.ndarray | dict | str
    return (
        hasattr(inputs, "__len__")
        and hasattr(inputs, "__getitem__")
        and not isinstance(inputs, other)
    )
