"""The items of a map-style data set: which part is the image, what stands beside it."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from convviz_widgets.errors import InputError, unknown
from convviz_widgets.images.checks import described
from convviz_widgets.images.steady_reads import SteadyReads

_T = TypeVar("_T")

IMAGE_KEYS = "pixel_values image images img imgs picture input inputs x data"
"""What data sets of dicts call an image, the surest first; upper and lower case are alike."""

LABEL_KEYS = "labels label target targets y class category cls label_id mask masks seg segmentation"
"""What they call a label or a target picture, the surest first."""

Key = str | int
Keys = Key | tuple[Key, Key | None]
"""Where in an item the image is, and where its label: keys of a dict, or places in a tuple."""


class DatasetItems:
    """Reads a map-style data set item by item, each as an image and what stands beside it.

    Parameters
    ----------
    dataset : has a length and is indexed; its items are images, (image, label, ...), or dicts.
    keys : where the image and the label are; None: the first two of a tuple, or known keys.
    steady : refuse an image that is another one when it is read again, see `SteadyReads`.

    Raises
    ------
    InputError
        Its first item comes out different each time that it is read.
    """

    def __init__(self, dataset: Any, keys: Keys | None = None, *, steady: bool = True) -> None:
        self._dataset, self._keys = dataset, _checked_keys(keys)
        # No code runs when a list is read.
        made_before = isinstance(dataset, list | tuple)
        self._reads = SteadyReads(dataset) if steady and not made_before else None
        self._keeps = getattr(dataset, "keeps_images", False) is True
        self._kept: dict[int, weakref.ref[Tensor]] = {}

    def __len__(self) -> int:
        return len(self._dataset)

    @property
    def draws(self) -> bool:
        """Whether reading an item is known to move a generator."""
        return self._reads is not None and self._reads.draws

    def examine(self, index: int = 0) -> None:
        """Read an item again, and raise `InputError` if its image is another one by then."""
        if self._reads is not None:
            self._reads.examine(index, lambda item: self._parts(item, index)[0])

    def quietly(self, read: Callable[[], _T]) -> _T:
        """Return what a function reads off these items, looking at the generators but once."""
        return read() if self._reads is None else self._reads.quietly(read)

    def parts(self, index: int) -> tuple[Any, Any]:
        """Return the image of an item as it is, and what stands beside it, None for nothing.

        Raises
        ------
        InputError
            It cannot be told which part is the image, or this is another one than before.
        """
        if self._reads is None:
            return self._parts(self._dataset[index], index)
        image, beside = self._parts(self._reads.read(index), index)
        if not self._keeps:
            self._reads.refuse_if_changed(index, image)
        elif index not in self._kept or self._kept[index]() is not image:  # else it is that one
            self._reads.refuse_if_changed(index, image)
            self._kept[index] = weakref.ref(image)
        return image, beside

    def _parts(self, item: Any, index: int) -> tuple[Any, Any]:
        named = _named_parts(item)
        if self._keys is not None:
            image_key, label_key = self._keys
            image = _part(named, image_key, item, index)
            beside = None if label_key is None else _part(named, label_key, item, index)
        elif named is None:
            image, beside = item, None
        elif isinstance(item, tuple | list):
            image, beside = (*item, None)[:2] if item else (item, None)
            if not is_image(image) and any(map(is_image, item)):
                raise InputError(_which(named, item, index))
        else:
            image, beside = _by_known_keys(named, item, index)
        return _plain(image), _beside(beside)


def is_image(value: Any) -> bool:
    """Tell whether this can be an image: a tensor or array of two axes or more, or a picture."""
    return isinstance(value, Image.Image) or (
        isinstance(value, Tensor | np.ndarray) and value.ndim >= 2
    )


def known_keys(named: Mapping[Any, Any]) -> tuple[Any, Any]:
    """Return the keys under which a dict has its image and its label, None where none is known."""
    by_name = {str(key).lower(): key for key in named}
    known = [by_name[name] for name in IMAGE_KEYS.split() if name in by_name]
    images = [key for key in known if is_image(named[key])] or known
    labels = [by_name[name] for name in LABEL_KEYS.split() if name in by_name]
    return next(iter(images), None), next(iter(labels), None)


def kind_of(value: Any) -> str:
    """Return what something is, in a few words: data type and shape, or what class it has."""
    if isinstance(value, Image.Image):
        return f"PIL image {value.mode} {value.height}×{value.width}"
    return described(value)


def _checked_keys(keys: Any) -> tuple[Key, Key | None] | None:
    pair = (keys, None) if isinstance(keys, str | int) else keys
    if pair is None:
        return None
    kinds = (str | int, str | int | None)
    if isinstance(pair, tuple | list) and len(pair) == 2:
        image, label = pair
        if isinstance(image, kinds[0]) and isinstance(label, kinds[1]):
            return image, label
    raise InputError(
        f'keys: expected those of image and label, such as ("pixel_values", "labels"), got {keys!r}'
    )


def _named_parts(item: Any) -> dict[Any, Any] | None:
    """Return the parts of an item by key, attribute or place; None for one that is a whole."""
    if isinstance(item, Mapping):
        return dict(item)
    if isinstance(item, tuple | list):
        return dict(enumerate(item))
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    return None


def _part(named: dict[Any, Any] | None, key: Key, item: Any, index: int) -> Any:
    if named is not None and key in named:
        return named[key]
    if isinstance(key, str) and not isinstance(item, Mapping) and hasattr(item, key):
        return getattr(item, key)
    owner = f"item {index} of the data set has"
    raise InputError(unknown("key", key, named or [kind_of(item)], owner))


def _by_known_keys(named: dict[Any, Any], item: Any, index: int) -> tuple[Any, Any]:
    image, beside = known_keys(named)
    if image is None:
        raise InputError(_which(named, item, index))
    return named[image], None if beside is None else named[beside]


def _which(named: dict[Any, Any], item: Any, index: int) -> str:
    """Return the line for an item of which it cannot be told which part is the image."""
    images = [key for key, value in named.items() if is_image(value)]
    others = [key for key, value in named.items() if not is_image(value)]
    image = images[0] if images else next(iter(named), "image")
    after = list(named)[list(named).index(image) + 1 :] if image in named else []
    label = next((key for key in [*after, *others] if _is_number(named[key])), None)
    held = ", ".join(f"{key}: {kind_of(value)}" for key, value in list(named.items())[:8])
    return (
        f"item {index} of the data set is a {type(item).__name__} of {held or 'nothing'}; expected "
        f"(image, label): say which they are, such as keys=({image!r}, {label!r})"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | np.integer) or getattr(value, "ndim", None) == 0


def _plain(image: Any) -> Any:
    """Return a tensor of a subclass, such as that of a picture with its history, as a plain one."""
    is_subclass = isinstance(image, Tensor) and type(image) is not Tensor
    return image.as_subclass(Tensor) if is_subclass else image


def _beside(value: Any) -> Any:
    """Return what stands beside an image, a mask as a tensor."""
    if isinstance(value, Image.Image):
        value = np.array(value)
    if isinstance(value, np.ndarray) and value.ndim >= 2:
        return torch.from_numpy(value.copy())
    return _plain(value)
