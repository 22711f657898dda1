"""Live: keep up with a training that is still running."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, ClassVar, Unpack

from ipywidgets import Checkbox, Layout, Play, Widget
from traitlets import Bool

from convviz_widgets.state import ModelState, Selection
from convviz_widgets.views.base import View, ViewOptions
from convviz_widgets.views.widget_tree import listen

INTERVAL = 1000
"""Milliseconds from tick to tick."""

REST = 10
"""A refresh that took a second is not repeated for so many: looking must not slow training."""


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
        self.ticks = Play(
            interval=INTERVAL, max=10**9, playing=False, layout=Layout(display="none")
        )
        self.ticks.observe(self._tick, names="value")
        self.ticks._view_count = 0  # now the page says whenever it shows the clock
        self.ticks.observe(self._start, names="_view_count")
        return [self.switch, self.ticks]

    def compute(self, selection: Selection) -> bool:
        """Return whether the page has to tick."""
        return self.ticking or self.state.follow

    def draw(self, result: bool) -> None:
        """Start or stop the ticking."""
        self.ticks.playing = result

    def _start(self, _change: Any) -> None:
        """Start the page's clock anew: a page starts it only when it sees it begin to play."""
        with self.state.hold() as selection:
            self.ticks.playing = False
            self.draw(self.compute(selection))
            listen(self)

    def close(self) -> None:
        """Stop listening to the state's switch as well."""
        # A view that was refused has no state, a closed state has let go of its observers already.
        with suppress(AttributeError, ValueError):
            self.state.unobserve(self._followed, names="follow")
        super().close()

    def _switched(self, change: Any) -> None:
        self.state.follow = change.new
        if change.new:
            self.guarded(lambda: self.state.select(checkpoint=None))
        self.redraw()

    def _followed(self, change: Any) -> None:
        self.switch.value = change.new

    def _tick(self, _change: Any) -> None:
        started = monotonic()
        if started >= self.rested:
            self.guarded(self.state.refresh)
            self.rested = monotonic() + REST * (monotonic() - started)
