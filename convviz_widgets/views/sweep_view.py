"""The base of the views over all images: they ask the sweeps, and offer to run what is missing."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar

from ipywidgets import Button, HBox, IntProgress, Layout, Widget

from convviz_widgets.state import Direction, ModelState, Progress, Selection
from convviz_widgets.sweep import SweepResult
from convviz_widgets.views.base import View
from convviz_widgets.views.text import ACCENT, Text

REFRESH = 0.5
"""Seconds from one state of the bar to the next while a sweep runs."""

OFFERS = 2
"""Buttons that there is room for."""


@dataclass(frozen=True)
class Offer:
    """A sweep that a button would run: of these checkpoints, along a direction or not."""

    label: str
    checkpoints: tuple[int, ...]
    direction: Direction | None = None


@dataclass(frozen=True)
class Seen:
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

    def show(self, seen: Seen) -> None:
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

    def compute(self, selection: Selection) -> Seen:
        """Return the picture of what has been swept, and what could be."""
        self._drawn_revision = self.sweeps.revision
        return self._seen(selection, self.picture(selection))

    def draw(self, result: Seen) -> None:
        """Show the picture and the line above it."""
        self.progress.show(result)
        self.draw_picture(result.picture)

    def close(self) -> None:
        """Ask for nothing more, and let go of every widget."""
        if hasattr(self, "sweeps"):
            self.sweeps.unobserve(self._swept)
        super().close()

    def _seen(self, selection: Selection, picture: Any = None) -> Seen:
        offers = tuple(self.offers(selection))[:OFFERS]
        return Seen(self.sweeps.running, self.words(selection), offers, picture)

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
