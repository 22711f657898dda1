"""What is known beside a model of what it puts out: labels, targets and names, read when needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from convviz_widgets.images import ImageSet
from convviz_widgets.tensors import evenly_spread

LOOKED_AT = 64
"""Images whose labels tell whether one number is of two classes."""


class OutputHints:
    """What is known beside a model, and read when it is needed.

    Parameters
    ----------
    example : (1, C, H, W).
    images : None: nothing is known but the example.
    """

    def __init__(self, example: Tensor, images: ImageSet | None) -> None:
        self.example, self._images = example, images
        self.shape: tuple[int, ...] = tuple(example.shape[1:])

    @cached_property
    def inputs(self) -> list[Tensor]:
        """Some images (1, C, H, W) beside the example."""
        places = self._places(4)[1:]
        found = [self._read(lambda index: self._set.input(index), place) for place in places]
        return [each for each in found if each is not None]

    @cached_property
    def labels(self) -> set[int]:
        """The labels of some images, those without one left out."""
        places = self._places(LOOKED_AT)
        found = {self._read(lambda index: self._set.label(index), place) for place in places}
        return {label for label in found if label is not None}

    @cached_property
    def has_label(self) -> bool:
        """Whether the first image has a label."""
        return self._read(lambda index: self._set.label(index), 0) is not None

    @cached_property
    def targets(self) -> list[Tensor]:
        """The targets of some images, empty where there are none."""
        if self._read(lambda index: self._set.target(index), 0) is None:
            return []
        places = self._places(8)
        found = [self._read(lambda index: self._set.target(index), place) for place in places]
        return [each for each in found if each is not None]

    @property
    def target(self) -> Tensor | None:
        """The first target, None without one."""
        return self.targets[0] if self.targets else None

    def rows(self, count: int) -> Tensor | None:
        """Return some targets (n, K) where they are rows of ``count`` numbers, else None."""
        found = [each for each in self.targets if each.shape == (count,)]
        return torch.stack(found).double() if found else None

    @property
    def names(self) -> int:
        """How many classes have a name, 0 for none."""
        return len(self._images.class_names or ()) if self._images is not None else 0

    @property
    def _set(self) -> ImageSet:
        assert self._images is not None
        return self._images

    def _places(self, count: int) -> tuple[int, ...]:
        return () if self._images is None else evenly_spread(len(self._images), count)

    def _read(self, read: Callable[[int], Any], index: int) -> Any:
        if self._images is None:
            return None
        try:
            return read(index)
        except Exception:  # whatever a data set raises: the others tell as well
            return None
