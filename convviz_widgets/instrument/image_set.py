"""The images that a model is looked at with."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence, Sized
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, SelectionError
from .randomness import NoRandomness

_Sized = TypeVar("_Sized", bound=Sized)


class MapDataset(Protocol):
    """What ``torch.utils.data.Dataset`` of the map style offers."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


class ImageSet:
    """A fixed list of images, as the model takes them, with what belongs to each.

    Parameters
    ----------
    inputs : floating tensor (N, C, H, W), or a map-style dataset of images (C, H, W) or of
        (image, label) or (image, target picture).
    labels : N class indices; they stand in for a dataset's own.
    targets : N target pictures, tensor (N, C', H', W'); they stand in for a dataset's own.
    class_names : one name for each class.
    mean, std : what the preprocessing subtracted and divided by, one number or one per channel,
        for pictures in [0, 1]. Without both the range is read off the images.
    names : N names; default "image 0", "image 1", ...
    groups : N sources; images of one group come from the same photograph.
    """

    def __init__(
        self,
        inputs: Tensor | MapDataset,
        labels: Iterable[int] | Tensor | None = None,
        *,
        targets: Tensor | None = None,
        class_names: Sequence[str] | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        names: Sequence[str] | None = None,
        groups: Sequence[Hashable] | None = None,
    ) -> None:
        self._inputs = _checked_inputs(inputs)
        self.class_names = None if class_names is None else tuple(map(str, class_names))
        self._labels = None if labels is None else self._sized("labels", _whole_numbers(labels))
        self._targets = None if targets is None else self._sized("targets", targets)
        self._names = None if names is None else self._sized("names", tuple(map(str, names)))
        self.groups = None if groups is None else self._sized("groups", tuple(groups))
        self.shape: tuple[int, ...] = tuple(self._item(0)[0].shape)
        self.mean = _per_channel("mean", mean, self.shape[0])
        self.std = _per_channel("std", std, self.shape[0])
        self._check_labels()

    def __len__(self) -> int:
        return len(self._inputs)

    def input(self, index: int) -> Tensor:
        """Return one image (1, C, H, W) as the model takes it; the tensor is the caller's."""
        return self.batch([index])

    def batch(self, indices: Iterable[int]) -> Tensor:
        """Return images (B, C, H, W) as the model takes them; the tensor is the caller's."""
        images = [self._item(self._checked(index))[0] for index in indices]
        if not images:
            raise InputError("a batch needs at least one image index, got none")
        return torch.stack(images)

    def label(self, index: int) -> int | None:
        """Return the class index of an image, None without one."""
        index = self._checked(index)
        if self._labels is not None:
            return self._labels[index]
        return _label_in(self._item(index)[1])

    def target(self, index: int) -> Tensor | None:
        """Return the target picture (C, H, W) of an image, None without one."""
        index = self._checked(index)
        if self._targets is not None:
            return self._targets[index].detach().clone()
        return _picture_in(self._item(index)[1])

    def name(self, index: int) -> str:
        """Return the name of an image."""
        index = self._checked(index)
        return self._names[index] if self._names is not None else f"image {index}"

    def display(self, index: int) -> np.ndarray:
        """Return one image as uint8 (H, W, 3) with the normalisation undone, rounded, clipped."""
        image = self._item(self._checked(index))[0].to(torch.float32)
        pixels = self._undone(image).nan_to_num(0.0, 1.0, 0.0).clamp(0, 1).mul(255).round()
        rgb = _three_channels(pixels).permute(1, 2, 0).to(torch.uint8)
        return rgb.cpu().contiguous().numpy()

    def expected(self, indices: Iterable[int]) -> Tensor | None:
        """Return what a loss compares with: target pictures (B, C, H, W), else labels (B,).

        None when any of these images has neither.
        """
        indices = list(indices)
        targets = [self.target(index) for index in indices]
        if targets and all(target is not None for target in targets):
            return torch.stack([target for target in targets if target is not None])
        labels = [self.label(index) for index in indices]
        if not labels or any(label is None for label in labels):
            return None
        return torch.tensor(labels)

    def _item(self, index: int) -> tuple[Tensor, Any]:
        """Return the image, the caller's own, and what stands beside it."""
        if isinstance(self._inputs, Tensor):
            return self._inputs[index].detach().clone(), None
        with NoRandomness():
            item = self._inputs[index]
        image, beside = item[:2] if isinstance(item, tuple | list) else (item, None)
        return self._checked_image(index, image).detach().clone(), beside

    def _checked_image(self, index: int, image: Any) -> Tensor:
        if not isinstance(image, Tensor) or image.ndim != 3 or not image.is_floating_point():
            raise InputError(
                f"image {index} of the data set must be a floating tensor (C, H, W), got "
                f"{_described(image)}; add a transform such as ToTensor"
            )
        first = getattr(self, "shape", tuple(image.shape))
        if tuple(image.shape) != first:
            raise InputError(f"image {index} has shape {tuple(image.shape)}, the first has {first}")
        return image

    def _checked(self, index: int) -> int:
        if isinstance(index, bool) or not hasattr(index, "__index__"):
            raise SelectionError(f"expected a whole number as image index, got {index!r}")
        if not 0 <= int(index) < len(self):
            raise SelectionError(f"no image {index}; this set has 0 to {len(self) - 1}")
        return int(index)

    def _sized(self, what: str, values: _Sized) -> _Sized:
        if len(values) != len(self):
            raise InputError(f"got {len(values)} {what} for {len(self)} images")
        return values

    def _check_labels(self) -> None:
        if self._labels is None or self.class_names is None:
            return
        count = len(self.class_names)
        wrong = [label for label in self._labels if label is not None and label >= count]
        if wrong:
            raise InputError(f"label {wrong[0]} has no name; class_names holds {count}")

    def _undone(self, image: Tensor) -> Tensor:
        """Return an image in [0, 1]: preprocessing undone, or the range read off the images."""
        if self.mean is None and self.std is None:
            low, high = self._range
            return (image - low) / (high - low)
        std = 1.0 if self.std is None else self.std.reshape(-1, 1, 1)
        mean = 0.0 if self.mean is None else self.mean.reshape(-1, 1, 1)
        return image.cpu() * std + mean

    @cached_property
    def _range(self) -> tuple[float, float]:
        """What is shown as black and as white: 0 and 1, 0 and 255, or the extremes met."""
        sample = torch.stack([self._item(i)[0] for i in range(min(len(self), 64))])
        finite = sample[sample.isfinite()].float()
        low, high = (finite.min().item(), finite.max().item()) if len(finite) else (0.0, 1.0)
        if low >= 0:
            return 0.0, 1.0 if high <= 1 else max(high, 255.0)
        return low, max(high, low + 1e-12)


