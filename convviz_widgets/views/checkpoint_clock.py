"""CheckpointClock: which checkpoint is shown. Play, step by step, or slide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ipywidgets import IntSlider, Layout, Play, Widget

from convviz_widgets.state import Selection
from convviz_widgets.views.base import View
from convviz_widgets.views.option_controls import icon_button, line
from convviz_widgets.views.text import Text


class CheckpointClock(View):
    """The time axis of everything: one slider over the checkpoints, in order of their steps."""

    title: ClassVar[str] = "Checkpoint"
    caption_lines: ClassVar[int] = 0
    depends: ClassVar[frozenset[str]] = frozenset({"checkpoint", "step", "revision"})
    width: ClassVar[int] = 216
    instant: ClassVar[bool] = True

    def build(self) -> Sequence[Widget]:
        """Return the buttons, the slider and the step."""
        self._play = Play(interval=250, show_repeat=False, layout=Layout(width="88px"))
        self._slider = IntSlider(
            readout=False, continuous_update=True, layout=Layout(width="206px", margin="2px 0")
        )
        self._slider.tooltip = "Checkpoint"
        self._previous = icon_button(
            self, "step-backward", "previous checkpoint", lambda: self._step(-1)
        )
        self._next = icon_button(self, "step-forward", "next checkpoint", lambda: self._step(1))
        self._step_line = Text()
        for control in (self._play, self._slider):
            control.observe(self._moved, names="value")
        return [line(self._previous, self._play, self._next), self._slider, self._step_line]

    def compute(self, selection: Selection) -> tuple[Selection, int]:
        """Return the selection and how many checkpoints there are."""
        return selection, len(self.state.steps)

    def draw(self, result: tuple[Selection, int]) -> None:
        """Move the controls."""
        selection, count = result
        for control in (self._play, self._slider):
            control.max = count - 1
            control.value = selection.checkpoint
        self._previous.disabled = selection.checkpoint == 0
        self._next.disabled = selection.checkpoint == count - 1
        self._step_line.show(f"step {selection.step:,} · {selection.checkpoint + 1} of {count}")

    def _moved(self, change: Any) -> None:
        if not self.state.publishing_here():
            self.guarded(lambda: self.state.select(checkpoint=change.new))

    def _step(self, by: int) -> None:
        moved = self.state.selection.checkpoint + by
        if 0 <= moved < len(self.state.steps):
            self.state.select(checkpoint=moved)
