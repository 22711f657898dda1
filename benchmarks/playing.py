"""How many new pictures a second a user sees who plays the checkpoints.

python benchmarks/playing.py            a minute or two, on a machine that does nothing else
python benchmarks/playing.py --quick    each once, to see that it runs
python benchmarks/playing.py --to FILE  written elsewhere

The page looks at the mosaic in every animation frame. Each picture that it finds must be that of
one of the checkpoints, as seen when the slider stops there, and come after those before it.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from statistics import median

from measuring.page import ROUND_TRIPS, SlowPage, slow_page
from measuring.race import MOSAIC
from measuring.report import Goal, table, write
from measuring.stopwatch import Stopwatch

ROOT = Path(__file__).parents[1]

RESULT = ROOT / "benchmarks" / "results" / "playing.json"

TRIAL = ROOT / "build" / "playing-quick.json"

CHECKPOINTS = 31

RATES = {30: 28, 60: 56}
"""Checkpoints a second that are asked for, and new pictures a second that have to be seen."""


class Player:
    """Plays the checkpoints of a mosaic view from the first to the last."""

    def __init__(self, page: SlowPage) -> None:
        self._page = page
        self._stopwatch = Stopwatch(page.page)
        self._mosaic = page.output(0).locator(MOSAIC).first
        self._slider = page.output(0).get_by_role("slider").first
        self._looks = self._walk()

    def play(self) -> list[float]:
        """Return when each new picture was seen, in milliseconds of the page."""
        self._go_to_first()
        self._stopwatch.film(self._mosaic)
        self._page.output(0).get_by_role("button", name="play the checkpoints").click()
        self._rest(CHECKPOINTS - 1)
        self._page.page.wait_for_timeout(200 + self._page.network.round_trip)
        seen = self._stopwatch.cut()
        places = [self._looks.index(look) for _, look in seen]
        assert places == sorted(set(places)), f"the checkpoints came in this order: {places}"
        assert (places[0], places[-1]) == (0, CHECKPOINTS - 1)
        return [time for time, _ in seen[1:]]

    def _walk(self) -> list[int]:
        """Return the look of each checkpoint, seen one by one."""
        self._rest(0)
        self._stopwatch.film(self._mosaic)
        for place in range(1, CHECKPOINTS):
            self._slider.press("ArrowRight")
            self._rest(place)
            self._page.page.wait_for_timeout(100)
        looks = [look for _, look in self._stopwatch.cut()]
        assert len(set(looks)) == len(looks) == CHECKPOINTS
        return looks

    def _go_to_first(self) -> None:
        self._slider.press("Home")
        self._rest(0)
        self._page.page.wait_for_timeout(200 + self._page.network.round_trip)

    def _rest(self, place: int) -> None:
        assert self._page.notebook.ask(f"bench.rest('mosaic', {place})"), "no rest"


def measured(rounds: int) -> tuple[dict[str, list[float]], list[Goal]]:
    """Return the milliseconds from one new picture to the next, and what they have to be."""
    intervals: dict[str, list[float]] = {}
    goals = []
    with slow_page([f"bench = Bench('stem', {CHECKPOINTS}); bench.mosaic()"]) as page:
        player = Player(page)
        for round_trip in ROUND_TRIPS:
            page.network.round_trip = round_trip
            for rate, wanted in RATES.items():
                page.notebook.ask(f"bench.set_rate({rate})")
                name = f"{rate} a second, {round_trip} ms of network"
                plays = [player.play() for _ in range(rounds)]
                intervals[name] = [b - a for play in plays for a, b in pairwise(play)]
                seen = [1000 * (len(play) - 1) / (play[-1] - play[0]) for play in plays]
                goals.append(
                    Goal(f"new pictures a second, {name}", median(seen), wanted, at_least=True)
                )
    return intervals, goals


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="each once, to see that it runs")
    parser.add_argument("--to", type=Path, help="the JSON file to write")
    options = parser.parse_args()
    intervals, goals = measured(1 if options.quick else 5)
    title = f"playing {CHECKPOINTS} checkpoints, from one new picture to the next"
    print(table(title, intervals))
    print("\n".join(goal.line() for goal in goals))
    path = options.to or (TRIAL if options.quick else RESULT)
    write(path, {title: intervals}, goals)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
