"""The samples that an `InputGallery` shows: of a set or of a loader's batches, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

from convviz_widgets.errors import InputError, error_text, number_of
from convviz_widgets.images import (
    ImageSet,
    LoaderBatch,
    as_image_set,
    find_repeated_batches,
    loader_batches,
    sample_digests,
)
from convviz_widgets.images.duplicates import Compared
from convviz_widgets.images.input_statistics import is_clipped
from convviz_widgets.images.preprocessing import Preprocessing
from convviz_widgets.widgets.thumbnails import PAGE, Sample

IMAGES, VALIDATION, LOADER = "images", "validation", "loader"

NOUNS = {IMAGES: "image", VALIDATION: "validation image"}
"""What a sample of each set is called."""

MISSING = {
    VALIDATION: "there is no validation set to show: InputGallery(state, validation=images)",
    LOADER: "there is no loader to show: InputGallery(state, loader=loader)",
}

BATCHES = 4
"""Batches of the loader that are looked at."""

NAMED = 4
"""Equal samples that are named; the others are counted."""

Groups = dict[int, tuple[tuple[int, ...], ...]]
"""Number of a sample → of each set the numbers of all that equal it, itself included."""


class GallerySource:
    """Samples by number, which of them are equal, and where among them the user is.

    Attributes
    ----------
    shape : shape of a sample, (C, H, W).
    equal : the samples that there are more than once.
    first : place of the first one on the page, among those shown.
    looked_at : the one that is highlighted; of the state's images the selected one is.
    """

    nouns: tuple[str, ...] = tuple(NOUNS.values())
    """What the samples of each set are called in which one may have an equal."""
    own = 0
    """Index of the own set among those."""
    remark = ""
    """What the caption says of all samples together."""

    def __init__(self, count: int, shape: tuple[int, ...], preprocessing: Preprocessing) -> None:
        self._count, self.shape, self._preprocessing = count, shape, preprocessing
        self.equal: Groups = {}
        self.first = self.looked_at = 0

    def sample(self, number: int) -> Sample:
        """Return one sample; never raises."""
        raise NotImplementedError

    def numbers(self, only: bool) -> Sequence[int] | np.ndarray:
        """Return the numbers of all samples, ascending; ``only`` of those in `equal`."""
        return np.array(sorted(self.equal), np.int64) if only else range(self._count)

    def turn_to(self, place: int) -> None:
        """Turn to the page on which a place lies."""
        self.first = place - place % PAGE

    def page(self, only: bool) -> tuple[int, ...]:
        """Return the numbers on the page; the last page, if there are fewer by now."""
        numbers = self.numbers(only)
        self.turn_to(min(self.first, max(0, len(numbers) - 1)))
        return tuple(map(int, numbers[self.first : self.first + PAGE]))

    def others(self, number: int) -> str:
        """Say which samples equal this one."""
        said = []
        for which, members in enumerate(self.equal.get(number, ())):
            others = [each for each in members if which != self.own or each != number]
            if others:
                more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
                said.append(f"{self.nouns[which]} {', '.join(map(str, others[:NAMED]))}{more}")
        return f"equals {', '.join(said)}" if said else ""

    def _undone(self, image: Tensor, label: str, line: str) -> Sample:
        image = image if image.ndim == 3 else image.reshape(1, *image.shape[-2:])
        known = self._preprocessing
        values = image.float() * known.scale.reshape(-1, 1, 1) + known.shift.reshape(-1, 1, 1)
        clipped = int(is_clipped(255 * values).sum())
        return Sample(known.undone(image), label, line, values.numel(), clipped)


class SetSource(GallerySource):
    """The samples of an `ImageSet`; ``class_names`` are taken where it has none of its own."""

    def __init__(
        self,
        name: str,
        images: ImageSet,
        preprocessing: Preprocessing,
        class_names: Sequence[str] | None,
    ) -> None:
        super().__init__(len(images), images.shape, preprocessing)
        self.own, self._noun = list(NOUNS).index(name), NOUNS[name]
        self._images, self._names = images, images.class_names or class_names
        left_out = f"{number_of(len(images.problems), 'file')} left out" if images.problems else ""
        self.remark = " · ".join(filter(None, [images.preparation, left_out]))

    def sample(self, number: int) -> Sample:
        """Return one sample; never raises."""
        name = self._images.name(number)
        called = f"{self._noun} {number}" + ("" if name == f"image {number}" else f" · {name}")
        try:
            image = self._images.input(number)[0]
        except Exception as error:  # whatever a data set may raise
            return Sample(None, "unreadable", f"{called} · cannot be read: {error_text(error)}")
        try:
            label = class_label(self._images.label(number), self._names)
        except Exception as error:  # a label that is none
            return self._undone(image, "label?", f"{called} · {error_text(error)}")
        return self._undone(image, label, f"{called} · {label}")


class BatchSource(GallerySource):
    """The samples of a loader's next batches, one batch after the other."""

    nouns = ("sample",)

    def __init__(
        self,
        batches: Sequence[LoaderBatch],
        preprocessing: Preprocessing,
        class_names: Sequence[str] | None,
    ) -> None:
        self._places = [(batch, row) for batch in batches for row in range(len(batch.images))]
        super().__init__(len(self._places), tuple(batches[0].images.shape[1:]), preprocessing)
        self._names = class_names
        same: dict[bytes, list[int]] = {}
        digests = [digest for batch in batches for digest in sample_digests(batch.images)]
        for number, digest in enumerate(digests):
            same.setdefault(digest, []).append(number)
        repeated = [tuple(numbers) for numbers in same.values() if len(numbers) > 1]
        self.equal = {number: (numbers,) for numbers in repeated for number in numbers}

    def sample(self, number: int) -> Sample:
        """Return one sample; never raises."""
        batch, row = self._places[number]
        label = class_label(batch.labels[row], self._names)
        line = f"batch {batch.number}, sample {row} · {label}"
        try:
            return self._undone(batch.images[row], label, line)
        except Exception as error:  # no picture at all, say
            return Sample(None, label, f"{line} · {error_text(error)}")


