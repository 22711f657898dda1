"""What a pointer over a mosaic costs: messages to the kernel, and frames until a tile is named.

python benchmarks/hovering.py            a minute, on a machine that does nothing else
python benchmarks/hovering.py --quick    over twenty tiles, to see that it runs
python benchmarks/hovering.py --to FILE  written elsewhere
"""

from __future__ import annotations

import argparse
from pathlib import Path

from measuring.page import ROUND_TRIPS, SlowPage, slow_page
from measuring.race import MOSAIC
from measuring.report import Goal, table, write
from measuring.stopwatch import Stopwatch, Taken
from playwright.sync_api import BrowserContext, WebSocket

ROOT = Path(__file__).parents[1]

RESULT = ROOT / "benchmarks" / "results" / "hovering.json"

TRIAL = ROOT / "build" / "hovering-quick.json"

VIEW = ".cvw-view:has-text('Activation maps')"

TILES = 200


class Sent:
    """Counts the messages of widgets that a page sends to its kernel."""

    def __init__(self) -> None:
        self.count = 0

    def listen(self, context: BrowserContext) -> None:
        """Count what is sent through all sockets that pages will open."""
        context.on("page", lambda page: page.on("websocket", self._opened))

    def _opened(self, socket: WebSocket) -> None:
        socket.on("framesent", self._sent)

    def _sent(self, content: str | bytes) -> None:
        raw = content.encode() if isinstance(content, str) else content
        self.count += b'"comm_msg"' in raw


def hover(page: SlowPage, tiles: int) -> list[Taken]:
    """Move the pointer from tile to tile; return what the page saw of each move."""
    stopwatch = Stopwatch(page.page)
    view = page.output(0).locator(VIEW).first
    box = view.locator(MOSAIC.removeprefix(VIEW)).locator("canvas").first.bounding_box()
    assert box is not None
    taken = []
    page.page.mouse.move(0, 0)
    selected, *others = page.notebook.ask("bench.tiles()")
    for x, y in [*others, selected][:tiles]:  # at first the label is that of the selected one
        page.page.wait_for_timeout(20)
        stopwatch.arm("mousemove", [(view, "text")])
        page.page.mouse.move(box["x"] + x, box["y"] + y)
        taken.append(stopwatch.result())
    return taken


def measured(tiles: int) -> tuple[dict[str, list[float]], list[Goal]]:
    """Return the milliseconds from move to label, and what has to hold."""
    sent = Sent()
    times: dict[str, list[float]] = {}
    goals = []
    with slow_page(["bench = Bench('many maps'); bench.mosaic()"], sent.listen) as page:
        assert page.notebook.ask("bench.rest('mosaic', 0)"), "no rest"
        for round_trip in ROUND_TRIPS:
            page.network.round_trip = round_trip
            name = f"{round_trip} ms of network"
            before = sent.count
            taken = hover(page, tiles)
            page.page.wait_for_timeout(500)  # for what waits until the pointer rests
            late = sum(each.frames > 0 for each in taken)
            times[name] = [each.milliseconds for each in taken]
            goals += [
                Goal(f"messages to the kernel, {name}", sent.count - before, 0),
                Goal(f"labels later than the next animation frame, {name}", late, 0),
            ]
    return times, goals


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="over twenty tiles")
    parser.add_argument("--to", type=Path, help="the JSON file to write")
    options = parser.parse_args()
    tiles = TILES // 10 if options.quick else TILES
    times, goals = measured(tiles)
    title = f"hovering over {tiles} tiles, from the move of the pointer to the label"
    print(table(title, times))
    print("\n".join(goal.line() for goal in goals))
    path = options.to or (TRIAL if options.quick else RESULT)
    write(path, {title: times}, goals)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
