"""Steady reads: a data set gives the same item each time, and no generator is moved by looking."""

from __future__ import annotations

import os
import sys
import threading
import zlib
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.images.randomness import NoRandomness, RandomState, generators_of

_T = TypeVar("_T")

AGAIN = 12
"""How often the first item of a data set that draws is read: a flip by chance shows in one of 12
but for once in 2,000 times; what still is missed shows when an image is read a second time."""


class SteadyReads:
    """Reads a data set, and knows each image again.

    Random functions of torch are refused by name. Python's `random`, numpy, what is seeded, and
    generators that the data set holds offer no such detour, so they are watched: what moved them is
    given back, to the last bit, when the reading is done by the main thread and no other thread
    works meanwhile. Where one does nothing is given back, because a training that draws there would
    see its numbers twice; a data set that draws then, although that does not show in its images,
    skips numbers.

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
        before, alone = self._standing(), not _others_work()
        try:
            return read()
        finally:
            if alone and before.moved() and not _others_work():
                self.draws = True
                before.give_back()

    def _standing(self) -> RandomState:
        """Return where all generators stand that reading the data set can move."""
        return RandomState([torch.default_generator, *torch.cuda.default_generators, *self._own])

    def examine(self, index: int, image_of: Callable[[Any], Any]) -> None:
        """Raise `InputError` if an image is another one when it is read again.

        Parameters
        ----------
        index : which one; of a data set that draws it is read a dozen times, else twice.
        image_of : takes an item, returns its image.
        """

        def changed_by() -> str | None:
            before = self._standing()
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


_WAITING = {
    "threading.py": ("wait", "join", "_wait_for_tstate_lock"),
    "selectors.py": ("select",),
    "socket.py": ("accept", "readinto"),
    "connection.py": ("_recv", "_recv_bytes", "poll"),
    "thread.py": ("_worker",),
    "gateway_base.py": ("read",),
}
"""Functions of Python, and of execnet, in which a thread waits for another, or for what comes in.
"""

_NEVER_DRAW = ("convviz_widgets", "ipykernel", "IPython", "zmq", "tornado", "debugpy")
"""Packages whose threads train nothing."""


def _others_work() -> bool:
    """Tell whether another thread may be drawing now: one that does not wait for something."""
    if threading.active_count() == 1:
        return False
    here = threading.get_ident()
    frames = sys._current_frames().items()
    return any(not _is_harmless(frame) for thread, frame in frames if thread != here)


def _is_harmless(frame: FrameType) -> bool:
    code = frame.f_code
    if code.co_name in _WAITING.get(os.path.basename(code.co_filename), ()):
        return True
    began = ""
    outer: FrameType | None = frame
    while outer is not None:  # what a thread runs lies just above Python's own start of it
        name = outer.f_globals.get("__name__") or ""
        began, outer = began if name == "threading" else name, outer.f_back
    return began.split(".")[0] in _NEVER_DRAW


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
