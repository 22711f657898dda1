"""What a page and its kernel hold after a thousand other layers, and after 500 views were closed.

python benchmarks/page_memory.py            eight minutes
python benchmarks/page_memory.py --quick    a few of each, to see that it runs
python benchmarks/page_memory.py --to FILE  written elsewhere
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean, stdev

from measuring.page import SlowPage, slow_page
from measuring.page_memory import PageMemory, count_urls
from measuring.report import Goal, table, write

ROOT = Path(__file__).parents[1]

RESULT = ROOT / "benchmarks" / "results" / "page_memory.json"

TRIAL = ROOT / "build" / "page_memory-quick.json"

CHECKPOINTS = 31

CHANGES = 10
"""Changes of the layer from one look at the memory to the next."""

WARM_UP = 10
"""Cycles after which all is there that comes but once."""

EXACT = ("widgets", "views", "observers", "canvases", "object URLs", "models of widgets")
"""Of these not one may be left; of the others there are always some more or fewer."""

Samples = dict[str, list[float]]


def memory(hundreds: int) -> tuple[Samples, list[Goal]]:
    """Return the megabytes of the page after every ten changes of the layer, once at rest."""
    held: Samples = {}
    cell = f"bench = Bench('stem', {CHECKPOINTS}); bench.explorer()"
    with slow_page([cell], count_urls) as page:
        looks = PageMemory(page.page)
        for _ in range(hundreds * 100 // CHANGES):
            page.notebook.ask(f"bench.change_layers({CHANGES})")
            assert page.notebook.ask("bench.rest('explorer', 0)"), "no rest"
            for name, megabytes in looks.megabytes().items():
                held.setdefault(name, []).append(megabytes)
    return held, [flat(name, megabytes, 100 * hundreds) for name, megabytes in held.items()]


def flat(name: str, megabytes: list[float], changes: int) -> Goal:
    """Judge by the second hundred changes: the last hundred is above it by noise alone."""
    each = 100 // CHANGES
    second, last = megabytes[each : 2 * each], megabytes[-each:]
    noise = 2 * max(stdev(second), stdev(last))
    text = f"memory of the page, {name}: from the second to the last hundred of {changes} layers"
    return Goal(text, fmean(last) - fmean(second), noise, " MB")


def left_behind(cycles: int) -> list[Goal]:
    """Open and close views; return what there is more of afterwards, in page and kernel."""
    cell = f"bench = Bench('stem', {CHECKPOINTS}); bench.stage()"
    with slow_page([cell], count_urls) as page:
        holds = PageMemory(page.page)
        holds.let_go_of_comms()
        for number in range(WARM_UP):
            open_and_close(page, number)
        before = left(page, holds)
        for number in range(cycles):
            open_and_close(page, number)
        after = left(page, holds)
    return [
        Goal(
            f"{name} left by {cycles} cycles, {before[name]:,} before",
            after[name] - before[name],
            0 if name in EXACT else cycles // 10,
        )
        for name in before
    ]


def open_and_close(page: SlowPage, number: int) -> None:
    """Show four views and take them away, sometimes while frames for them are under way."""
    page.notebook.ask("bench.open_views()")
    views = page.output(0).locator(".cvw-view")
    page.notebook.until(lambda: views.count() == 4, "the views never came")
    page.page.wait_for_timeout(300 if number % 5 == 0 else 20)
    page.notebook.ask("bench.close_views()")
    page.notebook.until(lambda: views.count() == 0, "the views never went")


def left(page: SlowPage, holds: PageMemory) -> dict[str, int]:
    """Return how many there are of all that a view may leave behind."""
    page.page.wait_for_timeout(1000)
    return page.notebook.ask("bench.left()") | holds.counts()


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few, to see that it runs")
    parser.add_argument("--to", type=Path, help="the JSON file to write")
    options = parser.parse_args()
    hundreds, cycles = (2, 10) if options.quick else (10, 500)
    goals = left_behind(cycles)
    held, judged = memory(hundreds)
    goals += judged
    title = f"memory of the page over {100 * hundreds:,} changes of the layer"
    print(table(title, held, "MB"))
    print("\n".join(goal.line() for goal in goals))
    path = options.to or (TRIAL if options.quick else RESULT)
    write(path, {title: held}, goals, "MB")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
