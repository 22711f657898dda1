"""The contenders side by side in one page of JupyterLab, pressed in turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Locator

from measuring.contenders import CHECKPOINTS
from measuring.page import SlowPage, slow_page
from measuring.stopwatch import Stopwatch, Taken, Watched

WARM_UP = 3
"""Presses of each slider that are not counted."""

RASTER = ":is(.cvw-raster, .cvw-frame)"  # the latter in older trees
MOSAIC = f".cvw-view:has-text('Activation maps') {RASTER}"
MAP = f".cvw-view:has-text('Selected channel') {RASTER}"
BARS = ".cvw-view:has-text('Activation values')"


@dataclass(frozen=True)
class Contender:
    """A cell of the notebook, and what of its output has to change."""

    name: str
    method: str
    """Of `Bench`; contenders that share it share the cell."""
    watched: tuple[tuple[str, str], ...]
    """Selectors below the cell's output, and the kinds of what the stopwatch looks at."""


FRAME_LIMIT = "next animation frame"
KERNEL_LIMIT = "kernel and back"
FORWARD = "bare forward pass"
UNPREPARED = "mosaic view, first move after a new layer"

CONTENDERS = (
    Contender("mosaic, every pixel", "every_pixel", ((MOSAIC, "picture"),)),
    Contender("mosaic view", "mosaic", ((MOSAIC, "picture"),)),
    Contender(UNPREPARED, "unprepared", ((MOSAIC, "picture"),)),
    Contender("Explorer, its mosaic", "explorer", ((MOSAIC, "picture"),)),
    Contender(
        "Explorer, all of its tab",
        "explorer",
        ((MOSAIC, "picture"), (MAP, "picture"), (BARS, "bars")),
    ),
    Contender("interact + matplotlib", "matplotlib", ((".widget-output", "picture"),)),
    Contender("Canvas.put_image_data", "canvas", ((".widget-box", "picture"),)),
    Contender(KERNEL_LIMIT, "echo", ((".widget-box > .widget-label", "text"),)),
)

METHODS = tuple(dict.fromkeys(contender.method for contender in CONTENDERS))


@contextmanager
def starting_line(network: str) -> Iterator[SlowPage]:
    """Give a page on which every contender shows its first checkpoint."""
    cells = [
        f"bench = Bench({network!r}); bench.{METHODS[0]}()",
        *(f"bench.{method}()" for method in METHODS[1:]),
    ]
    with slow_page(cells) as page:
        yield page


class Race:
    """Presses every contender's slider in turn, round after round."""

    def __init__(self, page: SlowPage) -> None:
        self._page = page
        self._stopwatch = Stopwatch(page.page)
        self._places = dict.fromkeys(METHODS, 0)
        self._keys = dict.fromkeys(METHODS, "ArrowRight")
        self._looks: dict[tuple[str, int, str], list[int]] = {}

    def run(self, rounds: int, round_trip: float) -> dict[str, list[float]]:
        """Return the milliseconds of ``rounds`` presses of each, and of bare forward passes."""
        assert self._page.notebook.ask("bench.rest('', 0)"), "no rest"
        self._page.network.round_trip = round_trip
        milliseconds: dict[str, list[float]] = {}
        for number in range(WARM_UP + rounds):
            taken = {contender.name: self._press(contender) for contender in CONTENDERS}
            taken[FRAME_LIMIT] = self._next_frame()
            taken[FORWARD] = self._page.notebook.ask("bench.forward()")
            if number >= WARM_UP:
                for name, time in taken.items():
                    milliseconds.setdefault(name, []).append(time)
        self._page.network.round_trip = 0
        return milliseconds

    def _press(self, contender: Contender) -> float:
        """Return the milliseconds of one step to and fro."""
        layer = self._select_other_layer(contender) if contender.name == UNPREPARED else ""
        taken = self._timed(contender, self._next_key(contender.method))
        place = self._places[contender.method]
        assert self._page.notebook.ask(f"bench.rest({contender.method!r}, {place})"), "no rest"
        self._check_looks(contender, place, layer, taken)
        return taken.milliseconds

    def _next_key(self, method: str) -> str:
        """Return the key that leads on, or back from the last checkpoint to the first."""
        if self._places[method] in (0, CHECKPOINTS - 1):
            self._keys[method] = "ArrowLeft" if self._places[method] else "ArrowRight"
        self._places[method] += 1 if self._keys[method] == "ArrowRight" else -1
        return self._keys[method]

    def _check_looks(self, contender: Contender, place: int, layer: str, taken: Taken) -> None:
        """See that a checkpoint looks as it did before, made ahead or not."""
        kinds = [kind for _, kind in contender.watched]
        # Bars are seen while they are on their way.
        pictures = [look for look, kind in zip(taken.looks, kinds, strict=True) if kind != "bars"]
        known = self._looks.setdefault((contender.name, place, layer), pictures)
        assert known == pictures, f"{contender.name} shows checkpoint {place} in two ways"

    def _select_other_layer(self, contender: Contender) -> str:
        """Return the layer once its picture is seen, before anything can be made ahead."""
        self._stopwatch.watch(self._watched(contender))
        layer = self._page.notebook.ask("bench.other_layer()")
        self._stopwatch.wait()
        return layer

    def _timed(self, contender: Contender, key: str) -> Taken:
        slider = self._output(contender.method).get_by_role("slider").first
        return self._stopwatch.press(slider, key, self._watched(contender))

    def _next_frame(self) -> float:
        slider = self._output("echo").get_by_role("slider").first
        return self._stopwatch.press(slider, "Shift", []).milliseconds

    def _watched(self, contender: Contender) -> Watched:
        output = self._output(contender.method)
        return [(output.locator(selector).first, kind) for selector, kind in contender.watched]

    def _output(self, method: str) -> Locator:
        return self._page.output(METHODS.index(method))
