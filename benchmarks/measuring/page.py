"""The contenders side by side in one page of JupyterLab, pressed in turn."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from playwright.sync_api import Locator

from measuring.contenders import CHECKPOINTS
from measuring.stopwatch import Stopwatch
from tests.browser.chromium import chromium
from tests.browser.frontends import Frontends
from tests.browser.pages import NotebookPage
from tests.browser.server import Server

WINDOW = {"width": 1600, "height": 1300}
"""Wide enough for the mosaics at full size."""

WARM_UP = 3
"""Presses of each slider that are not counted."""

SETUP = """
import sys

sys.path.insert(0, {folder!r})
from measuring.contenders import Bench

%matplotlib inline
bench = Bench({network!r})
"""

MOSAIC = ".cvw-view:has-text('Activation maps') .cvw-frame"
MAP = ".cvw-view:has-text('Selected channel') .cvw-frame"
BARS = ".cvw-view:has-text('Activation values')"


@dataclass(frozen=True)
class Contender:
    """A cell of the notebook, and what of its output has to change."""

    name: str
    method: str
    """Of `Bench`; contenders that share it share the cell."""
    watched: tuple[tuple[str, str], ...]
    """Selectors below the cell's output, and the kinds of the stopwatch's watchers."""
    picture: str
    """Selector of the pixels that have to be other ones afterwards."""


CONTENDERS = (
    Contender("mosaic, every pixel", "every_pixel", ((MOSAIC, "image"),), f"{MOSAIC} img"),
    Contender("mosaic view", "mosaic", ((MOSAIC, "image"),), f"{MOSAIC} img"),
    Contender("Explorer, its mosaic", "explorer", ((MOSAIC, "image"),), f"{MOSAIC} img"),
    Contender(
        "Explorer, all of its tab",
        "explorer",
        ((MOSAIC, "image"), (MAP, "image"), (BARS, "bars")),
        f"{MOSAIC} img",
    ),
    Contender("interact + matplotlib", "matplotlib", ((".widget-output", "output"),), "img"),
    Contender("Canvas.put_image_data", "canvas", ((".widget-box", "canvas"),), "canvas"),
)

METHODS = tuple(dict.fromkeys(contender.method for contender in CONTENDERS))

FORWARD = "bare forward pass"


@contextmanager
def benchmark_page(network: str) -> Iterator[NotebookPage]:
    """Give a page on which every contender shows its first checkpoint."""
    setup = SETUP.format(folder=str(Path(__file__).parents[1]), network=network)
    cells = [setup, *(f"bench.{method}()" for method in METHODS)]
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        server = Server(Path(folder))
        try:
            server.wait()
            yield Frontends(browser, server, WINDOW).lab(cells)
        finally:
            server.stop()


class Race:
    """Presses every contender's slider in turn, round after round."""

    def __init__(self, page: NotebookPage) -> None:
        self._page = page
        self._stopwatch = Stopwatch(page.page)
        self._at = dict.fromkeys(METHODS, 0)
        self.milliseconds: dict[str, list[float]] = {}

    def run(self, rounds: int) -> None:
        """Time ``rounds`` presses of each, and as many bare forward passes."""
        for number in range(WARM_UP + rounds):
            taken = {contender.name: self._press(contender) for contender in CONTENDERS}
            taken[FORWARD] = self._page.ask("bench.forward()")
            if number >= WARM_UP:
                for name, time in taken.items():
                    self.milliseconds.setdefault(name, []).append(time)

    def _press(self, contender: Contender) -> float:
        """Return the milliseconds of one step to the right; at the end, go back first."""
        if self._at[contender.method] == CHECKPOINTS - 1:
            self._timed(contender, "Home")
            self._at[contender.method] = 0
        self._at[contender.method] += 1
        return self._timed(contender, "ArrowRight")

    def _timed(self, contender: Contender, key: str) -> float:
        output = self._output(contender)
        parts = [(output.locator(selector).first, kind) for selector, kind in contender.watched]
        picture = output.locator(contender.picture).first
        before = self._page.pixels(picture)
        time = self._stopwatch.time(output.get_by_role("slider").first, key, parts)
        self._page.wait_idle()
        assert not np.array_equal(before, self._page.pixels(picture)), f"{contender.name} stayed"
        return time

    def _output(self, contender: Contender) -> Locator:
        """Return the output of the contender's cell; the first cell is the setup."""
        number = 1 + METHODS.index(contender.method)
        return self._page.page.locator(".jp-Cell").nth(number).locator(".jp-Cell-outputArea")
