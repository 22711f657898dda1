"""ClockElement: the slider over the checkpoints on the page, its buttons, and play."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from traitlets import Bool, Float, List, Unicode

from convviz_widgets.state import ModelState
from convviz_widgets.state.published import PUBLISHED
from convviz_widgets.widgets.page_element import PageElement, module_text, move_of

NAMES = ("first checkpoint", "previous checkpoint", "play the checkpoints", "next checkpoint")

ICONS = dict(zip(NAMES, ("fast-backward", "step-backward", "play", "step-forward"), strict=True))

STOP = "stop playing"


class ClockButton:
    """A button of a clock: what is read on it, and what a user does to it, in code.

    Parameters
    ----------
    clock
        Whose button it is.
    name
        One of `NAMES`.
    """

    def __init__(self, clock: ClockElement, name: str) -> None:
        self._clock, self._name = clock, name

    @property
    def tooltip(self) -> str:
        """What the button is called."""
        return STOP if self._is_playing else self._name

    @property
    def icon(self) -> str:
        """What is drawn on it."""
        return "pause" if self._is_playing else ICONS[self._name]

    @property
    def disabled(self) -> bool:
        """Whether there is nowhere to go."""
        place, last = self._clock.value, self._clock.max
        at_end = {NAMES[0]: place == 0, NAMES[1]: place == 0, NAMES[2]: last < 1}
        return at_end.get(self._name, place == last)

    @property
    def layout(self) -> Any:
        """That of the clock: a button is seen when it is."""
        return self._clock.layout

    def click(self) -> None:
        """Do what a press on it does."""
        clock = self._clock
        if self._name == NAMES[2]:
            if not clock.playing and clock.value == clock.max:
                clock.value = 0
            clock.playing = not clock.playing
        else:
            moves = {NAMES[0]: 0, NAMES[1]: clock.value - 1, NAMES[3]: clock.value + 1}
            clock.value = moves[self._name]

    @property
    def _is_playing(self) -> bool:
        return self._name == NAMES[2] and self._clock.playing


class ClockElement(PageElement):
    """A slider over the checkpoints of a state: the page moves it, and hears where it is.

    The page shows another checkpoint at once where it has all that is to be seen of it, and
    otherwise when the kernel has sent it.

    Parameters
    ----------
    state
        Whose checkpoints they are.
    moved
        Called with the place of the checkpoint that is chosen.
    """

    written_by_pages: ClassVar[frozenset[str]] = frozenset({"act", "playing", "player"})
    _esm = Unicode(module_text("renderClock", "store", "element", "clock")).tag(sync=True)
    description = Unicode("Checkpoint").tag(sync=True)
    """What a screen reader calls the slider."""
    keys_of_checkpoints: List[Any] = List().tag(sync=True)
    """The number of each checkpoint, in order."""
    labels: List[Any] = List().tag(sync=True)
    """What each is called."""
    playing = Bool(False).tag(sync=True)
    """Whether it moves on by itself; it stops at the last checkpoint."""
    player = Unicode("").tag(sync=True)
    """The page that moves it while it plays; empty while it does not."""
    rate = Float(8.0, min=0.1, max=120.0).tag(sync=True)
    """Checkpoints a second while it plays."""

    def __init__(self, state: ModelState, moved: Callable[[int], Any], **traits: Any) -> None:
        self._state, self._moved = state, moved
        self._place = 0
        super().__init__(**traits)
        self.layout.width, self.layout.margin, self.layout.flex = "214px", "2px 0", "0 0 auto"
        self.belong_to(state)
        self.observe(self._stopped, names="playing")

    @property
    def named_parts(self) -> tuple[Any, ...]:
        """Its buttons and its slider, in the order of the page."""
        return (*(ClockButton(self, name) for name in NAMES), self)

    @property
    def max(self) -> int:
        """Place of the last checkpoint."""
        return max(0, len(self.keys_of_checkpoints) - 1)

    @property
    def value(self) -> int:
        """Place of the checkpoint that it points at; assigning it chooses another one."""
        return self._place

    @value.setter
    def value(self, place: int) -> None:
        self._moved(place)

    def show(self, place: int, keys: tuple[int, ...], labels: tuple[str, ...]) -> None:
        """Point at the checkpoint at a place among those of these numbers and names."""
        self._place = place
        with self.hold_sync():
            self.keys_of_checkpoints, self.labels = list(keys), list(labels)
            self.now = PUBLISHED.now(self._state, self._state.selection)

    def _stopped(self, change: Any) -> None:
        if not change.new:
            self.player = ""

    def acted(self, what: dict[str, Any]) -> None:
        """Go to the checkpoint that the user has chosen."""
        key = what.get("key")
        if key not in self.keys_of_checkpoints:
            return  # it is gone since, or the page says what it never could
        with PUBLISHED.answering(self._state, *move_of(what)):
            self._moved(self.keys_of_checkpoints.index(key))
