"""CheckpointClock and StepClock: which checkpoint is shown; Live and StatusLine: what is new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import fields
from time import monotonic
from typing import Any, ClassVar, Unpack

from ipywidgets import Checkbox, HBox, IntSlider, Layout, Play, SelectionSlider, Widget
from traitlets import Bool

from convviz_widgets.checkpoints import label_at
from convviz_widgets.errors import number_of
from convviz_widgets.state import ModelState, Selection, unit_of
from convviz_widgets.state.link import Link
from convviz_widgets.state.timeline import at_or_before
from convviz_widgets.widgets import View, close_tree, listen
from convviz_widgets.widgets.controls import icon_button, line, move_clock, named
from convviz_widgets.widgets.text import Text, cut_in_the_middle
from convviz_widgets.widgets.view import ViewOptions

INTERVAL = 1000
"""Milliseconds from tick to tick."""

LONGEST_NAME = 20
"""Characters of a checkpoint's name beside which the clock has room for its place."""

REST = 10
"""Seconds of rest for each second that a refresh took: looking must not slow the training."""


class CheckpointClock(View):
    """The clock of all views: one slider over the checkpoints, in order of their steps.

    Attributes
    ----------
    play : the clock of the page, which moves on from checkpoint to checkpoint while it plays.
    """

    title: ClassVar[str] = "Checkpoint"
    caption_lines: ClassVar[int] = 0
    depends: ClassVar[frozenset[str]] = frozenset({"checkpoint", "step", "revision"})
    width: ClassVar[int] = 216
    instant: ClassVar[bool] = True

    def __init__(self, state: ModelState, **options: Unpack[ViewOptions]) -> None:
        super().__init__(state, **options)

    def build(self) -> Sequence[Widget]:
        """Return the buttons, the slider and the step."""
        # Play's own buttons cannot be named: it ticks unseen, and ours start and stop it.
        self.play = Play(interval=250, layout=Layout(display="none"))
        self.play.observe(self._started, names="playing")
        # ipywidgets 8.1 gives the handle of a slider no name, whatever it is called.
        self._slider = IntSlider(
            readout=False, continuous_update=True, layout=Layout(width="206px", margin="2px 0")
        )
        self._first = icon_button(
            self, "fast-backward", "first checkpoint", lambda: self.state.select(checkpoint=0)
        )
        self._previous = icon_button(
            self, "step-backward", "previous checkpoint", lambda: move_clock(self, -1)
        )
        self._next = icon_button(
            self, "step-forward", "next checkpoint", lambda: move_clock(self, 1)
        )
        self._start = icon_button(self, "play", "play the checkpoints", self._start_or_stop)
        self._step_line = Text()
        self._misfit = Text(kind="quiet wrap", display="none", width="206px")
        for control in (self.play, self._slider):
            self.when_chosen(control, lambda checkpoint: self.select(checkpoint=checkpoint))
        buttons = line(self._first, self._previous, self._start, self._next, self.play)
        return [buttons, named(self._slider, "Checkpoint"), self._step_line, self._misfit]

    @property
    def place(self) -> str:
        """Which checkpoint is shown, of how many: "step 1,500 · 4 of 10"."""
        return self._step_line.text

    @property
    def misfit(self) -> str:
        """Why the checkpoints do not fit the log of a run; empty where they do."""
        return self._misfit.text

    def compute(self, selection: Selection) -> tuple[Selection, int, str]:
        """Return the selection, how many checkpoints there are, and how they misfit a run."""
        misfits = self.state.misfits.values()
        return selection, len(self.state.steps), next(iter(misfits), "")

    def draw(self, result: tuple[Selection, int, str]) -> None:
        """Move the controls."""
        selection, count, misfit = result
        self._misfit.show(misfit)
        self._misfit.layout.display = "" if misfit else "none"
        for control in (self.play, self._slider):
            control.max = count - 1
            control.value = selection.checkpoint
        self._first.disabled = self._previous.disabled = selection.checkpoint == 0
        self._next.disabled = selection.checkpoint == count - 1
        called = self.state.checkpoint_name
        if len(called) > LONGEST_NAME:
            called = cut_in_the_middle(selection.label, LONGEST_NAME)
        self._step_line.show(f"{called} · {selection.checkpoint + 1} of {count}")

    def _start_or_stop(self) -> None:
        """Play on from here, from the first checkpoint after the last; or stand still."""
        if not self.play.playing and self._next.disabled:
            self.state.select(checkpoint=0)
        self.play.playing = not self.play.playing

    def _started(self, change: Any) -> None:
        self._start.icon = "pause" if change.new else "play"
        self._start.tooltip = "stop playing" if change.new else "play the checkpoints"


class LiveOptions(ViewOptions, total=False):
    """Options of `Live`."""

    ticking: bool


