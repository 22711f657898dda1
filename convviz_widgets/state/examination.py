"""The examination: has measured, in the background, what the rules of a diagnosis judge."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import Any, ClassVar

from torch.utils.data import DataLoader

from convviz_widgets.diagnosis import (
    Evidence,
    Finding,
    Report,
    RunCurves,
    examine,
    has_update_ratios,
    run_curves,
)
from convviz_widgets.errors import ConvVizError, InputError
from convviz_widgets.instrument import BIASES, PRE_ACTIVATIONS, ImageSet
from convviz_widgets.record import Run
from convviz_widgets.state.background import Background, goes_on
from convviz_widgets.state.data_evidence import DataEvidence
from convviz_widgets.state.history import Progress
from convviz_widgets.state.job import ACTIVATIONS, CENSUS, GRADIENTS, PARAMETERS, UPDATES
from convviz_widgets.state.model_state import ModelState
from convviz_widgets.state.state_evidence import StateEvidence, firing_of, with_most_images
from convviz_widgets.sweep import SweepResult

PARTS = (PARAMETERS, CENSUS, ACTIVATIONS, GRADIENTS)
"""What the history has to measure; and the updates, where the run has not recorded them."""

MOMENT = 0.1
"""Seconds from one look at the history's progress to the next."""


class Examination(Background):
    """Everything that a diagnosis can ask of what it was given; all of it may be missing.

    What the state's history holds already is not measured again, and what is measured stays
    there. Data are looked at once, by a thread of the examination.

    Parameters
    ----------
    state, run, sweep, images, validation, loader
        As `diagnose` takes them.
    """

    thread_name: ClassVar[str] = "convviz-diagnosis"

    def __init__(
        self,
        state: ModelState | None = None,
        *,
        run: Run | None = None,
        sweep: SweepResult | None = None,
        images: Any = None,
        validation: Any = None,
        loader: Any = None,
    ) -> None:
        super().__init__()
        refuse_other_kinds(state, run, sweep)
        refuse_other_data(images, validation, loader)
        self.state, self.run, self.sweep = state, run, sweep
        self._validation = validation
        seen = None if state is None else state.image_set
        self._data = DataEvidence(seen, images, validation, loader)
        self._of_state = None if state is None else StateEvidence(state)
        self._has_images = images is not None
        self._history = None if state is None else state.history
        self._wanted = self._asked = False
        self.is_running = False
        """Whether something is being measured or judged."""
        self.latest = Report()
        """What the rules said when they were last asked."""
        self.problem = ""
        """One line when nothing more can be measured."""

    # -- measure ------------------------------------------------------------------------------

    def start(self) -> None:
        """Have measured what is missing, and judged, by a thread of the examination."""
        with self._turn:
            self._wanted = self._asked = self.is_running = True
            self.problem = ""
            self._start()

    def stop(self) -> None:
        """Measure nothing more; what is there stays, and is judged."""
        self._wanted = False
        if self._history is not None:
            self._history.leave(self)

    @property
    def progress(self) -> Progress:
        """How far the measuring has come, in parts of checkpoints and looks at the data."""
        data = self._data
        if self._history is None:
            return Progress(data.done, data.total, data.problems)
        known = self._history.progress(*self._parts)
        failures = (*known.failures, *data.problems)
        return Progress(known.done + data.done, known.total + data.total, failures)

    def _work(self) -> None:
        while True:
            self._asked, self.is_running = False, True
            self._go_through()
            self.is_running = False
            self._tell()  # before the end: who waits for it finds all of it drawn
            with self._turn:
                if not (self._asked and self._goes_on()):  # a panel asks for as long as it is drawn
                    self._end()
                    return

    def _go_through(self) -> None:
        try:
            if not self.progress.complete:
                self._judge()  # what is there already
            self._measure()
            self._judge()
        except ConvVizError as error:  # the state is closed, say
            self.problem = str(error)
        except Exception as error:  # must not end the thread before it is noted
            logging.getLogger(__name__).exception("a diagnosis failed")
            self.problem = f"{type(error).__name__}: {' '.join(str(error).split())}"

    def _measure(self) -> None:
        if self._history is not None and not self._history.progress(*self._parts).complete:
            self._history.ask(self, *self._parts)
        while self._goes_on() and self._data.go_on():
            self._tell()
        while self._goes_on() and not self.progress.complete:
            assert self._history is not None
            self._tell()
            if self._history.wait(MOMENT):
                self._history.ask(self, *self._parts)
        if self._history is not None:
            self._history.leave(self)

    @property
    def _parts(self) -> tuple[str, ...]:
        recorded = self.run is not None and has_update_ratios(self.run.metrics)
        return PARTS if recorded else (*PARTS, UPDATES)

    def _goes_on(self) -> bool:
        return self._wanted and goes_on()

    def _judge(self) -> None:
        self.latest = self.report()
        self._tell()

    # -- judge --------------------------------------------------------------------------------

    def report(self) -> Report:
        """Return what the rules say to everything that is known by now."""
        report = examine(self.evidence())
        return replace(report, findings=tuple(self._placed(each) for each in report.findings))

    def evidence(self) -> Evidence:
        """Return everything that is known by now."""
        data = self._data
        found = Evidence(
            curves=RunCurves() if self.run is None else run_curves(self.run.metrics),
            validation_images=_length(self._validation),
            firing=() if self.sweep is None else tuple(firing_of(self.sweep, self._last_step)),
            inputs=data.inputs,
            states_preprocessing=data.states_preprocessing,
            duplicates=data.duplicates,
            leak=data.leak,
            batches=data.batches,
        )
        return found if self._of_state is None else self._with_state(found, self._of_state)

    def _with_state(self, found: Evidence, state: StateEvidence) -> Evidence:
        tensors = state.tensors()
        return replace(
            found,
            classes=state.state.classes,
            firing=with_most_images([*state.firing(), *found.firing]),
            gradients=state.gradients(),
            tensors=tensors,
            weights=tuple(each for each in tensors if state.is_matrix(each)),
            biases=tuple(each for each in tensors if each.what == BIASES),
            pre_activations=tuple(each for each in tensors if each.what == PRE_ACTIVATIONS),
            filters=state.filters(),
            checkpoint_ratios=state.checkpoint_ratios(),
            answers=state.answers(),
        )

    @property
    def _last_step(self) -> int:
        return 0 if self.state is None else self.state.steps[-1]

    def _placed(self, finding: Finding) -> Finding:
        """Return the finding with what leads to its evidence in this state, and its code whole."""
        code = self._introduction(finding.code) + finding.code
        return replace(finding, select=self._selection(finding), code=code)

    def _selection(self, finding: Finding) -> dict[str, Any]:
        state = self.state
        if state is None:
            return {}
        select: dict[str, Any] = {}
        if finding.step is not None:
            before = [i for i, step in enumerate(state.steps) if step <= finding.step]
            select["checkpoint"] = before[-1] if before else 0
        if finding.layer in {info.name for info in state.layers}:
            select["layer"] = finding.layer
            if "channel" in finding.select:
                select["channel"] = finding.select["channel"]
        if finding.select.get("image", len(state.image_set)) < len(state.image_set):
            select["image"] = finding.select["image"]
        return select

    def _introduction(self, code: str) -> str:
        """Return the lines that name what was not given by name."""
        lines = []
        if re.search(r"(?<![.\w])images\b", code) and not self._has_images:
            lines.append("images = state.image_set")
        if re.search(r"\btraining\b", code) and "find_" in code:
            lines.append(f"training = {self._data.training[0]}")
        return "".join(f"{line}\n" for line in lines)


def refuse_other_kinds(state: Any, run: Any, sweep: Any) -> None:
    """Raise `InputError` for anything but a state, a run and a sweep, or None."""
    for name, value, kind in (
        ("state", state, ModelState),
        ("run", run, Run),
        ("sweep", sweep, SweepResult),
    ):
        if value is not None and not isinstance(value, kind):
            raise InputError(f"{name}: expected a {kind.__name__}, got {type(value).__name__}")


def refuse_other_data(images: Any, validation: Any, loader: Any) -> None:
    """Raise `InputError` for what cannot be looked at: unread, it would pass for fine."""
    if loader is not None and not isinstance(loader, DataLoader):
        raise InputError(f"loader: expected a DataLoader, got {type(loader).__name__}")
    for name, value in (("images", images), ("validation", validation)):
        is_data = isinstance(value, ImageSet) or hasattr(value, "__getitem__")
        if value is not None and not is_data:
            raise InputError(
                f"{name}: expected an ImageSet, a tensor (N, C, H, W) or a map-style data set, "
                f"got {type(value).__name__}"
            )


def _length(validation: Any) -> int | None:
    return len(validation) if hasattr(validation, "__len__") else None
