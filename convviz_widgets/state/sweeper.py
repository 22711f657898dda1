"""The Sweeper: takes the state's images through one checkpoint, through its own probe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.instrument import ImageSet, LayerInfo, Probe
from convviz_widgets.instrument.attribution import random_direction
from convviz_widgets.state.own_probe import OwnProbe, fitting
from convviz_widgets.state.timeline import Entry
from convviz_widgets.sweep import SweepResult
from convviz_widgets.sweep.beginning import begun, numbered
from convviz_widgets.sweep.fingerprint import weights_fingerprint
from convviz_widgets.sweep.items import Items
from convviz_widgets.sweep.part import swept_part
from convviz_widgets.sweep.plan import Plan
from convviz_widgets.sweep.swept_layers import swept_layers


@dataclass(frozen=True)
class Direction:
    """A random unit direction of a layer, in place of its channels."""

    layer: str
    seed: int


class Sweeper(OwnProbe):
    """Sweeps one checkpoint after the other; the passes it runs are not counted as the user's.

    Used by one thread at a time. The probe is made at the first use. The lock is held while it is
    made and while an image is read, never while the model runs.

    Parameters
    ----------
    probe, lock
        The state's probe, to be copied once, and the lock to hold meanwhile.
    images
        All of them are swept; one that cannot be loaded is left out and noted.
    """

    def __init__(self, probe: Probe, lock: AbstractContextManager[Any], images: ImageSet) -> None:
        super().__init__(probe, lock, images)
        self._items: Items | None = None
        self._plan: Plan | None = None

    def sweep(
        self, entry: Entry, direction: Direction | None, known: SweepResult | None
    ) -> Iterator[SweepResult]:
        """Yield the result of one checkpoint after every batch.

        Parameters
        ----------
        direction
            Look along it, at its layer alone; the result has one channel there.
        known
            What an earlier sweep of the same knew when it was stopped.
        """
        probe, (items, plan) = self._ready(), self._planned()
        if direction is not None:
            plan = _along(plan, direction)
        weights = entry.load()
        if probe.key != entry.key:
            probe.load(weights, entry.key)
        result = known or begun(probe, plan, items, (entry.step,)).at(0)
        result = result.with_weights(0, weights_fingerprint(weights))
        before = result.parts[0]
        for span in before.coverage.missing(range(plan.count), plan.batch_size):
            result = result.with_part(0, swept_part(probe, plan, items, span, result.parts[0]))
            yield result

    def close(self) -> None:
        """Let go of both probes; what is under way ends as `Stopped`."""
        super().close()
        self._plan = None

    def _planned(self) -> tuple[Items, Plan]:
        with self._lock:
            probe = self._ready()
            if self._items is None or self._plan is None:
                self._items = Items(_OneAtATime(self._images, self._lock))
                self._plan = _planned(probe, self._items, self._images)
        return self._items, self._plan


class _OneAtATime:
    """The images of a set, each read under the lock: a data set need not stand two threads."""

    def __init__(self, images: ImageSet, lock: AbstractContextManager[Any]) -> None:
        self._images, self._lock = images, lock

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        with self._lock:
            return self._images.input(index)[0]


def _planned(probe: Probe, items: Items, images: ImageSet) -> Plan:
    layers = swept_layers(probe, items.example, None)
    return Plan(
        layers=layers,
        count=len(items),
        batch_size=min(len(items), fitting(layers)),
        k=9,
        groups=numbered(images.groups, len(items)),
        skip=True,
    )


def _along(plan: Plan, direction: Direction) -> Plan:
    """Return the plan that looks at one layer, along one direction."""
    layer = next((layer for layer in plan.layers if layer.name == direction.layer), None)
    if layer is None:
        raise InputError(f"layer {direction.layer!r} cannot be swept: it mixes images of a batch")
    along = random_direction(layer.shape[0], direction.seed)
    seen: LayerInfo = replace(layer, shape=(1, *layer.shape[1:]))
    return replace(plan, layers=(seen,), directions={layer.name: along[None]})
