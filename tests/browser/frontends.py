"""The ways to a notebook: JupyterLab, Notebook 7 and Voila, all from one server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, BrowserContext
from playwright.sync_api import Error as BrowserError

from .console import Console
from .pages import PATIENCE, NotebookPage, WidgetPage
from .server import Server

Notebook = Path | Sequence[str]
"""A notebook's file, or the sources of its code cells."""

WINDOW = {"width": 1280, "height": 1000}

_numbers = count(1)


class Frontends:
    """Opens notebooks and, in the end, closes their pages and kernels together."""

    def __init__(self, browser: Browser, server: Server, window: dict[str, int] = WINDOW) -> None:
        self._server = server
        self._context: BrowserContext = browser.new_context(viewport=window)
        self._context.set_default_timeout(PATIENCE * 1000)
        self._consoles: list[Console] = []
        self._files: list[Path] = []

    def lab(self, notebook: Notebook, theme: str = "light", *, run: bool = True) -> NotebookPage:
        """Open a notebook in JupyterLab, sidebar open, and run all cells."""
        name = self._write(notebook)
        return self._notebook(f"/lab/workspaces/{name}/tree/{name}.ipynb?reset", theme, run)

    def notebook7(
        self, notebook: Notebook, theme: str = "light", *, run: bool = True
    ) -> NotebookPage:
        """Open a notebook in Notebook 7 and run all cells."""
        return self._notebook(f"/notebooks/{self._write(notebook)}.ipynb", theme, run)

    def voila(self, notebook: Notebook, theme: str = "light") -> WidgetPage:
        """Open a notebook in Voila, which runs it."""
        url = f"{self._server.url}/voila/render/{self._write(notebook)}.ipynb?theme={theme}"
        page, console = self._page()
        opened = WidgetPage(page, url, console)
        opened.open()
        return opened

    def take_errors(self) -> list[str]:
        """Return what the pages have complained about since this was last asked."""
        errors = [error for console in self._consoles for error in console.errors]
        for console in self._consoles:
            console.errors.clear()
        return errors

    def close(self) -> None:
        """Close the pages, end their kernels, remove the notebooks."""
        with suppress(BrowserError):  # a browser that crashed has closed them already
            self._context.close()
        self._server.delete_sessions()
        for file in self._files:
            file.unlink()

    def _notebook(self, address: str, theme: str, run: bool) -> NotebookPage:
        page, console = self._page()
        opened = NotebookPage(page, self._server.url + address, console)
        opened.open()
        opened.wear(theme)
        if run:
            opened.run_all()
        return opened

    def _page(self) -> tuple:
        page = self._context.new_page()
        console = Console(page, self._server.url)
        self._consoles.append(console)
        return page, console

    def _write(self, notebook: Notebook) -> str:
        """Put a notebook, emptied of outputs, into the server's root; return its stem."""
        content = (
            nbformat.read(notebook, as_version=4)
            if isinstance(notebook, Path)
            else nbformat.v4.new_notebook(cells=_code_cells(notebook))
        )
        # Without a kernel's name the page asks for one in a dialog and waits.
        content.metadata["kernelspec"] = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
        name = notebook.stem if isinstance(notebook, Path) else "cells"
        name = f"{name}-{next(_numbers)}"
        file = self._server.root / f"{name}.ipynb"
        nbformat.write(content, file)
        self._files.append(file)
        return name


def _code_cells(sources: Iterable[str]) -> list:
    return [nbformat.v4.new_code_cell(source.strip()) for source in sources]
