"""StepClock: one time axis for two states, over the steps that either of them has."""

from __future__ import annotations

from typing import Any

from ipywidgets import HBox, Layout, SelectionSlider

from convviz_widgets.state.link import Link, at_or_before
from convviz_widgets.widgets import close_tree
from convviz_widgets.widgets.controls import named
from convviz_widgets.widgets.text import Text


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
        self._line = Text(flex="1 1 auto")
        super().__init__(
            [named(self.slider, "Training step"), self._line],
            layout=Layout(align_items="center", grid_gap="12px", flex="0 0 auto"),
        )
        self.slider.observe(self._moved, names="value")
        for state in link.states:
            state.observe(self._follow, names="selection")
        self._follow()

    def close(self) -> None:
        """Stop listening to the two states."""
        link = self.__dict__.pop("link", None)
        if link is not None:  # else it is closed already
            for state in link.states:
                state.unobserve(self._follow, names="selection")
            close_tree(self)

    def _moved(self, change: Any) -> None:
        if not self._busy:
            self.link.go_to(change.new)

    def _follow(self, _change: Any = None) -> None:
        steps, step = self.link.steps, self.link.step
        self._busy = True
        try:
            if tuple(self.slider.options) != steps:
                self.slider.options = steps
            self.slider.value = steps[at_or_before(steps, step)]
        finally:
            self._busy = False
        self._line.show(f"step {step:,} · {len(steps)} steps")
