"""The line of a search: how far it is, what it has found, and a button that stops it."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from ipywidgets import Button, HBox, IntProgress, Layout, Play

from convviz_widgets.instrument.duplicate_search import DuplicateSearch
from convviz_widgets.views.text import ACCENT, Text

INTERVAL = 150
"""Milliseconds from tick to tick of the page."""

SLICE = 0.1
"""Seconds that the search goes on at each tick: a click has to wait for no longer."""

SHORT = 20.0
"""Seconds up to which a search goes on unasked."""


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
