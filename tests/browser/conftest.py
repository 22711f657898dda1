"""One JupyterLab server and one Chromium for all browser tests, fresh kernels for each module."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from .chromium import BrowserMissingError, chromium
from .frontends import Frontends
from .pages import PATIENCE
from .server import Server

expect.set_options(timeout=PATIENCE * 1000)  # in place of 5 s, which a busy machine exceeds


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


def pytest_terminal_summary(terminalreporter):
    """Print what axe-core found, whether or not the test passed, and in whatever process it ran."""
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, text in report.user_properties:
            if name == "accessibility":
                terminalreporter.section("accessibility")
                terminalreporter.write_line(text)


@pytest.fixture(scope="session")
def browser():
    missing = None
    try:
        with chromium() as browser:
            yield browser
    except BrowserMissingError as error:
        missing = str(error)
    if missing:  # outside the except clause: one line, no chain of exceptions
        pytest.fail(missing, pytrace=False)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("jupyter"))
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def frontends(browser, server):
    frontends = Frontends(browser, server)
    yield frontends
    frontends.close()


@pytest.fixture(scope="module")
def lab(frontends):
    """``lab(notebook, theme="light", run=True)`` opens a notebook's file, or a list of cells."""
    return frontends.lab


@pytest.fixture(scope="module")
def notebook7(frontends):
    return frontends.notebook7


@pytest.fixture(scope="module")
def voila(frontends):
    return frontends.voila


@pytest.fixture(autouse=True)
def _no_console_error(frontends):
    yield
    errors = frontends.take_errors()
    assert not errors, "\n".join(errors)
