"""The base of the views over all checkpoints: they ask the history, and show how far it is."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar

from ipywidgets import Box, Button, HBox, IntProgress, Layout, Play, Widget
from traitlets import Bool

from convviz_widgets.errors import InputError
from convviz_widgets.images.duplicates import DuplicateSearch
from convviz_widgets.state import Direction, ModelState, Progress, Selection
from convviz_widgets.sweeps import SweepResult
from convviz_widgets.widgets.controls import PointerLine, last_control
from convviz_widgets.widgets.raster import Overlay
from convviz_widgets.widgets.text import ACCENT, Text
from convviz_widgets.widgets.view import View, ViewOptions, close_tree

REFRESH = 0.5
"""Seconds from one picture to the next while the history measures."""

INTERVAL = 150
"""Milliseconds from tick to tick of the page."""

SLICE = 0.1
"""Seconds that the search goes on at each tick: a click has to wait for no longer."""

SHORT = 20.0
"""Seconds up to which a search goes on unasked."""

OFFERS = 2
"""Buttons that there is room for."""


@dataclass(frozen=True)
class Seen:
    """What there is to draw so far, and how much is to come."""

    progress: Progress
    picture: Any
    """None as long as nothing has been measured."""


class HistoryOptions(ViewOptions, total=False):
    """Options of every view over all checkpoints."""

    stopped: bool


class ProgressLine(HBox):
    """How far the measuring is: a bar, words, and a button, of which the last two come and go.

    Attributes
    ----------
    bar : done of total.
    button : "Cancel", or "Continue" after that.
    """

    def __init__(self, pressed: Callable[[], Any]) -> None:
        self.bar = IntProgress(
            layout=Layout(width="150px", height="14px", flex="0 0 auto", margin="0 8px 0 2px"),
            style={"bar_color": ACCENT},
        )
        self._words = Text(kind="quiet", flex="1 1 auto")
        self.button = Button(description="Cancel", layout=Layout(width="84px", height="24px"))
        self.button.on_click(lambda _button: pressed())
        still = Layout(height="28px", flex="0 0 auto", overflow="hidden", align_items="center")
        super().__init__([self.bar, self._words, self.button], layout=still)
        self._show_going(False)

    @property
    def words(self) -> str:
        """What the line says."""
        return html.unescape(self._words.value)

    @property
    def going(self) -> bool:
        """Whether something is still to be measured, so that bar and button are seen."""
        return bool(self.button.layout.display != "none")

    def show(self, progress: Progress, stopped: bool, problem: str) -> None:
        """Show how far it is; ``stopped`` by the user, ``problem`` that goes beyond it."""
        self._show_going(not progress.complete)
        self.bar.max, self.bar.value = max(1, progress.total), progress.done
        self.button.description = "Continue" if stopped else "Cancel"
        self._words.show(_in_words(progress, stopped, problem))

    def _show_going(self, going: bool) -> None:
        for part in (self.bar, self.button):
            part.layout.display = "" if going else "none"


class HistoryView(View):
    """Show what the state's `History` has measured, while it goes on measuring the rest.

    What is missing is measured as long as the view is visible, in the background, so that the page
    stays responsive; "Cancel" stops it at the next batch.
    """

    instant: ClassVar[bool] = True  # it never runs the model itself

    _pointed: PointerLine

    stopped = Bool(False, help="Whether the user has cancelled the measuring.").tag(option=True)

    def source(self, state: ModelState) -> Any:
        """Return what measures: the `History`, or anything that is asked as it is."""
        return state.history

    def parts(self) -> tuple[Any, ...]:
        """Return what the history has to measure for this view."""
        raise NotImplementedError

    def controls(self) -> Sequence[Widget]:
        """Return the rows of controls for the view's options."""
        return ()

    def figures(self) -> Sequence[Widget]:
        """Return what stands below the line of progress, `clock_line` as ``_pointed`` among it."""
        raise NotImplementedError

    def picture(self, selection: Selection) -> Any:
        """Return what there is to draw of the measurements so far, None for nothing."""
        raise NotImplementedError

    def draw_picture(self, picture: Any) -> None:
        """Send it."""
        raise NotImplementedError

    # -- what the base class does -------------------------------------------------------------

    def __init__(self, state: ModelState, **options: Any) -> None:
        self.refuse_others(state)
        self.history = self.source(state)  # kept, because a closed state has none to give
        self._drawn_progress: Progress | None = None
        self._plots_of: dict[Box, Widget] = {}
        super().__init__(state, **options)
        # Not before the view is whole: the thread that measures for others would draw into it.
        self.history.observe(self._measured)
        self._measured()

    def build(self) -> Sequence[Widget]:
        """Return the controls, the line of progress and the figures."""
        self._told = 0.0
        self.progress = ProgressLine(lambda: self.set_trait("stopped", not self.stopped))
        """The line that says how far the measuring is."""
        self._controls = list(self.controls())
        return [*self._controls, self.progress, *self.figures()]

    def clock_line(self) -> PointerLine:
        """Return the line below the plots, whose buttons move the clock."""
        return PointerLine(self, self.width, "checkpoint", self.step_by)

    def listen_to(self, *overlays: Overlay) -> None:
        """Let the keys on these plots move the clock, and Tab lead from each to the next."""
        controls = [last_control(self._controls), *overlays, self._pointed.first_button()]
        for overlay, before, after in zip(overlays, controls, controls[2:], strict=False):
            overlay.before, overlay.after, overlay.hold = before, after, self.state.hold
            overlay.on_arrow(self.step_by)

    def reveal(self, frame: Box, plot: Widget) -> None:
        """Put a plot into its frame once it has been drawn.

        A figure of bqplot that is updated while the page is still making it fails there; so does
        one that is made in a hidden tab, where it has no size, when the page is reloaded.
        """
        if not frame.children:
            self._plots_of[frame] = plot
            frame.add_class("cvw-frame")  # the focus shows
            frame.children = [plot]

    def go_to(self, checkpoint: int) -> None:
        """Move the clock to a checkpoint."""
        self.guarded(lambda: self.state.select(checkpoint=checkpoint))

    def step_by(self, dx: int, _dy: int = 0) -> None:
        """Move the clock by checkpoints, as far as there are some."""
        moved = self.state.selection.checkpoint + dx
        if dx and 0 <= moved < len(self.state.steps):
            self.go_to(moved)

    def compute(self, selection: Selection) -> Seen:
        """Return the picture of what has been measured; ask for the rest."""
        history, parts = self.history, self.parts()
        if self.stopped:
            history.leave(self)
        else:
            history.ask(self, *parts)
        progress = history.progress(*parts)
        return Seen(progress, self.picture(selection))

    def draw(self, result: Seen) -> None:
        """Show the progress and the picture.

        Raises
        ------
        InputError
            When nothing can be measured: the first reason.
        """
        progress = result.progress
        self._show_progress(progress)
        if result.picture is not None:
            self.draw_picture(result.picture)
        elif progress.complete and progress.failures:
            raise InputError(progress.failures[0])

    def close(self) -> None:
        """Ask for nothing more, and let go of every widget."""
        if hasattr(self, "history"):  # else the view was refused
            self.history.unobserve(self._measured)
            self.history.leave(self)
        super().close()  # waits for the thread that may be drawing, and making a plot
        for plot in getattr(self, "_plots_of", {}).values():  # of a hidden one they are not below
            close_tree(plot)

    def _show_progress(self, progress: Progress) -> None:
        self._drawn_progress = progress
        self.progress.show(progress, self.stopped, self.history.problem)

    def _measured(self) -> None:
        """Draw what is new, called in the background after everything that is measured."""
        if not self.awake:
            return
        progress = self.history.progress(*self.parts())
        is_time = progress.complete or perf_counter() - self._told > REFRESH
        if is_time and progress != self._drawn_progress:
            self.redraw()
            self._told = perf_counter()

    def _shown(self, change: Any) -> None:
        if not self.awake:
            self.history.leave(self)
            for frame in self._plots_of:
                frame.children = ()
        else:
            self._drawn = None  # it may have gone on, or been left half done
        super()._shown(change)


