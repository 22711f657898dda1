"""The lifecycle of filters: when they were born, died and revived while the model trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convviz_widgets.errors import InputError
from convviz_widgets.sweeps.result import SweepResult

DYING = 0.01
"""Firing on fewer images than this share, but on some, is dying."""


def rate_bound(images: int) -> float:
    """Return the 95 % upper bound on the firing rate of what never fired in n images, about 3/n.

    The rate at which n images without firing have a probability of 5 %: (1 - rate)**n = 0.05
    [Hanley & Lippman-Hand, JAMA 1983, the rule of three].
    """
    return min(1.0, 3 / images) if images else 1.0


@dataclass(frozen=True, eq=False)
class Lifecycle:
    """On how many images each channel of a layer fired, at each checkpoint.

    A channel fires on an image if its map is not zero everywhere. It is *dead* at a checkpoint if
    it fired on no image at all, *dying* if on some, but on less than `DYING` of them.

    Attributes
    ----------
    fired : int64 (C, T), images on which the channel fired.
    known : bool (C, T), whether anything but NaN was seen there; what is not known is neither
        dead nor alive.
    images : int64 (T,), images swept at each checkpoint, the n to show; 0 where none were.
    """

    fired: np.ndarray
    known: np.ndarray
    images: np.ndarray

    @classmethod
    def of(cls, results: Sequence[SweepResult | None], layer: str) -> Lifecycle:
        """Return the lifecycle of a layer's channels.

        Parameters
        ----------
        results : the result of one checkpoint each, in order; None where nothing has been swept.

        Raises
        ------
        UnknownLayerError
            A result does not have this layer.
        InputError
            There is no result at all.
        """
        swept = [None if each is None else _firing(each, layer) for each in results]
        some = next((each for each in swept if each is not None), None)
        if some is None:
            raise InputError("nothing has been swept: there is no lifecycle to tell")
        unknown = np.zeros_like(some[0]), np.zeros_like(some[1])
        columns = [unknown if each is None else each for each in swept]
        return cls(
            np.stack([fired for fired, _ in columns], axis=1),
            np.stack([known for _, known in columns], axis=1),
            np.array([0 if each is None else each.count for each in results], np.int64),
        )

    @cached_property
    def rates(self) -> np.ndarray:
        """Share of images on which the channel fired: float64 (C, T); NaN where not known."""
        return np.where(self.known, self.fired / np.maximum(self.images, 1), np.nan)

    @cached_property
    def dead(self) -> np.ndarray:
        """Whether it never fired: bool (C, T)."""
        return self.known & (self.fired == 0)

    @cached_property
    def alive(self) -> np.ndarray:
        """Whether it fired on any image: bool (C, T)."""
        return self.known & (self.fired > 0)

    @cached_property
    def dying(self) -> np.ndarray:
        """Whether it fired, but on less than `DYING` of the images: bool (C, T)."""
        return self.alive & (self.fired < DYING * self.images)

    @cached_property
    def died(self) -> np.ndarray:
        """Whether it is dead and was alive when it was last known: bool (C, T)."""
        return self.dead & _last(self.alive, self.known)

    @cached_property
    def born(self) -> np.ndarray:
        """Whether it is alive for the first time, after being dead: bool (C, T)."""
        return self._awake & ~_ever(self.alive)

    @cached_property
    def revived(self) -> np.ndarray:
        """Whether it is alive after being dead, having been alive before that: bool (C, T)."""
        return self._awake & _ever(self.alive)

    @cached_property
    def _awake(self) -> np.ndarray:
        return self.alive & _last(self.dead, self.known)


def _firing(result: SweepResult, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """Return on how many images each channel fired, and whether it was anything but NaN."""
    return result.fired(layer).numpy(), result.max(layer).numpy() > -np.inf  # (C,)


def _ever(flags: np.ndarray) -> np.ndarray:
    """Return whether the flag was up at any checkpoint before: bool (C, T)."""
    before = np.logical_or.accumulate(flags, axis=1)
    return np.pad(before[:, :-1], ((0, 0), (1, 0)))


def _last(flags: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the flag at the last checkpoint before that is known: bool (C, T), else False."""
    places = np.where(known, np.arange(1, 1 + known.shape[1]), 0)  # (C, T), 0: none
    before = np.pad(np.maximum.accumulate(places, axis=1)[:, :-1], ((0, 0), (1, 0)))
    return np.take_along_axis(np.pad(flags, ((0, 0), (1, 0))), before, axis=1)
