"""Sweeps: the state's images through its checkpoints, when somebody asks, in the background."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from convviz_widgets.errors import InputError, in_one_line
from convviz_widgets.instrument import ImageSet, LayerInfo
from convviz_widgets.state.background import goes_on
from convviz_widgets.state.given_sweep import by_checkpoint
from convviz_widgets.state.history import Progress
from convviz_widgets.state.recordings import CLOSED
from convviz_widgets.state.sweeper import Direction, Sweeper
from convviz_widgets.state.timeline import Entry, Timeline
from convviz_widgets.state.worker import Worker
from convviz_widgets.sweep import SweepResult


@dataclass(frozen=True)
class Look:
    """One checkpoint to be swept: all channels, or along one direction of a layer."""

    key: Hashable
    direction: Direction | None


class Sweeps(Worker[tuple[Look, Entry]]):
    """What every channel does over all images of the state, for each checkpoint that was swept.

    One result a checkpoint, shared by all views of the state. Nothing is swept before somebody
    asks; a thread of its own does it, so that the page goes on meanwhile, and tells the observers
    after every batch. What was cancelled goes on from there when it is asked for again.

    Parameters
    ----------
    timeline
        The checkpoints, captures among them.
    sweeper
        Sweeps one of them.
    layers, images
        Of the state, to tell whether a result made elsewhere belongs to it.
    """

    thread_name: ClassVar[str] = "convviz-sweep"

    def __init__(
        self,
        timeline: Timeline,
        sweeper: Sweeper,
        layers: tuple[LayerInfo, ...],
        images: ImageSet,
    ) -> None:
        super().__init__()
        self._timeline, self._sweeper = timeline, sweeper
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
        with self._turn:
            if self._closed:
                raise InputError(CLOSED)
            for look in wanted:
                self._failures.pop(look, None)  # it is tried again
                if look not in self._results and look not in self._asked:
                    self._asked.append(look)
                    self._round.append(look)
            if self._asked:
                self._start()

    def cancel(self) -> None:
        """Sweep nothing more; what is under way stops after its batch and is kept."""
        with self._turn:
            self._asked.clear()

    def adopt(self, given: Any) -> None:
        """Take a `SweepResult` that was made elsewhere for the checkpoints that it is about.

        Raises
        ------
        InputError
            In one line, when it is about another model, other weights or other images.
        """
        found = by_checkpoint(given, self._layers, self._images, self._timeline.entries)
        with self._turn:
            self._results.update((Look(key, None), result) for key, result in found.items())
            self.revision += 1
        self._tell()

    def unobserve(self, observer: Callable[[], None]) -> None:
        """Call it no more; nobody being left to be told, nothing more is swept."""
        super().unobserve(observer)
        if not self._observers:
            self.cancel()

    def close(self) -> None:
        """Stop sweeping and forget everything."""
        with self._turn:
            super().close()
            for kept in (self._asked, self._round, self._results, self._begun, self._failures):
                kept.clear()
        self._sweeper.close()

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
        with self._turn:
            return self._progress(self._looks(indices, direction))

    @property
    def running(self) -> Progress | None:
        """How far the sweep under way is, with all that waits for it; None: there is none."""
        with self._turn:
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

    def _next(self) -> tuple[Look, Entry] | None:
        """Return what was asked for first and is still there; the lock is held."""
        entries = {entry.key: entry for entry in self._timeline.entries}
        while self._asked:
            look = self._asked[0]
            if look.key in entries and look not in self._results:
                return look, entries[look.key]
            self._asked.pop(0)
        return None

    def _is_wanted(self, look: Look) -> bool:
        with self._turn:
            return look in self._asked and goes_on()

    def _work(self) -> None:
        super()._work()
        self._tell()

    def _end(self) -> None:
        self._round.clear()
        self.revision += 1
        super()._end()

    def _do(self, task: tuple[Look, Entry]) -> None:
        self._sweep(*task)

    def _fail(self, task: tuple[Look, Entry], error: Exception) -> None:
        look, entry = task
        self._settle(look, failure=f"step {entry.step:,}: {in_one_line(error)}")

    def _sweep(self, look: Look, entry: Entry) -> None:
        for result in self._sweeper.sweep(entry, look.direction, self._begun.get(look)):
            with self._turn:
                if self._closed:
                    return
                self._begun[look] = result
            if result.complete:
                self._settle(look, result=result)
                return
            self._tell()
            if not self._is_wanted(look):
                return

    def _settle(self, look: Look, *, result: SweepResult | None = None, failure: str = "") -> None:
        with self._turn:
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