def _in_words(progress: Progress, stopped: bool, problem: str) -> str:
    count = f"{progress.done} of {progress.total}"
    if progress.complete:
        failed = f" · {len(progress.failures)} cannot be" if progress.failures else ""
        reason = f": {progress.failures[0]}" if progress.failures else ""
        return " · ".join(filter(None, [f"{count} measured{failed}{reason}", problem]))
    return f"cancelled: {count} measured" if stopped else f"measuring: {count} done"


class SearchLine(HBox):
    """Let a search go on while the page ticks, so that it stops when nobody looks.

    Parameters
    ----------
    search
        What is to be done.
    told
        Called after every slice; `draw` is for it to call.
    width
        In pixels.

    Attributes
    ----------
    search : what is to be done.
    ticks : the clock of the page, which calls `tick` as long as it plays.
    """

    def __init__(self, search: DuplicateSearch, told: Callable[[], Any], width: int) -> None:
        self.search, self._told = search, told
        self._began = False
        self.wanted = False
        """Whether the search is to go on as long as somebody looks."""
        self._bar = IntProgress(
            max=max(1, search.total),
            layout=Layout(width="110px", height="14px", flex="0 0 auto"),
            style={"bar_color": ACCENT},
        )
        self._text = Text(kind="quiet", flex="1 1 0", min_width="0")
        self._button = Button(layout=Layout(width="84px", height="24px", flex="0 0 auto"))
        self._button.on_click(lambda _button: self._pressed())
        self.ticks = Play(
            interval=INTERVAL, max=10**9, playing=False, layout=Layout(display="none")
        )
        self.ticks.observe(lambda _change: self.tick(), names="value")
        self.ticks._view_count = 0  # now the page says whenever it shows the clock
        self.ticks.observe(self._seen, names="_view_count")
        still = Layout(width=f"{width}px", height="28px", flex="0 0 auto", overflow="hidden")
        still.align_items = "center"
        super().__init__([self._bar, self._text, self._button, self.ticks], layout=still)

    def begin(self) -> None:
        """Do the first slice; the rest follows unasked if it will be short."""
        if self._began:
            return
        self._began = True
        self.search.work(SLICE)
        self.wanted = self.search.done > 0 and self.seconds_left < SHORT

    @property
    def seconds_left(self) -> float:
        """About how long the rest takes, as the first slice went."""
        rate = max(1, self.search.done) / SLICE
        return (self.search.total - self.search.done) / rate

    def draw(self, summary: str, awake: bool) -> None:
        """Show how far the search is, or what it has found; tick if it is to go on."""
        search = self.search
        going = not search.finished
        for part in (self._bar, self._button):
            part.layout.display = "" if going else "none"
        self._bar.value = min(search.done, self._bar.max)
        self._button.description = "Stop" if self.wanted else "Search"
        self._text.show(search.problem or (self._in_words() if going else summary))
        self.ticks.playing = going and self.wanted and awake

    def _in_words(self) -> str:
        count = f"{self.search.done:,} of {self.search.total:,} compared"
        if self.wanted:
            return f"looking for duplicates: {count}"
        return f"duplicates: {count}, the rest takes about {_duration(self.seconds_left)}"

    def _pressed(self) -> None:
        self.wanted = not self.wanted
        self._told()

    @property
    def words(self) -> str:
        """What the line says."""
        return html.unescape(self._text.value)

    def tick(self) -> None:
        """Go on for a while, if that is wanted."""
        if self.wanted and not self.search.finished:
            self.search.work(SLICE)
            self._told()

    def _seen(self, _change: Any) -> None:
        """Start the page's clock anew: a page starts it only when it sees it begin to play."""
        playing = self.ticks.playing
        self.ticks.playing = False
        self.ticks.playing = playing


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


