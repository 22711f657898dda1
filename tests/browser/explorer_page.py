"""The Explorer as a user meets it: views by their titles, controls by their roles."""

from __future__ import annotations

import re

import numpy as np
from playwright.sync_api import Locator

from .pages import WidgetPage

PICTURES = {
    "mosaic": "Activation maps",
    "map": "Selected channel",
    "images": "Image",
    "filters": "Filters",
}
"""Title of the view that holds each picture."""


TALLEST = "bars => Math.max(0, ...bars.map(bar => bar.getBoundingClientRect().height))"

OUTLINED = """outlines => outlines.map(({ offsetLeft, offsetTop, offsetWidth, offsetHeight }) =>
    [offsetLeft, offsetTop, offsetLeft + offsetWidth, offsetTop + offsetHeight])"""

Edges = tuple[int, int, int, int]
"""Left, top, right and bottom, in pixels of a picture."""


def covers(edges: Edges | None, x: int, y: int) -> bool:
    """Tell whether a pixel lies within the edges."""
    if edges is None:
        return False
    left, top, right, bottom = edges
    return left < x < right and top < y < bottom


class ExplorerPage:
    """The first Explorer on a page, once it has drawn."""

    def __init__(self, opened: WidgetPage):
        self.opened = opened
        self.page = opened.page
        self.root = self.page.locator(".jp-OutputArea-output:has([role=tablist])").first
        self.wait_for_drawing()

    def wait_for_drawing(self) -> None:
        """Return when the mosaic is there and its highlight has been drawn."""
        self.canvas("mosaic").wait_for()
        self.opened.until(lambda: self.highlight("mosaic") is not None, "no tile is highlighted")

    # -- what there is ------------------------------------------------------------------------

    def view(self, title: str) -> Locator:
        """Return the view with this title."""
        heading = self.page.locator(".cvw-title").get_by_text(title, exact=True)
        return self.root.locator(".cvw-view", has=heading)

    def image(self, name: str) -> Locator:
        """Return the <canvas> of a picture, the first one of its view."""
        return self.view(PICTURES[name]).locator(".cvw-raster canvas.cvw-picture").first

    def canvas(self, name: str) -> Locator:
        """Return what hears pointer and keys on a picture, the first one of its view."""
        return self.view(PICTURES[name]).locator(".cvw-room").first

    def bars(self, title: str = "Activation values") -> Locator:
        """Return the drawing of a histogram."""
        return self.view(title).locator(".bqplot svg.svg-figure")

    def tallest_bar(self, title: str = "Activation values") -> float:
        """Return the height of a histogram's tallest bar in pixels of the screen."""
        return self.bars(title).locator("rect.bar").evaluate_all(TALLEST)

    @property
    def slider(self) -> Locator:
        """The handle of the checkpoint slider."""
        return self.view("Checkpoint").get_by_role("slider")

    @property
    def search(self) -> Locator:
        """The box that searches the layers."""
        return self.view("Layer").get_by_role("textbox")

    @property
    def layers(self) -> Locator:
        """The list of layers."""
        return self.view("Layer").get_by_role("listbox")

    # -- what it shows ------------------------------------------------------------------------

    def pixels(self, name: str) -> np.ndarray:
        """Return a picture, uint8 (H, W, 4)."""
        return self.opened.pixels(self.image(name))

    def highlight(self, name: str) -> Edges | None:
        """Return the edges of what is outlined on a picture."""
        outlines = self.view(PICTURES[name]).locator(".cvw-outline")
        found = outlines.evaluate_all(OUTLINED)
        return tuple(found[0]) if found else None

    def channel(self) -> int:
        """Return the number in the channel field."""
        return int(self.view("Channel").get_by_role("spinbutton").input_value())

    def step_line(self) -> str:
        """Return what stands below the checkpoint slider."""
        return self.view("Checkpoint").get_by_text(re.compile("^step ")).inner_text()

    def layer_names(self) -> list[str]:
        """Return the names of the layers that the list shows."""
        options = self.layers.get_by_role("option").all_inner_texts()
        return [option.split()[0] for option in options]

    # -- what can be done ---------------------------------------------------------------------

    def later(self) -> None:
        """Move the slider to a later checkpoint by a key."""
        self.slider.press("ArrowRight")

    def earlier(self) -> None:
        """Move the slider to an earlier checkpoint by a key."""
        self.slider.press("ArrowLeft")

    def open_tab(self, title: str) -> None:
        """Click a tab."""
        self.root.get_by_role("tab", name=title, exact=True).click()

    def click(self, name: str, x: int, y: int) -> None:
        """Click a pixel of a picture."""
        self.canvas(name).click(position={"x": x, "y": y})
