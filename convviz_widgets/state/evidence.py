"""Gathers the evidence of a diagnosis from data, a state, a run and a sweep; has it judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch.utils.data import IterableDataset

from convviz_widgets.diagnosis import (
    Evidence,
    Finding,
    Firing,
    Report,
    RunCurves,
    examine,
    run_curves,
)
from convviz_widgets.errors import InputError, in_one_line
from convviz_widgets.images import (
    Duplicates,
    ImageSet,
    InputStatistics,
    Leak,
    as_image_set,
    input_statistics,
    loader_batches,
    sample_digests,
)
from convviz_widgets.record import Run
from convviz_widgets.state.duplicate_search import DuplicateSearches
from convviz_widgets.state.log_steps import log_steps
from convviz_widgets.state.model_copy import Stopped
from convviz_widgets.state.model_state import ModelState
from convviz_widgets.state.state_evidence import StateEvidence, firing_of
from convviz_widgets.state.timeline import at_or_before
from convviz_widgets.sweeps import SweepResult


class Diagnosis:
    """The evidence that is known by now, and what the rules say of it; nothing is measured here.

    Parameters
    ----------
    data
        What has been found in the data so far.
    state, run, sweep, validation
        As `diagnose` takes them.
    """

    def __init__(
        self,
        data: DataEvidence,
        state: ModelState | None = None,
        run: Run | None = None,
        sweep: SweepResult | None = None,
        validation: Any = None,
    ) -> None:
        self._data, self._state = data, state
        self._run, self._sweep, self._validation = run, sweep, validation
        self._of_state = None if state is None else StateEvidence(state, run)

    def report(self) -> Report:
        """Return what the rules say, with the place of each finding in the state."""
        report = examine(self.evidence())
        return replace(report, findings=tuple(self._placed(each) for each in report.findings))

    def evidence(self) -> Evidence:
        """Return everything that is known by now."""
        data, state, sweep = self._data, self._of_state, self._sweep
        known = hasattr(self._validation, "__len__")
        found = Evidence(
            curves=RunCurves() if self._run is None else run_curves(self._run.metrics),
            validation_images=len(self._validation) if known else None,
            firing=() if sweep is None else self._firing_of(sweep),
            inputs=data.inputs,
            states_preprocessing=data.states_preprocessing,
            duplicates=data.duplicates,
            leak=data.leak,
            batches=data.batches,
            unmeasured=data.unmeasured,
        )
        return found if state is None else state.added_to(found)

    def _firing_of(self, sweep: SweepResult) -> tuple[Firing, ...]:
        if self._of_state is None:
            return firing_of(sweep, {}, 0, is_given=True)
        moments = self._of_state.moments()
        return firing_of(sweep, moments, [*moments][-1], is_given=True)

    def _placed(self, finding: Finding) -> Finding:
        """Return the finding with what leads to its evidence in this state, and its code whole."""
        code = self._data.introduction(finding.given) + finding.code
        select = {} if self._state is None else place_in(self._state, finding, self._run)
        return replace(finding, select=select, code=code)


def _checkpoint_of(state: ModelState, finding: Finding, run: Run | None) -> int | None:
    is_point = run is not None and run.axis != "step" and finding.place is not None
    if finding.step is None or is_point:  # no checkpoint has a place on such an axis
        return None
    if finding.when or run is None:
        return at_or_before(state.steps, finding.step)
    return log_steps(state.steps, run).at_or_before(finding.step)


def place_in(state: ModelState, finding: Finding, run: Run | None = None) -> dict[str, Any]:
    """Return what to select in a state to see a finding, as far as the state has it.

    A step of the run's log leads to the last checkpoint at or before it, if that is known.
    """
    select: dict[str, Any] = {}
    checkpoint = _checkpoint_of(state, finding, run)
    if checkpoint is not None:
        select["checkpoint"] = checkpoint
    if finding.layer in {info.name for info in state.layers}:
        select["layer"] = finding.layer
        if "channel" in finding.select:
            select["channel"] = finding.select["channel"]
    if finding.select.get("image", len(state.image_set)) < len(state.image_set):
        select["image"] = finding.select["image"]
    return select


# -- from the data -------------------------------------------------------------------------------

BATCHES = 200
"""Batches of a loader that are compared at most."""

VALUES = 2**26
"""Values of batches that are held at once, at most; of large images fewer batches are compared."""


class DataEvidence:
    """Looks at what a diagnosis was given beside the model.

    Parameters
    ----------
    state_images
        Those of the state, None without one.
    images, validation, loader
        As `diagnose` takes them.
    searches
        Compare the samples, those that a gallery compares too only once.
    pause
        Called before an image or a batch is read; what it raises ends the look, which begins anew.
    """

    def __init__(
        self,
        state_images: ImageSet | None,
        images: Any,
        validation: Any,
        loader: Any,
        searches: DuplicateSearches,
        pause: Callable[[], object] = lambda: None,
    ) -> None:
        self._state_images, self._images = state_images, images
        self._validation, self._loader, self._searches = validation, loader, searches
        self.inputs: InputStatistics | None = None
        self.states_preprocessing = False
        self.duplicates: Duplicates | None = None
        self.leak: Leak | None = None
        self.batches: tuple[tuple[bytes, ...], ...] = ()
        """Digests of the samples of each batch; none of one that could not be read."""
        self.unmeasured: dict[str, str] = {}
        """Name of an attribute above → one line on why it could not be read, at least in part."""
        self.failed = 0
        """Looks of which nothing, or nothing of the validation images, could be read."""
        self._pause = pause
        looks = (
            (self._look_at_inputs, self._pictures, ("inputs",)),
            (self._compare, self.training[1], ("duplicates", "leak")),
            (self._look_at_batches, loader, ("batches",)),
        )
        self._left = [(look, names) for look, given, names in looks if given is not None]
        self.done, self.total = 0, len(self._left)
        """Looks: at the inputs, at the samples, at the batches, as far as they were given."""
        self._under_way: Iterator[None] | None = None

    def go_on(self) -> bool:
        """Do a little more; return whether anything is left. Not by two threads at once."""
        if not self._left:
            return False
        try:
            self._under_way = self._under_way or self._left[0][0]()
            next(self._under_way)
        except Stopped:
            self._under_way = None
            raise
        except StopIteration:
            self._end_look()
        except Exception as error:  # whatever a data set or a loader may raise
            self._note(in_one_line(error), *self._left[0][1])
            self._end_look()
        return bool(self._left)

    def _note(self, failure: str, *names: str, in_part: bool = False) -> None:
        self.failed += not in_part
        self.unmeasured |= dict.fromkeys(names, failure)

    @property
    def problems(self) -> tuple[str, ...]:
        """One line for each look that failed."""
        return tuple(dict.fromkeys(self.unmeasured.values()))

    def _end_look(self) -> None:
        self._left.pop(0)
        self._under_way = None
        self.done += 1

    @property
    def training(self) -> tuple[str, Any]:
        """The training samples, and the words that stand for them in code."""
        if self._images is not None:
            return "images", self._images
        dataset = getattr(self._loader, "dataset", None)
        if hasattr(dataset, "__getitem__") and not isinstance(dataset, IterableDataset):
            return "loader.dataset", dataset
        return "state.image_set", self._state_images

    def introduction(self, given: Sequence[str]) -> str:
        """Return the lines that say what "images" and "training" are, as far as code is given them.

        Images that the user gave have that name already.
        """
        meanings = {"training": self.training[0]}
        if self._images is None:
            meanings["images"] = "state.image_set"
        return "".join(f"{name} = {meanings[name]}\n" for name in given if name in meanings)

    @property
    def _pictures(self) -> Any:
        return self._images if self._images is not None else self._state_images

    def _look_at_inputs(self) -> Iterator[None]:
        yield
        images = as_image_set(self._pictures)
        self.inputs = input_statistics(images, between=self._pause)
        self.states_preprocessing = images.states_preprocessing

    def _compare(self) -> Iterator[None]:
        name, training = self.training
        validation = self._validation
        sets = [training] if validation is None else [training, validation]
        search = self._searches.among(*sets)
        while search.go_on():
            yield
        if search.found is None:
            raise InputError(search.problem)
        compared = search.found
        duplicates = compared.duplicates()
        if not duplicates.count:
            raise InputError(_unread(duplicates.failures))
        self.duplicates = duplicates
        if validation is not None and training is not validation:
            leak = compared.leak()
            of_state = name == "state.image_set"  # which may well be the validation images
            if not leak.counts[1]:
                self._note(f"validation: {_unread(leak.failures[1])}", "leak")
            elif not of_state or leak.counts[0] > _shared(leak):
                self.leak = leak

    def _look_at_batches(self) -> Iterator[None]:
        loader = self._loader
        yield
        values = max((each.images.numel() for each in loader_batches(loader, 1).batches), default=1)
        count = max(2, min(BATCHES, VALUES // max(1, values)))
        yield
        found = loader_batches(loader, count, between=self._pause)
        known = {each.number: tuple(sample_digests(each.images)) for each in found.batches}
        self.batches = tuple(known.get(i, ()) for i in range(len(known) + len(found.failures)))
        if found.failures:
            first = next(iter(found.failures.values()))
            self._note(first, "batches", in_part=bool(found.batches))


def _unread(failures: dict[int, str]) -> str:
    """Return what is said of samples none of which could be read; there may be none at all."""
    return f"no sample can be read: {next(iter(failures.values()), 'there is none')}"


def _shared(leak: Leak) -> int:
    """Return how many samples of the first set are in the second."""
    return sum(len(first) for first, _ in leak.groups)
