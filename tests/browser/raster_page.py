"""A raster as a user meets it: what the screen shows of it, its tiles, its scroll bars."""

from __future__ import annotations

import base64
import io
from itertools import product

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page

from .pages import WidgetPage

VIEW = """view => {
    const box = view.getBoundingClientRect()
    return [box.left, box.top, view.clientWidth, view.clientHeight]
}"""

BACKGROUND = """view => {
    const probe = document.createElement('canvas').getContext('2d')
    probe.fillStyle = getComputedStyle(view).backgroundColor
    probe.fillRect(0, 0, 1, 1)
    return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3)
}"""

TWO_FRAMES = "() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))"

SCROLLED = """element => {
    for (let at = element.parentElement; at; at = at.parentElement) {
        const how = getComputedStyle(at).overflowY
        if (['auto', 'scroll'].includes(how) && at.scrollHeight > at.clientHeight) {
            return at
        }
    }
}"""

IS_IN_VIEW = """raster => {
    const outline = raster.querySelector('.cvw-outline').getBoundingClientRect()
    const view = raster.querySelector('.cvw-scroll').getBoundingClientRect()
    return outline.top >= view.top && outline.bottom <= view.bottom
        && outline.left >= view.left && outline.right <= view.right
}"""


class RasterPage:
    """The ``place``-th raster of a page.

    Parameters
    ----------
    opened
        The page.
    place
        Which of its rasters.
    """

    def __init__(self, opened: WidgetPage, place: int) -> None:
        self.opened, self.page = opened, opened.page
        self.root = opened.page.locator(".cvw-raster:has(.cvw-scroll)").nth(place)
        self.view = self.root.locator(".cvw-scroll")
        self.room = self.root.locator(".cvw-room")
        self.canvas = self.root.locator("canvas.cvw-picture")
        self.outline = self.root.locator(".cvw-outline")

    # -- what there is ------------------------------------------------------------------------

    def picture(self) -> np.ndarray:
        """Return the picture on the page's own ground, uint8 (H, W, 3), unscaled."""
        pixels = self.opened.pixels(self.canvas)
        ground = np.array(self.view.evaluate(BACKGROUND), np.uint8)
        return np.where(pixels[..., 3:] > 0, pixels[..., :3], ground)

    def on(self, screen: Screen) -> np.ndarray:
        """Return what the screen shows of the picture, uint8 (h, w, 3), in its own pixels."""
        left, top, width, height = self.view.evaluate(VIEW)
        ratio = screen.ratio
        # An edge may lie within a pixel of the screen, which then shows what is beside it, too.
        down = slice(int(top * ratio) + 1, int((top + height) * ratio) - 1)
        right = slice(int(left * ratio) + 1, int((left + width) * ratio) - 1)
        return screen.pixels()[down, right]

    def tile(self, number: int) -> Locator:
        """Return a tile, as a screen reader finds it."""
        return self.room.get_by_role("gridcell").nth(number)

    def columns(self) -> int:
        """Return how many tiles there are in a row."""
        return self.room.get_by_role("row").first.get_by_role("gridcell").count()

    def active(self) -> int:
        """Return the number of the tile that is led to by keys."""
        cells = self.room.get_by_role("gridcell")
        return cells.evaluate_all(
            "(cells, id) => cells.findIndex(cell => cell.id === id)",
            self.room.get_attribute("aria-activedescendant"),
        )

    def is_in_view(self) -> bool:
        """Tell whether all of the selected tile can be seen in the frame."""
        return self.root.evaluate(IS_IN_VIEW)

    # -- scroll bars --------------------------------------------------------------------------

    def scrolled(self) -> float:
        """Return how far the picture is scrolled."""
        return self.view.evaluate("view => view.scrollTop")

    def scroll(self, top: float) -> None:
        """Scroll the picture."""
        self.view.evaluate("(view, top) => { view.scrollTop = top }", top)

    def bring_into_view(self) -> None:
        """Scroll the page until the picture is in the middle of the window."""
        self.root.evaluate("root => root.scrollIntoView({ block: 'center' })")

    def page_scrolled(self) -> float:
        """Return how far the page around is scrolled."""
        return self.root.evaluate_handle(SCROLLED).evaluate("page => page.scrollTop")

    def scroll_page_to(self, top: float) -> None:
        """Scroll the page around."""
        page = self.root.evaluate_handle(SCROLLED)
        page.evaluate("(page, top) => { page.scrollTop = top }", top)

    def turn_wheel(self, by: float) -> None:
        """Turn the wheel with the pointer on the picture."""
        left, top, width, height = self.view.evaluate(VIEW)
        self.page.mouse.move(left + width / 2, top + height / 2)
        self.page.mouse.wheel(0, by)
        self.page.wait_for_timeout(300)  # no more of one turn is to be seen

    # -- pointer ------------------------------------------------------------------------------

    def middle_of(self, number: int) -> tuple[float, float]:
        """Return the middle of a tile, in CSS pixels of the window."""
        row, column = divmod(number, self.columns())
        box = self.canvas.bounding_box()
        rows = self.room.get_by_role("row").count()
        return (
            box["x"] + box["width"] * (column + 0.5) / self.columns(),
            box["y"] + box["height"] * (row + 0.5) / rows,
        )