@dataclass(frozen=True)
class Offer:
    """A sweep that a button would run: of these checkpoints, along a direction or not."""

    label: str
    checkpoints: tuple[int, ...]
    direction: Direction | None = None


@dataclass(frozen=True)
class SweepSeen:
    """What there is to draw, and what the line above it says."""

    running: Progress | None
    words: str
    offers: tuple[Offer, ...]
    picture: Any
    """None where nothing has been swept that could be shown."""


class SweepLine(HBox):
    """How far a sweep is, with a button to cancel it; else what there is, and sweeps on offer.

    Parameters
    ----------
    taken
        Called with the offer whose button is pressed.
    cancelled
        Called by the button that cancels.
    """

    def __init__(self, taken: Callable[[Offer], Any], cancelled: Callable[[], Any]) -> None:
        self._taken = taken
        self._offers: tuple[Offer, ...] = ()
        self._bar = IntProgress(
            layout=Layout(width="150px", height="14px", flex="0 0 auto", margin="0 8px 0 2px"),
            style={"bar_color": ACCENT},
        )
        self._words = Text(kind="quiet", flex="1 1 auto")
        self._buttons = [Button(layout=Layout(height="24px")) for _ in range(OFFERS)]
        self._cancel = Button(description="Cancel", layout=Layout(width="84px", height="24px"))
        for place, button in enumerate(self._buttons):
            button.on_click(lambda _button, place=place: self._take(place))
        self._cancel.on_click(lambda _button: cancelled())
        for part in (self._bar, *self._buttons, self._cancel):
            part.layout.display = "none"
            part.layout.flex = "0 0 auto"
        still = Layout(height="28px", flex="0 0 auto", overflow="hidden", align_items="center")
        super().__init__([self._bar, self._words, *self._buttons, self._cancel], layout=still)

    @property
    def words(self) -> str:
        """What the line says."""
        return html.unescape(self._words.value)

    @property
    def offers(self) -> tuple[str, ...]:
        """What the buttons that are seen would run, as they are called."""
        return tuple(b.description for b in self._buttons if b.layout.display != "none")

    def show(self, seen: SweepSeen) -> None:
        """Show how far the running sweep is, or the words and the offers."""
        running = seen.running
        for part in (self._bar, self._cancel):
            part.layout.display = "" if running else "none"
        self._offers = seen.offers
        for place, button in enumerate(self._buttons):
            offered = running is None and place < len(seen.offers)
            button.layout.display = "" if offered else "none"
            if offered:
                label = seen.offers[place].label
                button.description, button.layout.width = label, f"{24 + 7 * len(label)}px"
        if running:
            self._bar.max, self._bar.value = max(1, running.total), running.done
            so_far = f"{running.done:,} of {running.total:,} images"
            self._words.show(f"sweeping: {so_far}" if running.done else "getting ready to sweep …")
        else:
            self._words.show(seen.words)

    def _take(self, place: int) -> None:
        if place < len(self._offers):
            self._taken(self._offers[place])


