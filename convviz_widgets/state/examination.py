"""Examination and `diagnose`: measure, in the background, what the rules need; report findings."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

from torch.utils.data import DataLoader

from convviz_widgets.diagnosis import Finding, Report, has_update_ratios
from convviz_widgets.errors import ConvVizError, InputError, in_one_line
from convviz_widgets.images import ImageSet
from convviz_widgets.probe.default_loss import NO_LOSS
from convviz_widgets.record import Run
from convviz_widgets.state.background import Background, Client
from convviz_widgets.state.duplicate_search import DuplicateSearches
from convviz_widgets.state.evidence import DataEvidence, Diagnosis
from convviz_widgets.state.measurements import (
    ACTIVATIONS,
    GRADIENTS,
    IMAGE_SET,
    PARAMETERS,
    UPDATES,
)
from convviz_widgets.state.model_state import ModelState
from convviz_widgets.state.recordings import CLOSED
from convviz_widgets.state.task import Progress, Task
from convviz_widgets.sweeps import SweepResult

PARTS = (PARAMETERS, IMAGE_SET, ACTIVATIONS, GRADIENTS)
"""Parts that the history measures; and the updates, where the run has not recorded them."""

MOMENT = 0.1
"""Seconds from one look at the progress to the next, while a cell waits."""


class Examination(Client):
    """Everything that a diagnosis can ask of what it was given; all of it may be missing.

    What the state's history holds already is not measured again, and what is measured stays
    there. Data are looked at once.

    Parameters
    ----------
    state, run, sweep, images, validation, loader
        As `diagnose` takes them.
    """

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
        refuse_other_kinds(state, run, sweep)
        refuse_other_data(images, validation, loader)
        super().__init__(Background() if state is None else state.background)
        own_images = None if state is None else state.image_set
        own_searches = DuplicateSearches(self._background)
        searches = own_searches if state is None else state.duplicate_searches
        pause = self._background.pause
        self._data = DataEvidence(own_images, images, validation, loader, searches, pause)
        self._run, self._history = run, None if state is None else state.history
        self.diagnosis = Diagnosis(self._data, state, run, sweep, validation)
        """What is known by now, and what the rules find in it."""
        self._left: list[Callable[[], None]] = []
        self._is_wanted = False
        self.is_running = False
        """Whether something is being measured or judged."""
        self.latest = Report()
        """What the rules said when they were last asked."""
        self.problem = ""
        """One line when nothing more can be measured."""

    # -- measure ------------------------------------------------------------------------------

    def start(self) -> None:
        """Measure what is missing, and judge it, in the background."""
        with self._lock:
            if self._closed:
                self.problem = CLOSED
                return
            self._is_wanted = self.is_running = True
            self.problem = ""
            # What is there already is judged first, if more is to come.
            first = [] if self.progress.complete else [self._judge, self._look]
            self._left = [*first, self._end]
        if self._history is not None:
            self._history.unobserve(self._measured)
            self._history.observe(self._measured)
            self._history.ask(self, *self._parts)
        self._background.wake(self)

    def stop(self) -> None:
        """Measure nothing more; what is there stays, and is judged."""
        with self._lock:
            self._is_wanted = False
            self._left = self._left[-1:]
        if self._history is not None:
            self._history.leave(self)
        self._background.wake(self)

    def close(self) -> None:
        """Measure nothing more, and call no observer; the lock is held."""
        super().close()
        self.is_running, self.problem = False, CLOSED

    @property
    def progress(self) -> Progress:
        """How far the measuring has come, in parts of checkpoints and looks at the data."""
        data = self._data
        if self._history is None:
            return Progress(data.done, data.total, data.problems, data.failed)
        known = self._history.progress(*self._parts)
        failures = (*known.failures, *data.problems)
        done, total = known.done + data.done, known.total + data.total
        return Progress(done, total, failures, known.failed + data.failed)

    def is_busy(self) -> bool:
        """Tell whether anything is left to be done, or awaited; the lock is held."""
        return self.is_running

    def next_task(self) -> Task | None:
        """Return what is to be done next; the end waits for the history; the lock is held."""
        if not (self.is_running and self._left):
            return None
        if self._is_wanted and self._left == [self._end] and not self.progress.complete:
            return None
        step, left = self._left[0], self._left
        return Task(step, self._fail, lambda: self._left is left)

    @property
    def _parts(self) -> tuple[str, ...]:
        recorded = self._run is not None and has_update_ratios(self._run.metrics)
        return PARTS if recorded else (*PARTS, UPDATES)

    def _measured(self) -> None:
        """Say how far the history is, and go on when it has come to its end."""
        self.notify()
        self._background.wake(self)

    def _look(self) -> None:
        """Look at the data, or at some of them."""
        while self._data.go_on():
            if self._background.turn_is_over():
                return
            self._background.pause()
        self._is_through(self._look)

    def _judge(self) -> None:
        self.latest = self.diagnosis.report()
        self._is_through(self._judge)

    def _end(self) -> None:
        left = self._left
        self.latest = self.diagnosis.report()
        if self._left is left:  # else it has been started anew
            self._rest()

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, ConvVizError):
            logging.getLogger(__name__).error("a diagnosis failed", exc_info=error)
        self.problem = in_one_line(error)
        self._rest()

    def _is_through(self, step: Callable[[], None]) -> None:
        with self._lock:
            if self._left[:1] == [step]:  # else it has been stopped
                self._left.pop(0)

    def _rest(self) -> None:
        """Have nothing more done until the next start."""
        with self._lock:
            self.is_running, self._left = False, []
        if self._history is not None:
            self._history.unobserve(self._measured)
            self._history.leave(self)


def diagnose(
    state: ModelState | None = None,
    *,
    run: Run | None = None,
    sweep: SweepResult | None = None,
    images: Any = None,
    validation: Any = None,
    loader: Any = None,
) -> list[Finding]:
    """Return what is abnormal, the gravest first; an empty list where nothing is.

    Every argument may be missing: the rules work from what there is. What has to be measured is
    measured once for each state, with a progress bar where it takes longer than two seconds.

    Parameters
    ----------
    state
        Checkpoints, images and loss.
    run
        What was recorded in training; a TensorBoard log directory will do.
    sweep
        Its counts of firing channels are used where they are of more images.
    images
        The training images, an `ImageSet`, a tensor or a map-style data set; default the data set
        of ``loader``, else the state's images.
    validation
        The validation images, of the same kinds.
    loader
        The DataLoader of the training; it draws no random number of the process.

    Raises
    ------
    InputError
        For an argument of another kind, without any, or where nothing could be looked at.

    Warns
    -----
    UserWarning
        Where a part could not be measured: one line with the number of parts and the reason.

    Examples
    --------
    >>> for finding in cvw.diagnose(images=torch.ones(4, 1, 8, 8)):
    ...     print(finding.severity, finding.rule)
    warning duplicate-sample
    """
    if all(each is None for each in (state, run, sweep, images, validation, loader)):
        raise InputError("nothing to diagnose: give a state, run=, sweep=, images= or loader=")
    from tqdm.auto import tqdm  # which looks for a notebook when it is imported

    given = {"images": images, "validation": validation, "loader": loader}
    examination = Examination(state, run=run, sweep=sweep, **given)
    examination.start()
    try:
        with tqdm(desc="diagnosis", unit="part", delay=2, leave=False) as bar:
            while not examination.wait(MOMENT):
                progress = examination.progress
                bar.total = progress.total
                bar.update(progress.done - bar.n)
    finally:
        examination.stop()
    if examination.problem:
        raise InputError(examination.problem)
    progress, is_all_given = examination.progress, run is None and sweep is None
    if is_all_given and not progress.total:
        raise InputError("nothing to hold validation= against: give a state, images= or loader=")
    if is_all_given and progress.failed == progress.total:
        raise InputError(said_of_failures(progress))
    if progress.failed:
        warnings.warn(said_of_failures(progress), stacklevel=2)
    return list(examination.latest.findings)


def said_of_failures(progress: Progress) -> str:
    """Return one line: how many parts could not be measured, and the first reason."""
    reasons = [line for line in progress.failures if line != NO_LOSS]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    count = f"{progress.failed} of {progress.total} parts"
    return f"{count} could not be measured: {reasons[0]}{more}"


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