class Screen:
    """The screen that a page is on, which may have more pixels, or be zoomed."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._session = page.context.new_cdp_session(page)
        self.ratio = 1.0
        """Pixels of the screen for one of CSS."""

    def change(self, ratio: float) -> None:
        """Have so many pixels of the screen for one of CSS."""
        size = {"width": max(1280, int(1280 / ratio)), "height": max(1000, int(1000 / ratio))}
        whole = size | {"deviceScaleFactor": ratio, "mobile": False}
        self._session.send("Emulation.setDeviceMetricsOverride", whole)
        self._page.wait_for_function(
            "ratio => Math.abs(devicePixelRatio - ratio) < 1e-3", arg=ratio
        )
        self._page.evaluate(TWO_FRAMES)
        self.ratio = ratio

    def pixels(self) -> np.ndarray:
        """Return what the window shows, uint8 (h, w, 3), in pixels of the screen."""
        shot = self._session.send(
            "Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True}
        )["data"]
        with Image.open(io.BytesIO(base64.b64decode(shot))) as picture:
            return np.asarray(picture.convert("RGB"))

    def close(self) -> None:
        """Go back to the screen that was there before."""
        self._session.send("Emulation.clearDeviceMetricsOverride")
        self._session.detach()
        self._page.set_viewport_size(self._page.viewport_size)


def without_repeats(pixels: np.ndarray) -> np.ndarray:
    """Return pixels without the rows and columns that equal the one before."""
    for axis in (0, 1):
        lines = np.moveaxis(pixels, axis, 0)
        differs = [True, *(lines[1:] != lines[:-1]).reshape(len(lines) - 1, -1).any(axis=1)]
        pixels = np.compress(differs, pixels, axis=axis)
    return pixels


MORE = (0, 1, 2, 3, -1)
"""How many more pixels of a picture may be seen: in part, or in place of some at the near edges."""


def is_whole_and_sharp(screen: np.ndarray, picture: np.ndarray, scale: float) -> bool:
    """Tell whether a screen shows every pixel of a picture from its corner on, and no other colour.

    ``scale`` is how many pixels of the screen one of the picture takes, 1 or more: some of them
    take one more than others, and that is all that may happen to them.
    """
    shown = without_repeats(screen)
    height, width = (int(length / scale) for length in screen.shape[:2])
    around = product((height + by for by in MORE), (width + by for by in MORE))
    return any(
        np.array_equal(without_repeats(picture[:down, :right]), shown) for down, right in around
    )
