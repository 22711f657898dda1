"""CheckpointClock and StepClock: which checkpoint is shown; Live and StatusLine: what is new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, fields
from time import monotonic
from typing import Any, ClassVar, Unpack

from ipywidgets import Checkbox, HBox, Layout, Play, SelectionSlider, Widget
from traitlets import Bool, Float

from convviz_widgets.checkpoints import label_at
from convviz_widgets.errors import number_of
from convviz_widgets.state import ModelState, Selection, unit_of
from convviz_widgets.state.link import Link
from convviz_widgets.state.timeline import at_or_before
from convviz_widgets.widgets import View, close_tree, listen
from convviz_widgets.widgets.clock import ClockElement
from convviz_widgets.widgets.controls import named
from convviz_widgets.widgets.text import Text, cut_in_the_middle
from convviz_widgets.widgets.view import ViewOptions

INTERVAL = 1000
"""Milliseconds from tick to tick."""

LONGEST_NAME = 20
"""Characters of a checkpoint's name beside which the clock has room for its place."""

REST = 10
"""Seconds of rest for each second that a refresh took: looking must not slow the training."""


class CheckpointClockOptions(ViewOptions, total=False):
    """Options of `CheckpointClock`."""

    rate: float


@dataclass(frozen=True)
class ClockFace:
    """What a clock shows."""

    place: int
    keys: tuple[int, ...]
    """The number of each checkpoint."""
    labels: tuple[str, ...]
    misfit: str


class CheckpointClock(View):
    """The clock of all views: one slider over the checkpoints, in order of their steps.

    The page moves it, and shows at once what it has of the next checkpoint; the kernel hears of it.

    Attributes
    ----------
    play : what plays and stops: the element on the page.

    Examples
    --------
    >>> clock = cvw.views.CheckpointClock(state, rate=30)
    >>> clock.control("first checkpoint").click()
    >>> clock.place
    'step 0 · 1 of 2'
    """

    title: ClassVar[str] = "Checkpoint"
    caption_lines: ClassVar[int] = 0
    depends: ClassVar[frozenset[str]] = frozenset({"checkpoint", "step", "key", "revision"})
    width: ClassVar[int] = 216
    instant: ClassVar[bool] = True

    rate = Float(8.0, min=0.1, max=120.0, help="Checkpoints a second while it plays.").tag(
        option=True
    )

    def __init__(self, state: ModelState, **options: Unpack[CheckpointClockOptions]) -> None:
        super().__init__(state, **options)

    def build(self) -> Sequence[Widget]:
        """Return the clock of the page, and the line about a log that does not fit."""
        self._named: tuple[tuple[int, ...], tuple[str, ...]] = ((), ())
        self.play = ClockElement(self.state, lambda place: self.select(checkpoint=place))
        self._misfit = Text(kind="quiet wrap", display="none", width="206px")
        return [self.play, self._misfit]

    @property
    def place(self) -> str:
        """Which checkpoint is shown, of how many: "step 1,500 · 4 of 10"."""
        labels, place = self.play.labels, self.play.value
        return f"{labels[place]} · {place + 1} of {len(labels)}"

    @property
    def misfit(self) -> str:
        """Why the checkpoints do not fit the log of a run; empty where they do."""
        return self._misfit.text

    def compute(self, selection: Selection) -> ClockFace:
        """Return the place among the checkpoints, what they are called, and any misfit."""
        keys = self.state.frame_keys
        if keys is not self._named[0]:  # there may be ten thousand
            self._named = (keys, self._labels())
        misfits = self.state.misfits.values()
        return ClockFace(selection.checkpoint, *self._named, next(iter(misfits), ""))

    def draw(self, result: ClockFace) -> None:
        """Move the clock."""
        self._misfit.show(result.misfit)
        self._misfit.layout.display = "" if result.misfit else "none"
        self.play.rate = self.rate
        self.play.show(result.place, result.keys, result.labels)

    def _labels(self) -> tuple[str, ...]:
        """Return what each checkpoint is called, as long as there is room for."""
        steps, names = self.state.steps, self.state.checkpoint_names
        return tuple(
            name
            if len(name) <= LONGEST_NAME
            else cut_in_the_middle(label_at(steps, place), LONGEST_NAME)
            for place, name in enumerate(names)
        )


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
