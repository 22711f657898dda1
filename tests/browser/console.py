"""What a page complains about, less what the platform says on every page of its own."""

from __future__ import annotations

from playwright.sync_api import ConsoleMessage, Page
from playwright.sync_api import Error as PageError

PLATFORM = (
    # Notebook 7 looks for parts of JupyterLab that it does not bring along.
    "reading 'schema'",
    "Command 'filebrowser:open-path' not registered",
    # Notebook 7 asks for its icon font under an address that its server refuses.
    ".woff2",
    # bqplot measures a figure whose tab was left while it was made; shown again, it is made anew.
    "<rect> attribute width: A negative value",
    "<rect> attribute height: A negative value",
    # Voila loads Notebook 7's extension of JupyterLab, which needs a newer JupyterLab than Voila's.
    "shared module is not a function",
)


class Console:
    """The errors of one page, collected from the moment it is made."""

    def __init__(self, page: Page, url: str) -> None:
        self._url = url
        self.errors: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", self._raised)

    def _said(self, message: ConsoleMessage) -> None:
        place = message.location["url"]
        if message.type == "error" and (not place or place.startswith(self._url)):
            self._note(f"{message.text} [{place}]")

    def _raised(self, error: PageError) -> None:
        self._note(error.stack or error.message)

    def _note(self, text: str) -> None:
        if not any(known in text for known in PLATFORM):
            self.errors.append(text)
