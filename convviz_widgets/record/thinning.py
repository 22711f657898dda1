"""Which checkpoints to give up when there are too many."""

from __future__ import annotations

from collections.abc import Sequence


def to_remove(steps: Sequence[int], keep: int, every: int) -> list[int]:
    """Return the steps to give up so that ``keep`` stay, evenly spread; never the first or last.

    The least round ones go first, counted in units of ``every`` from the first step on: those
    between, then odd multiples, then odd multiples of 2, and so on, the earliest of equals. With
    one checkpoint more each time, of the gaps between those that stay (the last one apart) the
    largest is at most twice the smallest.

    (Giving up the one whose neighbours are closest looks simpler, but with few checkpoints it
    always picks the last but one, and the others stay at the beginning of the run for ever.)

    Parameters
    ----------
    steps
        Ascending.
    keep
        At least 2.
    every
        Steps between two checkpoints as they are written.

    >>> to_remove([0, 100, 200, 300, 400, 450], keep=4, every=100)
    [100, 300]
    """
    between = sorted(steps[1:-1], key=lambda step: (_roundness(step - steps[0], every), step))
    return between[: max(len(steps) - keep, 0)]


def _roundness(distance: int, every: int) -> int:
    """Return how often 2 divides the distance in units of ``every``; -1: it is no multiple."""
    units, rest = divmod(distance, every)
    return -1 if rest else (units & -units).bit_length() - 1
