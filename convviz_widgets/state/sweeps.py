"""Sweeps: the state's images through its checkpoints, when somebody asks, in the background."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from convviz_widgets.errors import InputError, in_one_line
from convviz_widgets.images import ImageSet
from convviz_widgets.images.reading import Items
from convviz_widgets.probe import LayerInfo
from convviz_widgets.probe.attribution import random_direction
from convviz_widgets.state.background import Background, Client, Progress, Stopped, Task, fitting
from convviz_widgets.state.timeline import Entry, Timeline
from convviz_widgets.sweeps import SweepResult
from convviz_widgets.sweeps.fingerprint import data_fingerprint, weights_fingerprint
from convviz_widgets.sweeps.part import swept_part
from convviz_widgets.sweeps.plan import Plan, swept_layers
from convviz_widgets.sweeps.result import begun, numbered


@dataclass(frozen=True)
class Direction:
    """A random unit direction of a layer, in place of its channels."""

    layer: str
    seed: int


@dataclass(frozen=True)
class Look:
    """One checkpoint to be swept: all channels, or along one direction of a layer."""

    key: Hashable
    direction: Direction | None


class Sweeps(Client):
    """What every channel does over all images of the state, for each checkpoint that was swept.

    One result a checkpoint, shared by all views of the state. Nothing is swept before somebody
    asks; it is done in the background, and the observers are told after every batch. What was
    cancelled goes on from there when it is asked for again.

    Parameters
    ----------
    background
        Sweeps.
    timeline
        The checkpoints, captures among them.
    layers, images
        Of the state, to tell whether a result made elsewhere belongs to it.
    """

    def __init__(
        self,
        background: Background,
        timeline: Timeline,
        layers: tuple[LayerInfo, ...],
        images: ImageSet,
    ) -> None:
        super().__init__(background)
        self._timeline, self._sweeper = timeline, Sweeper(background, images)
        self._layers, self._images = layers, images
        self._asked: list[Look] = []
        self._round: list[Look] = []
        """What has been asked for since the last time there was nothing to do."""
        self.revision = 0
        """Counts the results, failures and refusals: what `at` and `progress` say may be new."""
        self._results: dict[Look, SweepResult] = {}
        self._begun: dict[Look, SweepResult] = {}
        self._failures: dict[Look, str] = {}

    # -- ask ----------------------------------------------------------------------------------

    def ask(self, *indices: int, direction: Direction | None = None) -> None:
        """Have these checkpoints swept, in this order, after what has been asked for before.

        Parameters
        ----------
        indices
            Into the state's ``steps``.
        direction
            Along this random direction instead of all channels.
        """
        wanted = self._looks(indices, direction)
        with self._lock:
            self._refuse_if_closed()
            if not self._asked:
                self._round.clear()
            for look in wanted:
                self._failures.pop(look, None)  # it is tried again
                if look not in self._results and look not in self._asked:
                    self._asked.append(look)
                    self._round.append(look)
        self._background.wake(self)

    def cancel(self) -> None:
        """Sweep nothing more; what is under way stops after its batch and is kept."""
        with self._lock:
            was_asked = bool(self._asked)
            self._asked.clear()
            self.revision += was_asked
        if was_asked:
            self.tell()

    def adopt(self, given: Any) -> None:
        """Take a `SweepResult` that was made elsewhere for the checkpoints that it is about.

        Raises
        ------
        InputError
            In one line, when it is about another model, other weights or other images.
        """
        found = by_checkpoint(given, self._layers, self._images, self._timeline.entries)
        with self._lock:
            self._results.update((Look(key, None), result) for key, result in found.items())
            self.revision += 1
        self.tell()

    def unobserve(self, observer: Callable[[], None]) -> None:
        """Call it no more; nobody being left to be told, nothing more is swept."""
        super().unobserve(observer)
        if not self._observers:
            self.cancel()

    def close(self) -> None:
        """Stop sweeping and forget everything; the lock is held."""
        super().close()
        for kept in (self._asked, self._round, self._results, self._begun, self._failures):
            kept.clear()

    # -- look ---------------------------------------------------------------------------------

    def at(self, index: int, direction: Direction | None = None) -> SweepResult | None:
        """Return the result of one checkpoint; None where it has not been swept to the end.

        Along a direction its layer has one channel, 0.
        """
        (look,) = self._looks((index,), direction)
        return self._results.get(look)

    def all(self, direction: Direction | None = None) -> list[SweepResult | None]:
        """Return the result of every checkpoint, None where it has not been swept to the end."""
        looks = self._looks(range(len(self._timeline)), direction)
        return [self._results.get(look) for look in looks]

    def progress(self, *indices: int, direction: Direction | None = None) -> Progress:
        """Return how many images of these checkpoints have been swept, and what has failed."""
        with self._lock:
            return self._progress(self._looks(indices, direction))

    @property
    def running(self) -> Progress | None:
        """How far the sweep under way is, with all that waits for it; None: there is none."""
        with self._lock:
            return self._progress(self._round) if self._asked else None

    def _progress(self, looks: Sequence[Look]) -> Progress:
        count, done = len(self._images), 0
        for look in looks:
            begun = self._begun.get(look)
            settled = look in self._results or look in self._failures
            covered = 0 if begun is None else len(begun.parts[0].coverage)
            done += count if settled else covered
        failures = tuple(self._failures[look] for look in looks if look in self._failures)
        return Progress(done, count * len(looks), failures)

    def _looks(self, indices: Sequence[int], direction: Direction | None) -> list[Look]:
        keys = self._timeline.keys
        return [Look(keys[index], direction) for index in indices]

    # -- work ---------------------------------------------------------------------------------

    def next_task(self) -> Task | None:
        """Return what was asked for first and is still there; the lock is held."""
        entries = {entry.key: entry for entry in self._timeline.entries}
        self._asked = [
            look for look in self._asked if look.key in entries and look not in self._results
        ]
        return self._task(self._asked[0], entries[self._asked[0].key]) if self._asked else None

    def _task(self, look: Look, entry: Entry) -> Task:
        def failed(error: Exception) -> None:
            self._settle(look, failure=f"step {entry.step:,}: {in_one_line(error)}")

        return Task(lambda: self._try(look, entry), failed, lambda: self._is_asked(look))

    def _is_asked(self, look: Look) -> bool:
        with self._lock:
            return look in self._asked

    def _try(self, look: Look, entry: Entry) -> None:
        try:
            self._sweep(look, entry)
        except Stopped:  # a batch may have come in since it was cancelled
            with self._lock:
                self.revision += 1
            raise

    def _sweep(self, look: Look, entry: Entry) -> None:
        """Sweep a checkpoint, or some batches of it, from where it was left last."""
        for result in self._sweeper.sweep(entry, look.direction, self._begun.get(look)):
            with self._lock:
                if self._closed:
                    return
                self._begun[look] = result
            if result.complete:
                self._settle(look, result=result)
                return
            self.tell()
            if self._background.turn_is_over():
                return

    def _settle(self, look: Look, *, result: SweepResult | None = None, failure: str = "") -> None:
        with self._lock:
            self._begun.pop(look, None)
            self.revision += 1
            if look in self._asked:
                self._asked.remove(look)
            if self._closed:
                return
            if result is not None:
                self._results[look] = result
            else:
                self._failures[look] = failure


class Sweeper:
    """Takes the state's images through one checkpoint, in the background.

    Parameters
    ----------
    background
        Has the copy of the model.
    images
        All of them are swept; one that cannot be loaded is left out and noted.
    """

    def __init__(self, background: Background, images: ImageSet) -> None:
        self._background, self._images = background, images
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
            What an earlier sweep of the same knew when it was left.

        Raises
        ------
        Stopped
            Nobody asks for it any more.
        """
        items, plan = self._planned()
        if direction is not None:
            plan = _along(plan, direction)
        result = known or self._begun(entry, plan, items)
        for span in result.parts[0].coverage.missing(range(plan.count), plan.batch_size):
            self._background.pause()
            probe = self._background.model.loaded(entry)
            part = swept_part(probe, plan, items, span, result.parts[0])
            result = result.with_part(0, part)
            yield result

    def _begun(self, entry: Entry, plan: Plan, items: Items) -> SweepResult:
        weights = entry.load()
        probe = self._background.model.loaded(replace(entry, load=lambda: weights))
        result = begun(probe, plan, items, (entry.step,)).at(0)
        return result.with_weights(0, weights_fingerprint(weights))

    def _planned(self) -> tuple[Items, Plan]:
        if self._items is None:
            self._items = Items(_OneAtATime(self._images, self._background.model.lock))
        items = self._items
        if self._plan is None:
            layers = swept_layers(self._background.model.probe(), items.example, None)
            self._plan = Plan(
                layers=layers,
                count=len(items),
                batch_size=min(len(items), fitting(layers)),
                k=9,
                groups=numbered(self._images.groups, len(items)),
                skip=True,
            )
        return items, self._plan


