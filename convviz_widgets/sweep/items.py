"""The images of a data set by index, and what went wrong with those that cannot be had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from convviz_widgets.errors import InputError, one_line
from convviz_widgets.instrument import ImageSet
from convviz_widgets.instrument.image_set import MapDataset
from convviz_widgets.instrument.randomness import NoRandomness


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


class Items:
    """A tensor, an `ImageSet` or a map-style data set.

    Parameters
    ----------
    dataset : of images (C, H, W), or tuples that begin with one, floating, all of one shape.

    Attributes
    ----------
    example : the first image (1, C, H, W) that can be loaded; all must have its shape.

    Raises
    ------
    InputError
        It is nothing of the kind, or empty, or no image can be loaded.
    """

    def __init__(self, dataset: Tensor | ImageSet | MapDataset) -> None:
        self._dataset = _checked(dataset)
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
        found: dict[int, Tensor] = {}
        failures: dict[int, str] = {}
        for index in indices:
            try:
                found[index] = self._item(index)
            except Exception as error:  # whatever a data set may raise
                failures[index] = _reason(index, error)
        stacked = torch.stack(list(found.values())) if found else self.example[:0]
        return Loaded(stacked, torch.tensor(list(found), dtype=torch.int64), failures)

    def _first(self) -> Tensor:
        """Return the first image that can be loaded."""
        reason = ""
        for index in range(len(self._dataset)):
            try:
                return self._image(index)
            except Exception as error:
                reason = reason or _reason(index, error)
        raise InputError(f"no image of the data set can be loaded: {reason}")

    def _item(self, index: int) -> Tensor:
        image = self._image(index)
        if image.shape != self.example.shape[1:]:
            got, expected = tuple(image.shape), tuple(self.example.shape[1:])
            raise InputError(f"got shape {got}, the first image has {expected}")
        return image

    def _image(self, index: int) -> Tensor:
        if isinstance(self._dataset, ImageSet):
            return self._dataset.input(index)[0]
        with NoRandomness():
            item = self._dataset[index]
        image = item[0] if isinstance(item, tuple | list) and item else item
        if not isinstance(image, Tensor) or not image.is_floating_point():
            got = str(image.dtype) if isinstance(image, Tensor) else type(image).__name__
            raise InputError(f"expected a floating tensor (C, H, W), got {got}")
        return image.detach()


def _checked(dataset: Any) -> Any:
    is_map_style = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
    is_set = isinstance(dataset, ImageSet) or is_map_style
    if not is_set or isinstance(dataset, str | bytes | dict):
        hint = "; give its .dataset" if hasattr(dataset, "dataset") else ""
        got = type(dataset).__name__
        raise InputError(
            f"expected a tensor (N, C, H, W), an ImageSet or a map-style data set, got {got}{hint}"
        )
    if isinstance(dataset, Tensor) and (dataset.ndim < 2 or not dataset.is_floating_point()):
        got = f"{str(dataset.dtype).removeprefix('torch.')} {tuple(dataset.shape)}"
        raise InputError(f"expected a floating tensor (N, C, H, W), got {got}")
    if not len(dataset):
        raise InputError("the data set is empty: there is nothing to sweep")
    return dataset


def _reason(index: int, error: Exception) -> str:
    kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
    return f"image {index}: {kind}{one_line(error)}"
