"""Elements of the page in marimo, which shows the widgets of anywidget and no others."""

import os
import subprocess
import sys
import time
from textwrap import indent
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest

import convviz_widgets as cvw

from .cells import MODEL
from .console import Console
from .pages import PATIENCE, WidgetPage
from .server import free_port

APP = """
import marimo

app = marimo.App()


@app.cell
def _():
{cell}
    return
"""

ELEMENTS = """
import marimo as mo
from convviz_widgets.views.controls.clock import CheckpointClock

clock, view = CheckpointClock(state), cvw.ActivationMosaic(state)
mo.vstack([mo.ui.anywidget(clock.play), mo.ui.anywidget(view.raster)])
"""


@pytest.fixture(scope="module")
def marimo(tmp_path_factory):
    """The address of an app with a clock and a mosaic, which shares no settings with the user's."""
    folder = tmp_path_factory.mktemp("marimo")
    app = folder / "app.py"
    app.write_text(APP.format(cell=indent(MODEL + ELEMENTS, "    ")))
    port = free_port()
    command = [sys.executable, "-m", "marimo", "--quiet", "run", str(app), "--no-check"]
    command += ["--headless", "--no-token", f"--port={port}"]
    settings = {f"XDG_{kind}_HOME": str(folder / kind) for kind in ("CONFIG", "STATE", "CACHE")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | settings)
    try:
        url = f"http://127.0.0.1:{port}/"
        wait_for(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def wait_for(url, process):
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urlopen(url).close()
        except (URLError, OSError):
            time.sleep(0.1)
        else:
            return
    pytest.fail("marimo did not start", pytrace=False)


@pytest.fixture(scope="module")
def opened(browser, marimo):
    page = browser.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    opened = WidgetPage(page, marimo, Console(page, marimo))
    page.goto(marimo)
    yield opened
    page.close()


@pytest.fixture(scope="module")
def view():
    """The same mosaic of the same network, in this process."""
    names = {}
    exec(MODEL, names)
    return cvw.ActivationMosaic(names["state"])


@pytest.fixture
def is_shown(opened, view):
    """Tell whether the page shows every pixel of the view's picture."""
    picture = opened.page.locator("canvas.cvw-picture")
    picture.wait_for()
    return lambda: np.array_equal(opened.pixels(picture), view.raster.pixels)


def test_the_picture_of_a_mosaic_is_seen_in_marimo(opened, is_shown):
    opened.until(is_shown, "another picture is seen")
    opened.screenshot("marimo")
    assert opened.console.errors == []


def test_the_clock_moves_a_mosaic_in_marimo(opened, view, is_shown):
    view.state.select(checkpoint=1)
    assert not is_shown()
    opened.page.get_by_role("slider").press("ArrowRight")
    opened.until(is_shown, "the picture of another checkpoint is seen")
    assert opened.console.errors == []