class Live(View):
    """Ask for what is new once a second, and follow the newest checkpoint if that is wished.

    The page ticks, not the kernel: its ticks arrive while the training cell runs, and stop when
    nobody looks.

    Attributes
    ----------
    switch : "follow newest".
    ticks : the clock of the page.
    rested : when a refresh is due again, in the seconds of `time.monotonic`.
    """

    caption_lines: ClassVar[int] = 0
    depends: ClassVar[frozenset[str]] = frozenset({"revision"})
    width: ClassVar[int] = 216
    instant: ClassVar[bool] = True

    ticking = Bool(True, help="Whether to ask for what is new.").tag(option=True)

    def __init__(self, state: ModelState, **options: Unpack[LiveOptions]) -> None:
        super().__init__(state, **options)

    def build(self) -> Sequence[Widget]:
        """Return the switch and the hidden clock of the page."""
        self.rested = 0.0
        self.switch = Checkbox(
            value=self.state.follow,
            description="follow newest",
            indent=False,
            layout=Layout(width="140px", flex="0 0 auto"),
        )
        self.switch.observe(self._switched, names="value")
        self.state.observe(self._followed, names="follow")
        self.ticks = PageClock(self._tick, self.state.hold)
        return [self.switch, self.ticks]

    def compute(self, selection: Selection) -> bool:
        """Return whether the page has to tick."""
        return self.ticking or self.state.follow

    def draw(self, result: bool) -> None:
        """Start or stop the ticking."""
        self.ticks.playing = result

    def close(self) -> None:
        """Stop listening to the state's switch as well."""
        # A view that was refused has no state, a closed state has let go of its observers already.
        with suppress(AttributeError, ValueError):
            self.state.unobserve(self._followed, names="follow")
        super().close()

    def _switched(self, change: Any) -> None:
        self.state.follow = change.new
        if change.new:
            self.select(checkpoint=None)
        self.redraw()

    def _followed(self, change: Any) -> None:
        self.switch.value = change.new

    def _tick(self) -> None:
        started = monotonic()
        if started >= self.rested:
            self.guarded(self.state.refresh)
            self.rested = monotonic() + REST * (monotonic() - started)


class PageClock(Play):
    """A clock that nobody sees: the page ticks, not the kernel, so it stops when nobody looks.

    Its ticks arrive while a cell runs. It plays as long as ``playing`` is True.

    Parameters
    ----------
    ticked
        Called at every tick.
    hold
        The state's ``hold``: other threads start and stop the clock, too.
    """

    def __init__(
        self, ticked: Callable[[], Any], hold: Callable[[], AbstractContextManager[Any]]
    ) -> None:
        unseen = Layout(display="none")
        super().__init__(interval=INTERVAL, max=10**9, playing=False, layout=unseen)
        self.observe(lambda _change: ticked(), names="value")
        self._hold = hold
        self._view_count = 0  # now the page says whenever it shows the clock
        self.observe(lambda _change: self._start_anew(), names="_view_count")

    def _start_anew(self) -> None:
        """Let it begin to play: a page that shows it starts it only when it sees that."""
        with self._hold():
            playing: bool = self.playing  # type: ignore[has-type]
            self.playing = False
            self.playing = playing
            listen(self)


class StatusLine(View):
    """One line about the state and the views that were made with it."""

    caption_lines: ClassVar[int] = 1
    depends: ClassVar[frozenset[str]] = frozenset(field.name for field in fields(Selection))
    instant: ClassVar[bool] = True

    def __init__(
        self, state: ModelState, *, views: Sequence[View] = (), **options: Unpack[ViewOptions]
    ) -> None:
        self._views: list[View] = []
        super().__init__(state, **options)
        for view in views:
            self.watch(view)

    def watch(self, view: View) -> None:
        """Include this view in the line."""
        self._views.append(view)
        view.observe(lambda _change: self.redraw(), names="redrawn")

    def compute(self, selection: Selection) -> str:
        """Return the line."""
        drawn = [view for view in self._views if view.drew_for(selection)]
        milliseconds = sum(view.seconds for view in drawn) * 1000
        return " · ".join(
            part
            for part in (
                selection.label,
                f"forward passes: {self.state.forward_count:,}",
                f"last redraw {milliseconds:.0f} ms",
                self.state.status,
                *(f"{view.title}: {view.problem}" for view in self._views if self._fails(view)),
                *self.state.misfits.values(),
                _problems(self.state.unreadable),
            )
            if part
        )

    def _fails(self, view: View) -> bool:
        return view.visible and bool(view.problem)

    def draw(self, result: str) -> None:
        """Show the line."""
        self.say(result)


def _problems(problems: dict[str, str]) -> str:
    if not problems:
        return ""
    count, first = len(problems), next(iter(problems.values()))
    files = "file not shown:" if count == 1 else "files not shown, first"
    return f"{count} checkpoint {files} {first}"


class StepClock(HBox):
    """A slider over training steps; each state shows its last checkpoint at or before one.

    Attributes
    ----------
    link : what keeps the two states together.
    slider : the control that is seen.
    """

    def __init__(self, link: Link) -> None:
        self.link = link
        self._busy = False
        self.slider = SelectionSlider(
            options=link.steps, readout=False, layout=Layout(width="520px", margin="2px 0")
        )
        self._line = Text(kind="wrap", flex="1 1 0", min_width="0")
        super().__init__(
            [named(self.slider, "Training step"), self._line],
            layout=Layout(align_items="center", grid_gap="12px", flex="0 0 auto"),
        )
        self.slider.observe(self._moved, names="value")
        for state in link.states:
            state.observe(self._changed, names="selection")
        self._follow()

    def close(self) -> None:
        """Stop listening to the two states."""
        link = self.__dict__.pop("link", None)
        if link is not None:  # else it is closed already
            for state in link.states:
                state.unobserve(self._changed, names="selection")
            close_tree(self)

    def _moved(self, change: Any) -> None:
        if not self._busy:
            self.link.go_to(change.new)

    def _changed(self, change: Any) -> None:
        change.owner.afterwards(self._follow)  # the link, too, moves on only then

    def _follow(self) -> None:
        if "link" not in self.__dict__:  # it was closed meanwhile
            return
        steps, step = self.link.steps, self.link.step
        self._busy = True
        try:
            if tuple(self.slider.options) != steps:
                self.slider.options = steps
            self.slider.value = steps[at_or_before(steps, step)]
        finally:
            self._busy = False
        unit, misfit = unit_of(steps), self.link.misfit
        label = label_at(steps, steps.index(step)) if step in steps else f"{unit} {step:,}"
        at = f"{label} · {number_of(len(steps), unit)}"
        self._line.show(f"{at} · {misfit}" if misfit else at)
