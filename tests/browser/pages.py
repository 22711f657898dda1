"""A notebook as the browser shows it: run it, ask its kernel, read its pixels."""

from __future__ import annotations

import ast
import base64
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page

from .console import Console

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"

PATIENCE = 180.0
"""Seconds to wait for anything; a machine that is busy is slow, not wrong."""

TRAINING = 900.0
"""Seconds for a notebook's cells: the first look at a demonstration trains its network."""

VOILA_IS_DONE = """() => {
    const spinner = document.getElementById('loading')
    return document.readyState === 'complete' && (spinner?.style.display ?? 'none') === 'none'
}"""

KERNEL = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel"

RUN_ALL = """() => {
    window.cvwRan = false
    jupyterapp.commands.execute('notebook:run-all-cells').then(() => { window.cvwRan = true })
}"""

RUN_CELL = """async index => {
    jupyterapp.shell.currentWidget.content.activeCellIndex = index
    await jupyterapp.commands.execute('notebook:run-cell')
}"""

START_CELL = """index => {
    jupyterapp.shell.currentWidget.content.activeCellIndex = index
    jupyterapp.commands.execute('notebook:run-cell')
}"""

SAVE = "async () => { await jupyterapp.commands.execute('docmanager:save') }"

CHANGE_THEME = """async theme => {
    await jupyterapp.commands.execute('apputils:change-theme', { theme })
}"""

CELL_ERRORS = """() => jupyterapp.shell.currentWidget.content.widgets
    .flatMap(cell => cell.model.toJSON().outputs ?? [])
    .filter(output => output.output_type === 'error')
    .map(output => `${output.ename}: ${output.evalue}`)"""

ASK = """async expression => {
    const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel
    const request = { code: '', silent: true, user_expressions: { value: expression } }
    return (await kernel.requestExecute(request).done).content.user_expressions.value
}"""

# A picture that is replaced while it is read has an address that is good no more.
IMAGE_BYTES = """async image => {
    for (;;) {
        const blob = await fetch(image.src).then(reply => reply.blob()).catch(() => null)
        if (blob?.type.startsWith('image/')) {
            const bytes = new Uint8Array(await blob.arrayBuffer())
            return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(''))
        }
        await new Promise(requestAnimationFrame)
    }
}"""

CANVAS_BYTES = "canvas => canvas.toDataURL('image/png').split(',')[1]"

# A box is too wide for what it holds when it scrolls sideways or, being a box of widgets, cuts
# something off. A select cuts long names on purpose; 4 px are the margins of two widgets.
TOO_WIDE = """root => [root, ...root.querySelectorAll('*')]
    .filter(e => e.clientWidth > 0)
    .map(e => [e, e.scrollWidth - e.clientWidth, getComputedStyle(e).overflowX])
    .filter(([e, excess, overflow]) => e === root || ['auto', 'scroll'].includes(overflow)
        ? excess > 1
        : overflow === 'hidden' && e.matches('.widget-box') && excess > 4)
    .map(([e, excess]) => `${e.tagName}.${e.className} is too narrow by ${excess} px`)"""


class WidgetPage:
    """A page that shows widgets; this much Voila can do, too."""

    output = "body"
    """The part of the page that the widgets may fill."""

    def __init__(self, page: Page, url: str, console: Console) -> None:
        self.page = page
        self.url = url
        self.console = console

    def open(self) -> None:
        """Load the page and wait until its cells have been run."""
        self.page.goto(self.url)
        self.page.wait_for_function(VOILA_IS_DONE)

    def until(self, condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
        """Return ``condition()`` once it is true; AssertionError with ``what`` was waited for."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            self.page.wait_for_timeout(20)
        raise AssertionError(f"waited {patience:.0f} s in vain: {what}")

    def pixels(self, element: Locator) -> np.ndarray:
        """Return what an <img> or <canvas> holds, uint8 (H, W, 4), unscaled."""
        tag = element.evaluate("element => element.tagName")
        encoded = element.evaluate(IMAGE_BYTES if tag == "IMG" else CANVAS_BYTES)
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
            return np.asarray(picture.convert("RGBA"))

    def changed(self, element: Locator, before: np.ndarray) -> np.ndarray:
        """Wait until an element's pixels differ from ``before``; return the new ones."""

        def different() -> list[np.ndarray]:
            now = self.pixels(element)
            return [] if np.array_equal(now, before) else [now]

        return self.until(different, "the pixels never changed")[0]

    def too_wide(self) -> list[str]:
        """Return the boxes that have a horizontal scroll bar, or cut off what they hold."""
        return [
            line
            for root in self.page.locator(self.output).all()
            for line in root.evaluate(TOO_WIDE)
        ]

    def screenshot(self, name: str, height: int | None = None) -> Path:
        """Write what the window shows, ``height`` pixels high, to ``build/screenshots``."""
        path = SCREENSHOTS / f"{name}.png"
        before = self.page.viewport_size
        if height is not None:
            self.page.set_viewport_size({"width": before["width"], "height": height})
        self.page.screenshot(path=path)
        self.page.set_viewport_size(before)
        return path


class NotebookPage(WidgetPage):
    """A notebook with a kernel that can be asked, in JupyterLab or Notebook 7."""

    output = ".jp-OutputArea-output"

    def open(self) -> None:
        """Load the page and wait until its kernel is idle."""
        self.page.goto(self.url)
        self.wait_idle()

    def wait_idle(self) -> None:
        """Return when the notebook has a kernel and the kernel has nothing to do."""
        self.page.wait_for_function(f"{KERNEL}?.status === 'idle'")

    def run_all(self, patience: float = PATIENCE) -> None:
        """Run all cells; AssertionError for a cell that raises."""
        self.start_all()
        self.page.wait_for_function("window.cvwRan", timeout=patience * 1000)
        self.wait_idle()
        errors = self.page.evaluate(CELL_ERRORS)
        assert not errors, errors

    def start_all(self) -> None:
        """Run all cells, and return while they run."""
        self.page.evaluate(RUN_ALL)

    def start_cell(self, index: int) -> None:
        """Run one cell, and return while it runs."""
        self.page.evaluate(START_CELL, index)
        self.page.wait_for_function(f"{KERNEL}?.status === 'busy'")

    def run_cell(self, index: int) -> None:
        """Run one cell, and wait until it has been run."""
        self.page.evaluate(RUN_CELL, index)
        self.wait_idle()

    def ask(self, expression: str) -> Any:
        """Return the value of a Python expression in the kernel; it has to be JSON-able."""
        reply = self.page.evaluate(ASK, f"__import__('json').dumps({expression})")
        assert reply["status"] == "ok", f"{expression}: {reply}"
        return json.loads(ast.literal_eval(reply["data"]["text/plain"]))

    def save(self) -> None:
        """Save the notebook, outputs included."""
        self.page.evaluate(SAVE)

    def reload(self) -> None:
        """Load the page again; the kernel keeps running, and no cell is run."""
        self.page.reload()
        self.wait_idle()

    def wear(self, theme: str) -> None:
        """Change to the "light" or "dark" theme; a new page has the one that was worn last."""
        name = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}[theme]
        self.page.evaluate(CHANGE_THEME, name)
        self.page.wait_for_function(
            "light => document.body.dataset.jpThemeLight === light",
            arg=str(theme == "light").lower(),
        )
