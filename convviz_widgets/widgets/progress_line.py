"""ProgressLine and SearchLine: how far something is, with buttons to stop it or to begin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ipywidgets import Button, HBox, IntProgress, Layout, Widget

from convviz_widgets.images.duplicates import DuplicateSearch
from convviz_widgets.state import Progress
from convviz_widgets.widgets.controls import PageClock
from convviz_widgets.widgets.text import ACCENT, Text

OFFERS = 2
"""Buttons that there is room for, beside the one that stops."""

INTERVAL = 150
"""Milliseconds from tick to tick of the page."""

SLICE = 0.1
"""Seconds that a search goes on at each tick: a click has to wait for no longer."""

SHORT = 20.0
"""Seconds up to which a search goes on unasked."""


class ProgressLine(HBox):
    """Words, with a bar and a button while something is to be done, or with offers to do it.

    Parameters
    ----------
    pressed
        Called by the button.
    taken
        Called with the place of an offer whose button is pressed; without it there are no offers.
    more
        What else is to be in the line.

    Attributes
    ----------
    bar : done of total.
    button : "Cancel", or what it is called instead.
    """

    def __init__(
        self,
        pressed: Callable[[], Any],
        taken: Callable[[int], Any] | None = None,
        more: Sequence[Widget] = (),
    ) -> None:
        self.bar = IntProgress(
            layout=Layout(width="110px", height="14px", flex="0 0 auto", margin="0 8px 0 2px"),
            style={"bar_color": ACCENT},
        )
        self._text = Text(kind="quiet", flex="1 1 0", min_width="0")
        self.button = _button(pressed, width="84px")
        self._offers: list[Button] = []
        if taken is not None:
            self._offers = [_button(partial(taken, i)) for i in range(OFFERS)]
        still = Layout(height="28px", flex="0 0 auto", overflow="hidden", align_items="center")
        parts = [self.bar, self._text, *self._offers, self.button, *more]
        super().__init__(parts, layout=still)
        self.show("")

    def show(
        self,
        words: str,
        progress: Progress | None = None,
        button: str = "Cancel",
        offers: Sequence[str] = (),
    ) -> None:
        """Show these words; bar and button as long as there is a ``progress``, else the offers."""
        self._text.show(words)
        for part in (self.bar, self.button):
            part.layout.display = "none" if progress is None else ""
        self.button.description = button
        if progress is not None:
            self.bar.max, self.bar.value = max(1, progress.total), progress.done
        labels = [*(offers if progress is None else ()), *[""] * OFFERS]
        for offer, label in zip(self._offers, labels, strict=False):
            offer.layout.display = "" if label else "none"
            offer.description, offer.layout.width = label, f"{24 + 7 * len(label)}px"

    @property
    def words(self) -> str:
        """What the line says."""
        return self._text.text

    @property
    def offers(self) -> tuple[str, ...]:
        """What the offers that are seen are called."""
        return tuple(each.description for each in self._offers if each.description)


def _button(pressed: Callable[[], Any], **layout: str) -> Button:
    button = Button(layout=Layout(height="24px", flex="0 0 auto", **layout))
    button.on_click(lambda _button: pressed())
    return button


class SearchLine(ProgressLine):
    """Let a search go on while the page ticks, so that it stops when nobody looks.

    Parameters
    ----------
    search
        What is to be done.
    told
        Called after every slice; `draw` is for it to call.
    width
        Width in pixels.

    Attributes
    ----------
    search : what is to be done.
    wanted : whether the search is to go on as long as somebody looks.
    ticks : the clock of the page, which calls `tick` as long as it plays.
    """

    def __init__(self, search: DuplicateSearch, told: Callable[[], Any], width: int) -> None:
        self.search, self._told = search, told
        self._began = self.wanted = False
        self.ticks = PageClock(INTERVAL, self.tick)
        super().__init__(self._pressed, more=[self.ticks])
        self.layout.width = f"{width}px"

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
        if search.finished:
            self.show(search.problem or summary)
        else:
            progress = Progress(search.done, search.total)
            self.show(self._in_words(), progress, "Stop" if self.wanted else "Search")
        self.ticks.playing = self.wanted and awake and not search.finished

    def tick(self) -> None:
        """Go on for a while, if that is wanted."""
        if self.wanted and not self.search.finished:
            self.search.work(SLICE)
            self._told()

    def _in_words(self) -> str:
        count = f"{self.search.done:,} of {self.search.total:,} compared"
        if self.wanted:
            return f"looking for duplicates: {count}"
        return f"duplicates: {count}, the rest takes about {_duration(self.seconds_left)}"

    def _pressed(self) -> None:
        self.wanted = not self.wanted
        self._told()


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
