"""A notebook in JupyterLab behind a network whose delay can be chosen."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import BrowserContext, Locator, Page

from measuring.delay import Delay
from tests.browser.chromium import chromium
from tests.browser.frontends import Frontends
from tests.browser.pages import NotebookPage
from tests.browser.server import Server

WINDOW = {"width": 1600, "height": 1300}
"""Wide enough for the mosaics at full size."""

ROUND_TRIPS = (0, 150)
"""Milliseconds of network delay: a kernel on this machine, and one on Binder."""

SETUP = """
import sys

sys.path.insert(0, {folder!r})
from measuring.contenders import *

%matplotlib inline
"""


@dataclass(frozen=True)
class SlowPage:
    """A notebook that has been run, and the network between it and its kernel."""

    notebook: NotebookPage
    network: Delay

    @property
    def page(self) -> Page:
        """The browser's page."""
        return self.notebook.page

    def output(self, cell: int) -> Locator:
        """Return the output of a cell; cell 0 is the first after the setup."""
        return self.page.locator(".jp-Cell").nth(cell + 1).locator(".jp-Cell-outputArea")


@contextmanager
def slow_page(
    cells: Sequence[str], prepare: Callable[[BrowserContext], object] = lambda _context: None
) -> Iterator[SlowPage]:
    """Run cells in JupyterLab; ``prepare`` is called before there is a page."""
    setup = SETUP.format(folder=str(Path(__file__).parents[1]))
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        server = Server(Path(folder))
        try:
            server.wait()
            with Delay(server.port) as network:
                server.url = f"http://127.0.0.1:{network.port}"
                frontends = Frontends(browser, server, WINDOW)
                prepare(browser.contexts[-1])
                yield SlowPage(frontends.lab([setup, *cells]), network)
                network.round_trip = 0.0
        finally:
            server.stop()
