"""The browser that the tests drive: the system's Chromium, else the one Playwright installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Only our own server exists: what a page asks of other hosts fails at once, everywhere alike.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]

MISSING = (
    "no Chromium for the browser tests: install it with `apt-get install chromium`, "
    "or with `python -m playwright install --with-deps chromium`"
)


class BrowserMissingError(RuntimeError):
    """There is no browser to drive; the message says what to install."""


@contextmanager
def chromium() -> Iterator[Any]:
    """Give a headless Chromium and close it; BrowserMissingError when there is none."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise BrowserMissingError("no Playwright: `pip install playwright`") from error
    with sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, NAMES)), None)
        try:
            browser = playwright.chromium.launch(
                executable_path=path,
                args=ARGUMENTS,
                # Scroll bars take room in a user's browser, so they take it here.
                ignore_default_args=["--hide-scrollbars"],
            )
        except Error as error:
            if path is None:
                raise BrowserMissingError(MISSING) from error
            raise
        try:
            yield browser
        finally:
            browser.close()
