"""From the press of a key to the frame that shows new pixels, by the page's own clock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page

SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")

Watched = list[tuple[Locator, str]]
"""Elements, and what to look at below each: "picture", "bars" or "text"."""


@dataclass(frozen=True)
class Taken:
    """What the page saw between an event and the frame that showed all that it changed."""

    milliseconds: float
    frames: int
    """Animation frames after the first that could have shown it."""
    looks: tuple[int, ...]
    """A number for what is seen of each that was watched: equal where it looks the same."""


class Stopwatch:
    """Times what happens in one page; made anew after a reload."""

    def __init__(self, page: Page) -> None:
        self._page = page
        page.evaluate(SCRIPT)

    def press(self, control: Locator, key: str, watched: Watched) -> Taken:
        """Press a key on a control; return how long it took until all that is watched is new.

        With nothing to watch it takes until the next animation frame.
        """
        control.focus()
        self.arm("keydown", watched)
        self._page.keyboard.press(key)
        return self.result()

    def arm(self, event: str, watched: Watched) -> None:
        """Watch from the next event of this type on."""
        pairs = [[root.element_handle(), kind] for root, kind in watched]
        self._page.evaluate("([event, pairs]) => cvwWatch.arm(event, pairs)", [event, pairs])

    def watch(self, watched: Watched) -> None:
        """Watch from now on, whatever makes it change."""
        pairs = [[root.element_handle(), kind] for root, kind in watched]
        self._page.evaluate("pairs => cvwWatch.watch(pairs)", pairs)

    def wait(self) -> None:
        """Return when all that is watched has changed."""
        self._page.evaluate("cvwWatch.result.then(() => null)")

    def film(self, root: Locator) -> None:
        """Begin to look at the picture below an element in every animation frame."""
        root.evaluate("root => cvwWatch.film(root)")

    def cut(self) -> list[tuple[float, int]]:
        """End that; return the milliseconds and the look of the first picture and each new one."""
        return [(time, look) for time, look in self._page.evaluate("cvwWatch.cut()")]

    def result(self) -> Taken:
        """Wait for what is watched to change."""
        taken = self._page.evaluate("cvwWatch.result")
        assert taken["milliseconds"] >= 0, "what is watched changed before anything happened"
        return Taken(taken["milliseconds"], taken["frames"], tuple(taken["looks"]))
