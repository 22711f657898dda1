"""CheckpointClock: which checkpoint is shown. Play, step by step, or slide."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from ipywidgets import IntSlider, Layout, Play, Widget

from convviz_widgets.state import ModelState, Selection
from convviz_widgets.views.base import View, ViewOptions
from convviz_widgets.views.option_controls import icon_button, line, named
from convviz_widgets.views.text import Text


class CheckpointClock(View):
    """The time axis of everything: one slider over the checkpoints, in order of their steps.

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
            self, "step-backward", "previous checkpoint", lambda: self._step(-1)
        )
        self._next = icon_button(self, "step-forward", "next checkpoint", lambda: self._step(1))
        self._start = icon_button(self, "play", "play the checkpoints", self._start_or_stop)
        self._step_line = Text()
        for control in (self.play, self._slider):
            control.observe(self._moved, names="value")
        buttons = line(self._first, self._previous, self._start, self._next, self.play)
        return [buttons, named(self._slider, "Checkpoint"), self._step_line]

    @property
    def place(self) -> str:
        """Which checkpoint is shown, of how many: "step 1,500 · 4 of 10"."""
        return html.unescape(self._step_line.value)

    def compute(self, selection: Selection) -> tuple[Selection, int]:
        """Return the selection and how many checkpoints there are."""
        return selection, len(self.state.steps)

    def draw(self, result: tuple[Selection, int]) -> None:
        """Move the controls."""
        selection, count = result
        for control in (self.play, self._slider):
            control.max = count - 1
            control.value = selection.checkpoint
        self._first.disabled = self._previous.disabled = selection.checkpoint == 0
        self._next.disabled = selection.checkpoint == count - 1
        called = self.state.checkpoint_name
        self._step_line.show(f"{called} · {selection.checkpoint + 1} of {count}")

    def _moved(self, change: Any) -> None:
        if not self.state.publishing_here():
            self.guarded(lambda: self.state.select(checkpoint=change.new))

    def _start_or_stop(self) -> None:
        """Play on from here, from the first checkpoint after the last; or stand still."""
        if not self.play.playing and self._next.disabled:
            self.state.select(checkpoint=0)
        self.play.playing = not self.play.playing

    def _started(self, change: Any) -> None:
        self._start.icon = "pause" if change.new else "play"
        self._start.tooltip = "stop playing" if change.new else "play the checkpoints"

    def _step(self, by: int) -> None:
        moved = self.state.selection.checkpoint + by
        if 0 <= moved < len(self.state.steps):
            self.state.select(checkpoint=moved)
