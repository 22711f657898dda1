"""An element of the page in marimo, which shows the widgets of anywidget and no others."""

import os
import subprocess
import sys
import time
from textwrap import indent
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest

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

SQUARE = """
import anywidget
import marimo as mo

class Square(anywidget.AnyWidget):
    _esm = '''
        export default {
            render({ el }) {
                const canvas = document.createElement("canvas");
                canvas.width = canvas.height = 20;
                canvas.getContext("2d").fillRect(5, 5, 10, 10);
                el.append(canvas);
            },
        };
    '''

mo.ui.anywidget(Square())
"""


@pytest.fixture(scope="module")
def marimo(tmp_path_factory):
    """The address of an app that shows an element; it shares no settings with the user's own."""
    folder = tmp_path_factory.mktemp("marimo")
    app = folder / "app.py"
    app.write_text(APP.format(cell=indent(SQUARE, "    ")))
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
    opened = WidgetPage(page, marimo, Console(page, marimo))
    page.goto(marimo)
    yield opened
    page.close()


def test_the_picture_of_an_element_is_seen_in_marimo(opened):
    picture = opened.page.locator("canvas")
    picture.wait_for()
    expected = np.zeros((20, 20, 4), np.uint8)
    expected[5:15, 5:15, 3] = 255
    np.testing.assert_array_equal(opened.pixels(picture), expected)
    assert opened.console.errors == []
