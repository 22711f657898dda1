"""Evenly spread samples: which of many images, steps or checkpoints are looked at."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=32)  # a view asks after every batch, for up to 100,000 numbers
def evenly_spread(size: int, count: int, *, ends: bool = False) -> tuple[int, ...]:
    """Return ``count`` of the indices 0 to ``size - 1``, evenly spread; all, if there are fewer.

    Each stands for the ``size / count`` from it on; with ``ends``, the first and the last are
    always among them.

    >>> evenly_spread(10, 4)
    (0, 2, 5, 7)
    >>> evenly_spread(10, 4, ends=True)
    (0, 3, 6, 9)
    """
    count = min(size, count)
    if ends:
        return tuple(np.linspace(0, size - 1, count).round().astype(int).tolist())
    return tuple(index * size // count for index in range(count))
