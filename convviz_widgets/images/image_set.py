"""ImageSet: images as a model takes them, with labels, targets, names and preprocessing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence, Sized
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.errors import InputError, checked_index, number_of
from convviz_widgets.images.checks import (
    checked_label,
    checked_labels,
    described,
    is_picture,
)
from convviz_widgets.images.folder import look_into, refuse_many_sizes
from convviz_widgets.images.inputs import Inputs, MapDataset
from convviz_widgets.images.items import Keys
from convviz_widgets.images.picture_list import channels_of, names_of, picture_list, sizes_of
from convviz_widgets.images.preparation import Pictures, Preparation, Transform
from convviz_widgets.images.preprocessing import Preprocessing

_Column = TypeVar("_Column", bound=Sized)

_LOOKED_AT = 64  # images from which an unknown range is read off


class ImageSet:
    """A fixed list of images, as the model takes them, with what belongs to each.

    Parameters
    ----------
    inputs : floating tensor (N, C, H, W), which is not copied, or a map-style dataset of images
        (C, H, W), of (image, label), of (image, target picture), or of dicts of these, without
        random transforms. Pictures go into `from_folder` and `from_images`.
    labels : N class indices from zero up (None: unknown); they stand in for a dataset's own.
    targets : N target pictures (N, C', H', W'), masks of class indices (N, H', W') or (N, 1, H',
        W'), or rows (N, K) of several labels each, 0 or 1; they stand in for a dataset's own.
    class_names : one name for each class.
    mean, std : what the preprocessing subtracted and divided by, one number or one per channel,
        for pictures in [0, 1]. Without both the range is read off the first 64 images that can
        be read.
    names : N names; default "image 0", "image 1", ...
    groups : N sources; images of one group were cut from the same photograph.
    keys : where a data set's items have image and label: of dicts ``("pixel_values", "labels")``,
        of tuples their places ``(0, 2)``; None for the second: no label. By default the first two
        of a tuple, or the keys that such data sets use most.

    Attributes
    ----------
    shape : (C, H, W) of every image.
    class_names, groups : as given, as tuples, or None.
    preparation : what `from_folder` or `from_images` did to each picture, in one line.
    problems : name of a file → one line, for what `from_folder` left out or could not read.

    Examples
    --------
    >>> images = cvw.ImageSet(torch.zeros(2, 1, 8, 8), labels=[0, 1], class_names=["cat", "dog"])
    >>> images
    <ImageSet: 2 images of 1×8×8, 2 classes>
    >>> images.input(1).shape
    torch.Size([1, 1, 8, 8])
    >>> images.class_names[images.label(1)]
    'dog'
    """

    def __init__(
        self,
        inputs: Tensor | MapDataset,
        labels: Iterable[int | None] | Tensor | None = None,
        *,
        targets: Tensor | None = None,
        class_names: Sequence[str] | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        names: Sequence[str] | None = None,
        groups: Sequence[Hashable] | None = None,
        keys: Keys | None = None,
    ) -> None:
        self._inputs = Inputs(inputs, keys)
        self.class_names = None if class_names is None else _texts("class_names", class_names)
        self.groups = None if groups is None else self._one_each("groups", tuple(groups))
        self._classes = None if self.class_names is None else len(self.class_names)
        column = None if labels is None else checked_labels(labels, self._classes)
        self._labels = None if column is None else self._one_each("labels", column)
        self._targets = None if targets is None else self._one_each("targets", _pictures(targets))
        self._names = None if names is None else self._one_each("names", _texts("names", names))
        self.shape = self._inputs.shape
        self.label(0)  # a data set that brings labels of another kind says so now
        self._stated: Preprocessing | None = None
        if mean is not None or std is not None:
            self._stated = Preprocessing.stated(mean, std, self.shape)
            self._stated.refuse_if_in_bytes(self._inputs.item(0)[0])
        self.preparation = inputs.said if isinstance(inputs, Pictures) else ""
        self.problems = inputs.problems if isinstance(inputs, Pictures) else {}

    @classmethod
    def from_folder(
        cls,
        path: str | os.PathLike[str],
        *,
        size: int | tuple[int, int] | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        transform: Transform | None = None,
        channels: int = 3,
    ) -> ImageSet:
        """Return the pictures in a folder; each is read when it is looked at.

        Folders in it are classes, sorted as torchvision's ``ImageFolder`` does, and what is in
        them, however deep, is of that class. Without such folders there are no labels. Files come
        in natural order ("2.png" before "10.png"). PNG, JPEG, WebP, BMP, TIFF, PPM and the first
        frame of a GIF are read; photographs are turned upright as their EXIF says, and what is
        transparent becomes white; 16 bits are divided by 65,535, 8 bits by 255.

        Parameters
        ----------
        path : the folder; a leading ``~`` is the user's home.
        size : height and width in pixels, or one number for a square: each picture is scaled to
            cover it and its middle cut out, as ``Resize`` and ``CenterCrop`` do. None: all must
            have one size.
        mean, std : what is subtracted from pictures in [0, 1] and divides them, one number or one
            per channel, and is undone for display; with a ``transform``: what it did itself.
        transform : takes a PIL image (after ``size``) and returns a floating tensor (C, H, W), as
            torchvision's do; without random steps. Its Normalize, if it ends with one, is undone
            for display.
        channels : 3 for RGB, 1 for grey.

        Raises
        ------
        InputError
            There is no such folder or no picture in it, or they are of several sizes.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> with TemporaryDirectory() as folder:
        ...     for name in ("cat/1.png", "dog/1.png", "dog/2.jpg"):
        ...         Path(folder, name).parent.mkdir(exist_ok=True)
        ...         Image.new("RGB", (40, 30), "red").save(Path(folder, name))
        ...     _ = Path(folder, "dog", "notes.txt").write_text("not a picture")
        ...     images = cvw.ImageSet.from_folder(folder, size=24)
        >>> images
        <ImageSet: 3 images of 3×24×24, 2 classes; 1 file left out>
        >>> images.class_names, [images.label(index) for index in range(3)], images.name(0)
        (('cat', 'dog'), [0, 1, 1], 'cat/1.png')
        >>> images.problems
        {'dog/notes.txt': 'not named as a picture: left out'}
        >>> images.preparation
        'scaled to cover 24×24 pixels, the middle cut out · RGB in 0 to 1'
        """
        preparation = Preparation.asked(size, channels, mean, std, transform)
        folder = look_into(path)
        if size is None and transform is None:
            refuse_many_sizes(Counter(head.size for head in folder.heads))
        pictures = Pictures(folder.files, preparation, folder.names, folder.remarks)
        pictures.problems.update(folder.problems)
        return cls(
            pictures,
            folder.labels or [None] * len(folder.files),
            class_names=folder.class_names,
            mean=preparation.mean,
            std=preparation.std,
            names=folder.names,
        )

    @classmethod
    def from_images(
        cls,
        pictures: Any,
        labels: Iterable[int | None] | Tensor | None = None,
        *,
        size: int | tuple[int, int] | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        transform: Transform | None = None,
        channels: int | None = None,
        class_names: Sequence[str] | None = None,
        names: Sequence[str] | None = None,
        groups: Sequence[Hashable] | None = None,
        keys: Keys | None = None,
    ) -> ImageSet:
        """Return pictures of any kind as a model takes them.

        Parameters
        ----------
        pictures : PIL images, paths of picture files, arrays or tensors, also mixed, in a list; or
            one array (N, H, W, C), (N, H, W) or (N, C, H, W); or a map-style data set of pictures
            or of (picture, label), such as one of torchvision's without a transform. Numbers are
            bytes (0 to 255), 16 bits without a sign, or floats in 0 to 1.
        labels, class_names, names, groups, keys : as for an `ImageSet`.
        size, mean, std, transform : as for `from_folder`.
        channels : 3 for RGB, 1 for grey; None: grey if all are, as far as that can be told without
            reading files.

        Raises
        ------
        InputError
            What cannot be read, or of which it cannot be told what its numbers mean; pictures of
            several sizes without ``size``.

        Examples
        --------
        >>> pixels = np.zeros((5, 32, 32, 3), np.uint8)
        >>> cvw.ImageSet.from_images(pixels, labels=[0, 1, 0, 1, 0], mean=0.5, std=0.25)
        <ImageSet: 5 images of 3×32×32>
        >>> from PIL import Image
        >>> mixed = [Image.new("RGB", (40, 30)), np.zeros((28, 28), np.uint8)]
        >>> cvw.ImageSet.from_images(mixed, size=(24, 32))
        <ImageSet: 2 images of 3×24×32>
        """
        sources = picture_list(pictures, channels)
        grey_or_not = channels_of(sources) if channels is None else channels
        preparation = Preparation.asked(size, grey_or_not, mean, std, transform)
        if size is None and transform is None:
            refuse_many_sizes(sizes_of(sources))
        called = names or names_of(sources)
        return cls(
            Pictures(sources, preparation, called, keys=keys),
            labels,
            class_names=class_names,
            mean=preparation.mean,
            std=preparation.std,
            names=called,
            groups=groups,
        )

    def __len__(self) -> int:
        return len(self._inputs)

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.shape))
        labels = "" if self._classes is None else f", {self._classes} classes"
        left_out = f"; {number_of(len(self.problems), 'file')} left out" if self.problems else ""
        return f"<ImageSet: {number_of(len(self), 'image')} of {shape}{labels}{left_out}>"

    def input(self, index: int) -> Tensor:
        """Return one image (1, C, H, W) as the model takes it; the tensor is the caller's."""
        return self.batch([index])

    def batch(self, indices: Iterable[int]) -> Tensor:
        """Return images (B, C, H, W) as the model takes them; the tensor is the caller's."""
        images = self._inputs.several([_checked(self, index) for index in indices])
        if not images:
            raise InputError("a batch needs at least one image index, got none")
        return images[0][None] if len(images) == 1 else torch.stack(images)

    def display(self, index: int) -> np.ndarray:
        """Return one image as uint8 (H, W, 3), its preprocessing undone, rounded and clipped."""
        return self.preprocessing.undone(self._inputs.item(_checked(self, index))[0])

    def label(self, index: int) -> int | None:
        """Return the class index of an image, None without one."""
        index = _checked(self, index)
        if self._labels is not None:
            return self._labels[index]
        _, beside = self._inputs.item(index)
        has_targets = self._targets is not None and isinstance(beside, Tensor) and beside.ndim
        if has_targets or is_picture(beside):
            return None
        return checked_label(beside, self._classes, index)

    def target(self, index: int) -> Tensor | None:
        """Return the target picture (C', H', W'), mask or row of labels of an image, or None."""
        index = _checked(self, index)
        if self._targets is not None:
            return self._targets[index].detach().clone()
        beside = self._inputs.item(index)[1]
        return beside.detach().clone() if is_picture(beside) else None

    def name(self, index: int) -> str:
        """Return the name of an image."""
        index = _checked(self, index)
        return self._names[index] if self._names is not None else f"image {index}"

    def expected(self, indices: Iterable[int]) -> Tensor | None:
        """Return what a loss compares with, as `expected_of` says it."""
        chosen = list(indices)
        return expected_of(map(self.target, chosen), map(self.label, chosen))

    @property
    def states_preprocessing(self) -> bool:
        """Whether mean or std were given, so that undoing them is exact."""
        return self._stated is not None

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """What `display` undoes: the mean and std given, or what is read off the images."""
        if self._stated is not None:
            return self._stated
        return Preprocessing.read_off(self._inputs.readable(range(min(len(self), _LOOKED_AT))))

    def _one_each(self, what: str, values: _Column) -> _Column:
        if len(values) != len(self):
            raise InputError(f"got {len(values)} {what} for {len(self)} images")
        return values


def _checked(images: ImageSet, index: int) -> int:
    return checked_index("image", index, len(images), "this set")


def expected_of(targets: Iterable[Tensor | None], labels: Iterable[int | None]) -> Tensor | None:
    """Return what a loss compares with: targets (B, ...), else labels (B,).

    None when one of these images has neither, and for no images. Labels are looked at only where
    a target is missing.
    """
    pictures = list(targets)
    found = [target for target in pictures if target is not None]
    if len(found) == len(pictures):
        return torch.stack(found) if found else None
    known = list(labels)
    return None if None in known else torch.tensor(known)


def as_image_set(images: Any) -> ImageSet:
    """Return an `ImageSet` as it is, anything else as one."""
    return images if isinstance(images, ImageSet) else ImageSet(images)


def _texts(name: str, texts: Any) -> tuple[str, ...]:
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise InputError(f"{name}: expected one text each, in a list, got {texts!r}")
    return tuple(map(str, texts))


def _pictures(targets: Any) -> Tensor:
    is_rows = isinstance(targets, Tensor) and targets.ndim == 2 and targets.shape[1] > 1
    if not is_rows and (not isinstance(targets, Tensor) or targets.ndim < 3):
        raise InputError(
            "targets: expected pictures (N, C, H, W), masks (N, H, W) or several labels an image "
            f"(N, K) as a tensor, got {described(targets)}; class indices go into labels="
        )
    return targets