class _OneAtATime:
    """The images of a set, each read under the lock: a data set need not stand two threads."""

    def __init__(self, images: ImageSet, lock: AbstractContextManager[Any]) -> None:
        self._images, self._lock = images, lock

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        with self._lock:
            return self._images.input(index)[0]


def _along(plan: Plan, direction: Direction) -> Plan:
    """Return the plan that looks at one layer, along one direction."""
    layer = next((layer for layer in plan.layers if layer.name == direction.layer), None)
    if layer is None:
        raise InputError(f"layer {direction.layer!r} cannot be swept: it mixes images of a batch")
    along = random_direction(layer.shape[0], direction.seed)
    seen: LayerInfo = replace(layer, shape=(1, *layer.shape[1:]))
    return replace(plan, layers=(seen,), directions={layer.name: along[None]})


def by_checkpoint(
    given: Any, layers: Sequence[LayerInfo], images: ImageSet, entries: Sequence[Entry]
) -> dict[Hashable, SweepResult]:
    """Return the key of each checkpoint that a result is about → what it says of that one.

    The weights of a series are compared at its first, middle and last checkpoint: reading all of
    them could take as long as the sweep. A sweep of a model without checkpoints belongs to the
    one that has the same weights.

    Raises
    ------
    InputError
        In one line, when the result is about another model, other weights or other images.
    """
    if not isinstance(given, SweepResult):
        raise InputError(f"sweep= takes a SweepResult, got {type(given).__name__}")
    _check_layers(given, layers)
    _check_images(given, images)
    return _of_series(given, entries) if given.steps else _of_model(given, entries)