class SweepView(View):
    """Show what the state's `Sweeps` have found; where something is missing, offer to sweep it.

    A sweep runs in the background, with a bar and a button to cancel it; all views of the
    state share what it finds. A ``sweep`` that was made elsewhere is taken if it is about the
    state's model and images, else refused in one line.

    Parameters
    ----------
    sweep
        A `SweepResult` of the state's images, at one checkpoint or at several.
    """

    instant: ClassVar[bool] = True

    def controls(self) -> Sequence[Widget]:
        """Return the rows of controls for the view's options."""
        return ()

    def figures(self) -> Sequence[Widget]:
        """Return what stands below the line of progress."""
        raise NotImplementedError

    def offers(self, selection: Selection) -> Sequence[Offer]:
        """Return the sweeps that would fill the view, at most two; what is swept is left out."""
        raise NotImplementedError

    def words(self, selection: Selection) -> str:
        """Return what the line above the picture says while nothing is being swept."""
        raise NotImplementedError

    def picture(self, selection: Selection) -> Any:
        """Return what there is to draw of the sweeps so far, None for nothing."""
        raise NotImplementedError

    def draw_picture(self, picture: Any) -> None:
        """Send it; None: there is nothing yet, what was seen before must go."""
        raise NotImplementedError

    # -- what the base class does -------------------------------------------------------------

    def __init__(
        self, state: ModelState, *, sweep: SweepResult | None = None, **options: Any
    ) -> None:
        if isinstance(state, ModelState):  # else the view is refused below
            self.sweeps = state.sweeps  # kept, because a closed state has none to give
            if sweep is not None:
                self.sweeps.adopt(sweep)
            self._drawn_revision = -1
        super().__init__(state, **options)
        # Not before the view is whole: the thread that sweeps for others would draw into it.
        self.sweeps.observe(self._swept)
        self._swept()

    def build(self) -> Sequence[Widget]:
        """Return the controls, the line of progress and the figures."""
        self._told = 0.0
        self.progress = SweepLine(self._take, self.sweeps.cancel)
        """The line that says how far a sweep is, and offers what is missing."""
        self._controls = list(self.controls())
        return [*self._controls, self.progress, *self.figures()]

    def compute(self, selection: Selection) -> SweepSeen:
        """Return the picture of what has been swept, and what could be."""
        self._drawn_revision = self.sweeps.revision
        return self._seen(selection, self.picture(selection))

    def draw(self, result: SweepSeen) -> None:
        """Show the picture and the line above it."""
        self.progress.show(result)
        self.draw_picture(result.picture)

    def close(self) -> None:
        """Ask for nothing more, and let go of every widget."""
        if hasattr(self, "sweeps"):
            self.sweeps.unobserve(self._swept)
        super().close()

    def _seen(self, selection: Selection, picture: Any = None) -> SweepSeen:
        offers = tuple(self.offers(selection))[:OFFERS]
        return SweepSeen(self.sweeps.running, self.words(selection), offers, picture)

    def _take(self, offer: Offer) -> None:
        """Run the sweep that a button offers."""
        self.guarded(lambda: self.sweeps.ask(*offer.checkpoints, direction=offer.direction))
        self._tell_line()

    def _swept(self) -> None:
        """Draw what is new, called by the thread that sweeps after every batch."""
        if not self.awake:
            return
        if self.sweeps.revision != self._drawn_revision:
            self.redraw()
        elif perf_counter() - self._told > REFRESH:
            self._tell_line()

    def _tell_line(self) -> None:
        with self.state.hold() as selection:
            self._told = perf_counter()
            self.progress.show(self._seen(selection))

    def _shown(self, change: Any) -> None:
        if self.awake and self.sweeps.revision != self._drawn_revision:
            self._drawn = None  # a sweep may have ended meanwhile
        super()._shown(change)
