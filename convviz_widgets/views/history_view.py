"""The base of the views over all checkpoints: they ask the history, and show how far it is."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar

from ipywidgets import Box, Button, HBox, IntProgress, Layout, Widget
from traitlets import Bool

from convviz_widgets.errors import InputError
from convviz_widgets.state import ModelState, Progress, Selection
from convviz_widgets.views.base import View, ViewOptions
from convviz_widgets.views.option_controls import last_control
from convviz_widgets.views.pointer_line import PointerLine
from convviz_widgets.views.raster import Overlay
from convviz_widgets.views.text import ACCENT, Text
from convviz_widgets.views.widget_tree import close_tree

REFRESH = 0.5
"""Seconds from one picture to the next while the history measures."""


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