def source_of(loader: DataLoader[Any], own: ImageSet) -> BatchSource:
    """Return the next batches of a loader, with the preprocessing and class names of ``own``.

    Raises
    ------
    InputError
        The loader has none.
    """
    taken = loader_batches(loader, BATCHES)
    batches, failures = taken.batches, list(taken.failures.values())
    if not batches:
        raise InputError("; ".join(failures) or "the loader has no batches")
    source = BatchSource(batches, own.preprocessing, own.class_names)
    repeated = [
        "REPEATED: " + " = ".join(f"batch {batches[each].number}" for each in group)
        for group in find_repeated_batches(batch.images for batch in batches)
    ]
    count = f"the next {len(batches)} batches of the loader, one after the other"
    source.remark = " · ".join([count, *(repeated or ["no batch repeated"]), *failures[:1]])
    return source


class GallerySources:
    """The sources by name: the images, the validation set, the loader's next batches.

    Parameters
    ----------
    own
        The images of the state.
    validation
        Another `ImageSet`, or what can be made one; None: there is none.
    loader
        Is asked when its samples are to be seen; None: there is none.

    Attributes
    ----------
    sets : the images, and the validation set where there is one.
    """

    def __init__(self, own: ImageSet, validation: Any, loader: DataLoader[Any] | None) -> None:
        self._own, self._loader = own, loader
        sets = {IMAGES: own}
        if validation is not None:
            sets[VALIDATION] = as_image_set(validation)
        self.sets = tuple(sets.values())
        self._found: Compared | None = None
        self._known: dict[str, GallerySource] = {}
        for name, images in sets.items():
            # A set that was made here knows of no preprocessing.
            undone = (images if images is validation else own).preprocessing
            self._known[name] = SetSource(name, images, undone, own.class_names)

    def __getitem__(self, name: str) -> GallerySource:
        """Return a source.

        Raises
        ------
        InputError
            It was not given, or the loader has no batches.
        """
        if name not in self._known:
            if name != LOADER or self._loader is None:
                raise InputError(MISSING[name])
            self._known[LOADER] = source_of(self._loader, self._own)
        return self._known[name]

    def take_over(self, found: Compared | None) -> None:
        """Take over which samples are equal, once it is known."""
        if found is None or found is self._found:
            return
        self._found = found
        for which, name in enumerate(list(NOUNS)[: len(found.counts)]):
            groups = found.groups
            self._known[name].equal = {n: group for group in groups for n in group[which]}


def class_label(label: int | None, names: Sequence[str] | None) -> str:
    """Return the name of a class, or its number; what is wrong with it otherwise."""
    if label is None:
        return "no label"
    if names is None:
        return f"class {label}"
    return names[label] if 0 <= label < len(names) else f"label {label}?"
