"""Steady reads: a data set gives the same item each time, and no generator is moved by looking."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.images.randomness import NoRandomness, RandomState, generators_of

_T = TypeVar("_T")

TRIES = 5
"""Reads in a row that move a generator, before it is the data set and no training beside it."""

AGAIN = 12
"""How often the first item of a data set that draws is read: a flip by chance shows in one of 12
but for once in 2,000 times; what still is missed shows when an image is read a second time."""


class SteadyReads:
    """Reads a data set, and knows each image again.

    Random functions of torch are refused by name. Python's `random`, numpy and generators that the
    data set holds offer no such detour, so they are watched: what moved them is given back, to the
    last bit, when the reading is done by the main thread. In another thread nothing is given back,
    because a training that draws meanwhile in the main thread would see its numbers twice; a data
    set that draws there, although that does not show in its images, skips numbers.

    Parameters
    ----------
    dataset : map-style.

    Attributes
    ----------
    draws : whether reading it is known to move a generator.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._own = generators_of(dataset)
        self.draws = self._watched = False
        self._checksums: dict[int, int] = {}

    def read(self, index: int) -> Any:
        """Return an item; generators stand where they stood."""
        return self.quietly(lambda: self._read(index))

    def quietly(self, read: Callable[[], _T]) -> _T:
        """Return what a function reads off the data set; generators stand where they stood.

        Reads inside it are watched together: to look at all generators takes 0.1 ms.
        """
        if self._watched or threading.current_thread() is not threading.main_thread():
            return read()
        self._watched = True
        try:
            return self._given_back(read)
        finally:
            self._watched = False

    def _given_back(self, read: Callable[[], _T]) -> _T:
        before = RandomState(self._own)
        if self.draws:
            try:
                return read()
            finally:
                before.give_back()
        first, moved = _outcome(read, before)
        for _ in range(TRIES - 1):
            if not moved:
                return first()
            _, moved = _outcome(read, RandomState(self._own))
        if moved:  # each time, so that it is not a training in another thread
            self.draws = True
            before.give_back()
        return first()

    def examine(self, index: int, image_of: Callable[[Any], Any]) -> None:
        """Raise `InputError` if an image is another one when it is read again.

        Parameters
        ----------
        index : which one; of a data set that draws it is read a dozen times, else twice.
        image_of : takes an item, returns its image.
        """

        def changed_by() -> str | None:
            before = RandomState(self._own)
            first = _checksum(image_of(self._read(index)))
            for count in range(AGAIN):
                if count and not before.moved():
                    break
                if _checksum(image_of(self._read(index))) != first:
                    return before.moved()
            return None

        sources = self.quietly(changed_by)
        if sources is not None:
            raise InputError(_changed(index, sources))

    def refuse_if_changed(self, index: int, image: Any) -> None:
        """Raise `InputError` if an image is not what it was when it was read first."""
        checksum = _checksum(image)
        if self._checksums.setdefault(index, checksum) != checksum:
            raise InputError(_changed(index, ""))

    def _read(self, index: int) -> Any:
        with NoRandomness():
            return self._dataset[index]


def _outcome(read: Callable[[], _T], before: RandomState) -> tuple[Callable[[], _T], str]:
    """Return what a function gives or raises, to be had by a call, and what it moved."""
    try:
        result = read()
    except Exception as error:  # whatever a data set may raise
        return _raising(error), before.moved()
    return lambda: result, before.moved()


def _raising(error: Exception) -> Callable[[], Any]:
    def again() -> Any:
        raise error

    return again


def _changed(index: int, sources: str) -> str:
    why = f" (it draws from {sources})" if sources else ""
    return (
        f"image {index} of the data set comes out different each time it is read{why}, so the "
        "picture would be another than the one behind the maps: give it without random transforms, "
        "with the validation transform"
    )


def _checksum(image: Any) -> int:
    """Return a checksum of the values of a tensor or array; 0 for anything else."""
    if isinstance(image, Tensor):
        values = image.detach().cpu().contiguous().reshape(-1)
        image = values.view(torch.uint8).numpy() if len(values) else b""
    elif isinstance(image, np.ndarray):
        image = np.ascontiguousarray(image)
    else:
        image = b""
    return zlib.crc32(image)
