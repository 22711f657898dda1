"""The sweeps of a state: all its images through its checkpoints, in the background."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from convviz_widgets.checkpoints import label_at
from convviz_widgets.errors import CheckpointError, InputError, in_one_line
from convviz_widgets.images import ImageSet
from convviz_widgets.images.reading import ModelInputs
from convviz_widgets.probe import LayerInfo
from convviz_widgets.probe.attribution import random_direction
from convviz_widgets.state.background import Background, Client
from convviz_widgets.state.model_copy import batch_size
from convviz_widgets.state.task import Progress, Task
from convviz_widgets.state.timeline import Entry, Timeline
from convviz_widgets.sweeps import SweepResult
from convviz_widgets.sweeps.part import swept_part
from convviz_widgets.sweeps.plan import TOP, Plan, group_numbers, swept_layers
from convviz_widgets.sweeps.result import empty_result
from convviz_widgets.sweeps.subject import data_fingerprint, weights_fingerprint


@dataclass(frozen=True)
class Direction:
    """A random unit direction of a layer, in place of its channels."""

    layer: str
    seed: int


@dataclass(frozen=True)
class SweepJob:
    """One checkpoint to be swept: all channels, or along one direction of a layer."""

    key: Hashable
    direction: Direction | None


class Sweeps(Client):
    """What every channel does over all images of the state, for each checkpoint that was swept.

    One result a checkpoint, shared by all views of the state. Nothing is swept before it is
    asked for; the observers are notified after every batch. A sweep that was cancelled goes on from
    there when it is asked for again.

    Parameters
    ----------
    background
        Runs the model.
    timeline
        The checkpoints, captures among them.
    layers, images
        The state's, to tell whether a result made elsewhere belongs to it.
    """

    def __init__(
        self,
        background: Background,
        timeline: Timeline,
        layers: tuple[LayerInfo, ...],
        images: ImageSet,
    ) -> None:
        super().__init__(background)
        self._timeline, self._sweeper = timeline, CheckpointSweeper(background, images)
        self._layers, self._images = layers, images
        self._asked: list[SweepJob] = []
        self._round: list[SweepJob] = []
        """What has been asked for since the last time there was nothing to do."""
        self.revision = 0
        """Counts the results, failures and refusals: what `at` and `progress` say may be new."""
        self._results: dict[SweepJob, SweepResult] = {}
        self._begun: dict[SweepJob, SweepResult] = {}
        self._failures: dict[SweepJob, str] = {}

    # -- ask ----------------------------------------------------------------------------------

    def ask(self, *indices: int, direction: Direction | None = None) -> None:
        """Have these checkpoints swept, in this order, after what has been asked for before.

        Parameters
        ----------
        indices
            Indices into the state's ``steps``.
        direction
            Sweep along this random direction instead of all channels.
        """
        wanted = self._jobs(indices, direction)
        with self._lock:
            self._refuse_if_closed()
            if not self._asked:
                self._round.clear()
            for job in wanted:
                self._failures.pop(job, None)  # it is tried again
                if job not in self._results and job not in self._asked:
                    self._asked.append(job)
                    self._round.append(job)
        self._background.wake(self)

    def cancel(self) -> None:
        """Sweep nothing more; what is under way stops after its batch and is kept."""
        with self._lock:
            was_asked = bool(self._asked)
            self._asked.clear()
            self.revision += was_asked
        if was_asked:
            self.notify()

    def adopt(self, given: Any) -> None:
        """Take a `SweepResult` that was made elsewhere for the checkpoints that it is about.

        Raises
        ------
        InputError
            In one line, when it is about another model, other weights or other images.
        """
        found = by_checkpoint(given, self._layers, self._images, self._timeline.entries)
        with self._lock:
            self._results.update((SweepJob(key, None), result) for key, result in found.items())
            self.revision += 1
        self.notify()

    def unobserve(self, observer: Callable[[], None]) -> None:
        """Call it no more; without any observer nothing more is swept."""
        super().unobserve(observer)
        if not self._observers:
            self.cancel()

    def close(self) -> None:
        """Stop sweeping and forget everything; the lock is held."""
        super().close()
        for kept in (self._asked, self._round, self._results, self._begun, self._failures):
            kept.clear()

    # -- look --------------------------------------------------------------------------------

    def at(self, index: int, direction: Direction | None = None) -> SweepResult | None:
        """Return the result of one checkpoint; None where it has not been swept to the end.

        Along a direction its layer has one channel, 0.
        """
        (job,) = self._jobs((index,), direction)
        return self._results.get(job)

    def all(self, direction: Direction | None = None) -> list[SweepResult | None]:
        """Return the result of every checkpoint, None where it has not been swept to the end."""
        jobs = self._jobs(range(len(self._timeline)), direction)
        return [self._results.get(job) for job in jobs]

    def progress(self, *indices: int, direction: Direction | None = None) -> Progress:
        """Return how many images of these checkpoints have been swept, and what has failed."""
        with self._lock:
            return self._progress(self._jobs(indices, direction))

    @property
    def running(self) -> Progress | None:
        """How far the sweep under way is, with all that waits for it; None: there is none."""
        with self._lock:
            return self._progress(self._round) if self._asked else None

    def _progress(self, jobs: Sequence[SweepJob]) -> Progress:
        count, done = len(self._images), 0
        for job in jobs:
            begun = self._begun.get(job)
            settled = job in self._results or job in self._failures
            covered = 0 if begun is None else len(begun.parts[0].coverage)
            done += count if settled else covered
        failures = tuple(self._failures[job] for job in jobs if job in self._failures)
        return Progress(done, count * len(jobs), failures)

    def _jobs(self, indices: Sequence[int], direction: Direction | None) -> list[SweepJob]:
        keys = self._timeline.keys
        return [SweepJob(keys[index], direction) for index in indices]

    # -- work ---------------------------------------------------------------------------------

    def next_task(self) -> Task | None:
        """Return what was asked for first and is still there; the lock is held."""
        entries = self._timeline.by_key
        self._asked = [
            job for job in self._asked if job.key in entries and job not in self._results
        ]
        if not self._asked:
            return None
        job, entry = self._asked[0], entries[self._asked[0].key]
        return Task(
            do=lambda: self._sweep(job, entry),
            fail=lambda error: self._settle(job, failure=entry.failure(error)),
            is_wanted=lambda: job in self._asked,
        )

    def _sweep(self, job: SweepJob, entry: Entry) -> None:
        """Sweep a checkpoint, or some batches of it, from where it was left last."""
        for result in self._sweeper.sweep(entry, job.direction, self._begun.get(job)):
            with self._lock:
                if self._closed:
                    return
                self._begun[job] = result
                self.revision += job not in self._asked  # it was cancelled during this batch
            if result.complete:
                self._settle(job, result=result)
                return
            self.notify()
            if self._background.turn_is_over():
                return

    def _settle(
        self, job: SweepJob, *, result: SweepResult | None = None, failure: str = ""
    ) -> None:
        with self._lock:
            self._begun.pop(job, None)
            self.revision += 1
            if job in self._asked:
                self._asked.remove(job)
            if self._closed:
                return
            if result is not None:
                self._results[job] = result
            else:
                self._failures[job] = failure


class CheckpointSweeper:
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
        self._items: ModelInputs | None = None
        self._plan: Plan | None = None

    def sweep(
        self, entry: Entry, direction: Direction | None, known: SweepResult | None
    ) -> Iterator[SweepResult]:
        """Yield the result of one checkpoint after every batch.

        Parameters
        ----------
        direction
            Sweep its layer alone, projected onto it; the result has one channel there.
        known
            What an earlier sweep of the same knew when it was left.

        Raises
        ------
        Stopped
            It is not asked for any more.
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

    def _begun(self, entry: Entry, plan: Plan, items: ModelInputs) -> SweepResult:
        weights = entry.load()
        probe = self._background.model.loaded(replace(entry, load=lambda: weights))
        result = empty_result(probe, plan, items, (entry.step,)).at(0)
        return result.with_weights(0, weights_fingerprint(weights))

    def _planned(self) -> tuple[ModelInputs, Plan]:
        if self._items is None:
            self._items = ModelInputs(_OneAtATime(self._images, self._background.model.lock))
        items = self._items
        if self._plan is None:
            layers = swept_layers(self._background.model.probe(), items.example, None)
            self._plan = Plan(
                layers=layers,
                count=len(items),
                batch_size=min(len(items), batch_size(layers)),
                k=TOP,
                groups=group_numbers(self._images.groups, len(items)),
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
    """Return the plan that sweeps one layer, along one direction."""
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
        ours = ", ".join(entry.label for entry in entries[:5])
        raise _misfit(f"it is of {label_at(given.steps, 0)}, this state has {ours}, ...")
    for index, entry in {common[0], common[len(common) // 2], common[-1]}:
        if given.subject.weights[index] != weights_fingerprint(entry.load()):
            raise _misfit(f"the weights at {entry.label} differ")
    return {entry.key: given.at(index) if given.series else given for index, entry in common}


def _of_model(given: SweepResult, entries: Sequence[Entry]) -> dict[Hashable, SweepResult]:
    unread = []
    for entry in reversed(entries):
        try:
            weights = weights_fingerprint(entry.load())
        except CheckpointError as error:  # which says nothing of the others
            unread.append(in_one_line(error))
            continue
        if given.subject.weights[0] == weights:
            return {entry.key: given}
    why = f"its weights are those of none of the {len(entries) - len(unread)} checkpoints"
    raise _misfit(f"{why} that can be read ({unread[0]})" if unread else why)


def _check_layers(given: SweepResult, layers: Sequence[LayerInfo]) -> None:
    ours = {layer.name: layer for layer in layers}
    for layer in given.layers:
        if ours.get(layer.name) != layer:
            shape = "×".join(map(str, layer.shape))
            raise _misfit(f"this model has no layer {layer.name!r} of {layer.kind} {shape}")


def _check_images(given: SweepResult, images: ImageSet) -> None:
    if given.subject.count != len(images):
        raise _misfit(f"it is over {given.subject.count:,} images, this state has {len(images):,}")
    items = ModelInputs(images)
    # A sweep may have been told to count each image by itself.
    fitting = [
        data_fingerprint(items, group_numbers(groups, len(items)))
        for groups in (images.groups, None)
    ]
    if given.subject.data not in fitting:
        raise _misfit("the images, or their groups, are others")


def _misfit(why: str) -> InputError:
    return InputError(f"the sweep does not belong to this state: {why}")
