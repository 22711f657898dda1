"""BackgroundView, HistoryView and SweepView: views of what the background has found so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar

from ipywidgets import Widget
from traitlets import Bool

from convviz_widgets.errors import InputError
from convviz_widgets.state import Direction, ModelState, Progress, Selection
from convviz_widgets.sweeps import SweepResult
from convviz_widgets.widgets.controls import PointerLine, move_clock
from convviz_widgets.widgets.progress_line import OFFERS, ProgressLine
from convviz_widgets.widgets.raster import Overlay
from convviz_widgets.widgets.view import View, ViewOptions

REFRESH = 0.5
"""Seconds from one drawing to the next while the background goes on."""


@dataclass(frozen=True)
class ResultSoFar:
    """What there is to draw so far, and how much is to come."""

    progress: Progress | None
    """How far it is; None while nothing is under way."""
    picture: Any
    """What is drawn; None as long as there is nothing."""


class BackgroundView(View):
    """Show what a client of the background has found, how far it is, and a button to stop it.

    A subclass says which client that is, what it has to do, and what there is to draw.
    """

    instant: ClassVar[bool] = True  # it never runs the model itself

    stopped: bool
    """An option of the views for which something is done as long as they are visible."""

    def source(self, state: ModelState) -> Any:
        """Return the client of the background that works for this view."""
        raise NotImplementedError

    def progress_line(self) -> ProgressLine:
        """Return the line that says how far it is, whose button stops it and goes on."""
        return ProgressLine(lambda: self.set_trait("stopped", not self.stopped))

    def figures(self) -> Sequence[Widget]:
        """Return what stands below the line of progress."""
        raise NotImplementedError

    def picture(self, selection: Selection) -> Any:
        """Return what there is to draw of what has been found so far, None for nothing."""
        raise NotImplementedError

    def draw_picture(self, picture: Any) -> None:
        """Send the picture."""
        raise NotImplementedError

    def leave(self) -> None:
        """Have nothing more done for this view: it is hidden, or closed."""

    def has_news(self) -> bool:
        """Tell whether there may be more to draw than when the view was seen last."""
        return True

    def draw_news(self, is_time: bool) -> bool:
        """Draw what is new, and say whether there was anything to draw.

        Parameters
        ----------
        is_time
            Whether `REFRESH` is over: before that, only what ends the waiting is to be drawn.
        """
        raise NotImplementedError

    # -- what the base class does -------------------------------------------------------------

    def __init__(self, state: ModelState, **options: Any) -> None:
        self.refuse_others(state)
        self._client = self.source(state)  # kept, because a closed state has none to give
        super().__init__(state, **options)
        # Not before the view is whole: the thread that works for others would draw into it.
        self._client.observe(self._measured)
        self._measured()

    def build(self) -> Sequence[Widget]:
        """Return the controls, the line of progress and the figures."""
        self.progress = self.progress_line()
        """The line that says how far it is."""
        self._controls = list(self.controls())
        return [*self._controls, self.progress, *self.figures()]

    def close(self) -> None:
        """Have nothing more done, and let go of every widget."""
        if hasattr(self, "_client"):  # else the view was refused
            self._client.unobserve(self._measured)
            self.leave()
        super().close()

    def _measured(self) -> None:
        """Draw what is new, called in the background after everything that has been done."""
        is_time = perf_counter() - self._drawn_at > REFRESH
        if self.awake and self.draw_news(is_time):
            self._drawn_at = perf_counter()

    _drawn_at = 0.0

    def _shown(self, change: Any) -> None:
        if not self.awake:
            self.leave()
        elif self.has_news():
            self._drawn = None  # so that it is drawn again
        super()._shown(change)


# -- over all checkpoints -----------------------------------------------------------------------


class HistoryOptions(ViewOptions, total=False):
    """Options of every view over all checkpoints."""

    stopped: bool


class HistoryView(BackgroundView):
    """Show what the state's `History` has measured, while it goes on measuring the rest.

    What is missing is measured as long as the view is visible, in the background, so that the page
    stays responsive; "Cancel" stops it at the next batch.
    """

    _pointed: PointerLine
    """The line below the plots, one of the `figures`; see `clock_line`."""

    stopped = Bool(False, help="Whether the user has cancelled the measuring.").tag(option=True)

    def source(self, state: ModelState) -> Any:
        """Return what measures: the `History`, or anything that is asked as it is."""
        return state.history

    def parts(self, selection: Selection) -> tuple[Any, ...]:
        """Return what the history has to measure for this view."""
        raise NotImplementedError

    def draw_nothing(self) -> None:
        """Take away what was drawn for another selection: nothing is known for this one."""

    # -- what the base class does -------------------------------------------------------------

    _drawn_progress: Progress | None = None

    @property
    def history(self) -> Any:
        """What measures, see `source`."""
        return self._client

    def clock_line(self) -> PointerLine:
        """Return the line below the plots, whose buttons move the clock."""
        return PointerLine(self, self.width, "checkpoint", self.step_by)

    def listen_to(self, *overlays: Overlay) -> None:
        """Let the keys on these plots move the clock."""
        for overlay in overlays:
            overlay.on_arrow(self.step_by)

    def go_to(self, checkpoint: int) -> None:
        """Move the clock to a checkpoint."""
        self.select(checkpoint=checkpoint)

    def step_by(self, dx: int, _dy: int = 0) -> None:
        """Move the clock by checkpoints, as far as there are some."""
        move_clock(self, dx)

    def compute(self, selection: Selection) -> ResultSoFar:
        """Return the picture of what has been measured; ask for the rest."""
        history, parts = self.history, self.parts(selection)
        if self.stopped:
            history.leave(self)
        else:
            history.ask(self, *parts)
        progress = history.progress(*parts)
        return ResultSoFar(progress, self.picture(selection))

    def draw(self, result: ResultSoFar) -> None:
        """Show the progress and the picture.

        Raises
        ------
        InputError
            When nothing can be measured: the first reason.
        """
        progress = result.progress
        assert progress is not None
        self._drawn_progress = progress
        self.progress.show(
            _in_words(progress, self.stopped, self.history.problem),
            None if progress.complete else progress,
            "Continue" if self.stopped else "Cancel",
        )
        if result.picture is not None:
            self.draw_picture(result.picture)
            return
        self.draw_nothing()
        if progress.complete and progress.failures:
            raise InputError(progress.failures[0])

    def leave(self) -> None:
        """Have nothing more measured for this view."""
        self.history.leave(self)

    def draw_news(self, is_time: bool) -> bool:
        """Draw what has been measured since, at once if that is all."""
        progress = self.history.progress(*self.parts(self.state.selection))
        is_drawn = bool(progress.complete or is_time) and progress != self._drawn_progress
        if is_drawn:
            self.redraw()
        return is_drawn


def _in_words(progress: Progress, stopped: bool, problem: str) -> str:
    count = f"{progress.done} of {progress.total}"
    if progress.complete:
        failed = f" · {len(progress.failures)} cannot be" if progress.failures else ""
        reason = f": {progress.failures[0]}" if progress.failures else ""
        return " · ".join(filter(None, [f"{count} measured{failed}{reason}", problem]))
    return f"cancelled: {count} measured" if stopped else f"measuring: {count} done"


# -- over all images ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Offer:
    """A sweep that a button would run: of these checkpoints, along a direction or not."""

    label: str
    checkpoints: tuple[int, ...]
    direction: Direction | None = None


@dataclass(frozen=True)
class SweepSoFar(ResultSoFar):
    """What there is to draw of the sweeps so far, and what the line above it says."""

    words: str
    offers: tuple[Offer, ...]


class SweepView(BackgroundView):
    """Show what the state's `Sweeps` have found; where something is missing, offer to sweep it.

    A sweep runs in the background, with a bar and a button to cancel it; all views of the
    state share what it finds. A ``sweep`` that was made elsewhere is taken if it is about the
    state's model and images, else refused in one line.

    Parameters
    ----------
    sweep
        A `SweepResult` of the state's images, at one checkpoint or at several.
    """

    def offers(self, selection: Selection) -> Sequence[Offer]:
        """Return the sweeps that would fill the view, at most two; what is swept is left out."""
        raise NotImplementedError

    def words(self, selection: Selection) -> str:
        """Return what the line above the picture says while nothing is being swept."""
        raise NotImplementedError

    # -- what the base class does -------------------------------------------------------------

    def __init__(
        self, state: ModelState, *, sweep: SweepResult | None = None, **options: Any
    ) -> None:
        self.refuse_others(state)
        if sweep is not None:
            state.sweeps.adopt(sweep)
        super().__init__(state, **options)

    _drawn_revision = -1

    def source(self, state: ModelState) -> Any:
        """Return what sweeps."""
        return state.sweeps

    @property
    def sweeps(self) -> Any:
        """What sweeps."""
        return self._client

    def progress_line(self) -> ProgressLine:
        """Return the line whose button cancels the sweep, and whose offers begin one."""
        self._offers: tuple[Offer, ...] = ()
        return ProgressLine(self.sweeps.cancel, self._take)

    def compute(self, selection: Selection) -> SweepSoFar:
        """Return the picture of what has been swept, and what could be."""
        self._drawn_revision = self.sweeps.revision
        return self._so_far(selection, self.picture(selection))

    def draw(self, result: SweepSoFar) -> None:
        """Show the picture and the line above it."""
        self._show_progress(result)
        self.draw_picture(result.picture)

    def _so_far(self, selection: Selection, picture: Any = None) -> SweepSoFar:
        offers = tuple(self.offers(selection))[:OFFERS]
        return SweepSoFar(self.sweeps.running, picture, self.words(selection), offers)

    def _show_progress(self, so_far: SweepSoFar) -> None:
        running, words = so_far.progress, so_far.words
        if running is not None:
            done = f"sweeping: {running.done:,} of {running.total:,} images"
            words = done if running.done else "getting ready to sweep …"
        self._offers = so_far.offers
        self.progress.show(words, running, offers=[offer.label for offer in so_far.offers])

    def _take(self, place: int) -> None:
        if place < len(self._offers):
            offer = self._offers[place]
            self.guarded(lambda: self.sweeps.ask(*offer.checkpoints, direction=offer.direction))
            self._tell_line()

    def _tell_line(self) -> None:
        with self.state.hold() as selection:
            self._show_progress(self._so_far(selection))

    def has_news(self) -> bool:
        """Tell whether a sweep has ended since the view was drawn."""
        return bool(self.sweeps.revision != self._drawn_revision)

    def draw_news(self, is_time: bool) -> bool:
        """Draw what a sweep has found at its end, and meanwhile how far it is."""
        has_news = self.has_news()
        if has_news:
            self.redraw()
        elif is_time:
            self._tell_line()
        return has_news or is_time
