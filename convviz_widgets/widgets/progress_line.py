"""ProgressLine: how far something is, with buttons to stop it or to begin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ipywidgets import Button, HBox, IntProgress, Layout

from convviz_widgets.state import Progress
from convviz_widgets.widgets.text import ACCENT, Text

OFFERS = 2
"""Buttons that there is room for, beside the one that stops."""


class ProgressLine(HBox):
    """Words, with a bar and a button while something is to be done, or with offers to do it.

    Parameters
    ----------
    pressed
        Called by the button.
    taken
        Called with the place of an offer whose button is pressed; without it there are no offers.

    Attributes
    ----------
    bar : done of total.
    button : "Cancel", or what it is called instead.
    """

    def __init__(
        self, pressed: Callable[[], Any], taken: Callable[[int], Any] | None = None
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
        parts = [self.bar, self._text, *self._offers, self.button]
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
