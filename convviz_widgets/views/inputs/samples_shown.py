"""Gallery shelves: the samples of a set, or of a loader's batches, as pictures with words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

from torch import Tensor

from convviz_widgets.images import ImageSet, LoaderBatches, find_repeated_batches, sample_digests
from convviz_widgets.images.input_statistics import is_clipped
from convviz_widgets.images.preprocessing import Preprocessing
from convviz_widgets.widgets.thumbnails import Sample

Groups = dict[int, tuple[int, ...]]
"""Number of a sample → the numbers of all that equal it, itself included."""


class Shelf(Protocol):
    """Samples by number."""

    noun: str

    def __len__(self) -> int: ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the samples: (C, H, W)."""
        ...

    def sample(self, number: int) -> Sample:
        """Return one sample; never raises."""
        ...

    def remark(self) -> str:
        """Say what there is to be said of all of them, if anything."""
        ...


class SetShelf:
    """The samples of an `ImageSet`.

    Parameters
    ----------
    noun : what one of them is called.
    images : the set.
    preprocessing : what to undo.
    class_names : names to use where the set has none.
    """

    def __init__(
        self,
        noun: str,
        images: ImageSet,
        preprocessing: Preprocessing,
        class_names: Sequence[str] | None,
    ) -> None:
        self.noun, self._images, self._preprocessing = noun, images, preprocessing
        self._names = images.class_names or class_names

    def __len__(self) -> int:
        return len(self._images)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the samples: (C, H, W)."""
        return self._images.shape

    def sample(self, number: int) -> Sample:
        """Return one sample; never raises."""
        name = self._images.name(number)
        called = f"{self.noun} {number}" + ("" if name == f"image {number}" else f" · {name}")
        try:
            image = self._images.input(number)[0]
        except Exception as error:  # whatever a data set may raise
            return Sample(None, "unreadable", f"{called} · cannot be read: {_line(error)}")
        try:
            label = class_label(self._images.label(number), self._names)
        except Exception as error:  # a label that is none
            return _sample(image, self._preprocessing, "label?", f"{called} · {_line(error)}")
        return _sample(image, self._preprocessing, label, f"{called} · {label}")

    def remark(self) -> str:
        """Say nothing."""
        return ""


class BatchShelf:
    """The samples of a loader's next batches, one batch after the other."""

    noun = "sample"

    def __init__(
        self,
        loaded: LoaderBatches,
        preprocessing: Preprocessing,
        class_names: Sequence[str] | None,
    ) -> None:
        self._loaded, self._preprocessing, self._names = loaded, preprocessing, class_names
        self._places = [
            (batch, row) for batch in loaded.batches for row in range(len(batch.images))
        ]

    def __len__(self) -> int:
        return len(self._places)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the samples: (C, H, W)."""
        batches = self._loaded.batches
        return tuple(batches[0].images.shape[1:]) if batches else ()

    def sample(self, number: int) -> Sample:
        """Return one sample; never raises."""
        batch, row = self._places[number]
        label = class_label(batch.labels[row], self._names)
        line = f"batch {batch.number}, sample {row} · {label}"
        try:
            return _sample(batch.images[row], self._preprocessing, label, line)
        except Exception as error:  # no picture at all, say
            return Sample(None, label, f"{line} · {_line(error)}")

    @cached_property
    def groups(self) -> Groups:
        """The samples that came more than once."""
        same: dict[bytes, list[int]] = {}
        digests = [d for batch in self._loaded.batches for d in sample_digests(batch.images)]
        for number, digest in enumerate(digests):
            same.setdefault(digest, []).append(number)
        return groups_of(tuple(group) for group in same.values() if len(group) > 1)

    def remark(self) -> str:
        """Say how many batches there are, which are the same, and which could not be had."""
        batches = self._loaded.batches
        repeated = find_repeated_batches(batch.images for batch in batches)
        said = [f"the next {len(batches)} batches of the loader, one after the other"]
        for group in repeated:
            names = " = ".join(f"batch {batches[each].number}" for each in group)
            said.append(f"REPEATED: {names}")
        if not repeated:
            said.append("no batch repeated")
        said.extend(list(self._loaded.failures.values())[:1])
        return " · ".join(said)


def as_image_set(images: Any) -> ImageSet:
    """Return an `ImageSet` as it is, and one of anything else that it can be made of."""
    return images if isinstance(images, ImageSet) else ImageSet(images)


def groups_of(groups: Any) -> Groups:
    """Return for each sample in a group the whole group."""
    return {number: group for group in groups for number in group}


def class_label(label: int | None, names: Sequence[str] | None) -> str:
    """Return the name of a class, or its number; what is wrong with it otherwise."""
    if label is None:
        return "no label"
    if names is None:
        return f"class {label}"
    return names[label] if 0 <= label < len(names) else f"label {label}?"


def _sample(image: Tensor, preprocessing: Preprocessing, label: str, line: str) -> Sample:
    image = image if image.ndim == 3 else image.reshape(1, *image.shape[-2:])
    values = image.float() * preprocessing.scale.reshape(-1, 1, 1)
    undone = 255 * (values + preprocessing.shift.reshape(-1, 1, 1))
    clipped = int(is_clipped(undone).sum())
    return Sample(preprocessing.undone(image), label, line, undone.numel(), clipped)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