def _of_series(given: SweepResult, entries: Sequence[Entry]) -> dict[Hashable, SweepResult]:
    known = {entry.step: entry for entry in entries}
    common = [(index, known[step]) for index, step in enumerate(given.steps) if step in known]
    if not common:
        ours = ", ".join(f"{step:,}" for step in list(known)[:5])
        raise _misfit(f"it is of step {given.steps[0]:,}, this state has {ours}, ...")
    for index, entry in {common[0], common[len(common) // 2], common[-1]}:
        if given.subject.weights[index] != weights_fingerprint(entry.load()):
            raise _misfit(f"the weights at step {entry.step:,} differ")
    return {entry.key: given.at(index) if given.series else given for index, entry in common}


def _of_model(given: SweepResult, entries: Sequence[Entry]) -> dict[Hashable, SweepResult]:
    for entry in reversed(entries):
        if given.subject.weights[0] == weights_fingerprint(entry.load()):
            return {entry.key: given}
    raise _misfit(f"its weights are those of none of the {len(entries)} checkpoints")


def _check_layers(given: SweepResult, layers: Sequence[LayerInfo]) -> None:
    ours = {layer.name: layer for layer in layers}
    for layer in given.layers:
        if ours.get(layer.name) != layer:
            shape = "×".join(map(str, layer.shape))
            raise _misfit(f"this model has no layer {layer.name!r} of {layer.kind} {shape}")


def _check_images(given: SweepResult, images: ImageSet) -> None:
    if given.subject.count != len(images):
        raise _misfit(f"it is over {given.subject.count:,} images, this state has {len(images):,}")
    items = Items(images)
    # A sweep may have been told to count each image by itself.
    fitting = [
        data_fingerprint(items, numbered(groups, len(items))) for groups in (images.groups, None)
    ]
    if given.subject.data not in fitting:
        raise _misfit("the images, or their groups, are others")


def _misfit(why: str) -> InputError:
    return InputError(f"the sweep does not belong to this state: {why}")