def _checked_inputs(inputs: Tensor | MapDataset) -> Tensor | MapDataset:
    if not hasattr(inputs, "__len__") or not hasattr(inputs, "__getitem__"):
        raise InputError(
            "expected a floating tensor (N, C, H, W) or a map-style dataset, got "
            f"{_described(inputs)}"
        )
    if isinstance(inputs, Tensor) and (inputs.ndim != 4 or not inputs.is_floating_point()):
        raise InputError(f"expected a floating tensor (N, C, H, W), got {_described(inputs)}")
    if isinstance(inputs, np.ndarray | list | tuple | dict | str):
        raise InputError(
            "expected a floating tensor (N, C, H, W) or a map-style dataset, got "
            f"{_described(inputs)}"
        )
    if not len(inputs):
        raise InputError("an ImageSet needs at least one image, got none")
    return inputs


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return type(value).__name__


def _whole_numbers(labels: Iterable[Any]) -> tuple[int | None, ...]:
    return tuple(_label_in(label) for label in labels)


def _label_in(value: Any) -> int | None:
    if isinstance(value, Tensor | np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bool | int | np.integer):
        return int(value)
    if value is None or isinstance(value, Tensor):
        return None
    raise InputError(f"a label must be a whole number, got {value!r}")


def _picture_in(value: Any) -> Tensor | None:
    return value.detach().clone() if isinstance(value, Tensor) and value.ndim >= 2 else None


def _per_channel(what: str, value: float | Sequence[float] | None, channels: int) -> Tensor | None:
    if value is None:
        return None
    numbers = torch.as_tensor(value, dtype=torch.float32).flatten()
    if len(numbers) not in (1, channels):
        raise InputError(f"{what} has {len(numbers)} numbers; the images have {channels} channels")
    return numbers


def _three_channels(pixels: Tensor) -> Tensor:
    """Return (3, H, W): grey is repeated, of more than three channels the first three are shown."""
    if len(pixels) >= 3:
        return pixels[:3]
    return pixels.mean(0, keepdim=True).expand(3, -1, -1)
