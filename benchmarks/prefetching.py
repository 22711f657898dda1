"""How much longer a redraw takes while frames of other checkpoints are made ahead.

python benchmarks/prefetching.py            three minutes, on a machine that does nothing else
python benchmarks/prefetching.py --quick    three pairs, to see that it runs
python benchmarks/prefetching.py --to FILE  written elsewhere
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from measuring.contenders import WITH, WITHOUT
from measuring.page import slow_page
from measuring.report import Goal, table, write

ROOT = Path(__file__).parents[1]

RESULT = ROOT / "benchmarks" / "results" / "prefetching.json"

TRIAL = ROOT / "build" / "prefetching-quick.json"

CHECKPOINTS = {"stem": 31, "resnet18": 8}
"""Checkpoints of each network: those of the second take 45 MB each."""

WARM_UP = 3
"""Pairs that are not counted."""

Samples = dict[str, list[float]]


def redraws(network: str, pairs: int) -> tuple[Samples, list[Goal]]:
    """Time going to another checkpoint, in pairs, with the whole Explorer on a page."""
    cell = f"bench = Bench({network!r}, {CHECKPOINTS[network]}); bench.explorer()"
    with slow_page([cell]) as page:
        notebook = page.notebook
        notebook.ask(f"bench.redraws({WARM_UP})")
        taken = notebook.ask(f"bench.redraws({pairs})")
        busy = notebook.ask("bench.were_busy")
    ratios = np.array(taken[WITH]) / np.array(taken[WITHOUT])
    low, high = interval(ratios)
    print(
        f"{network}: {np.median(ratios):.3f} times as long while frames are made ahead "
        f"(95 % interval {low:.3f} to {high:.3f}), which was so in {busy} of {pairs} pairs"
    )
    name = f"a redraw while frames are made ahead, times as long as without, {network}"
    return taken, [Goal(name, float(np.median(ratios)), 1.05)]


def interval(ratios: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the median of ratios (n,), by the bootstrap."""
    drawn = np.random.default_rng(0).choice(ratios, (10_000, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three pairs")
    parser.add_argument("--to", type=Path, help="the JSON file to write")
    options = parser.parse_args()
    pairs = 3 if options.quick else 60
    samples: dict[str, Samples] = {}
    goals = []
    for network in CHECKPOINTS:
        title = f"going to another checkpoint in the Explorer, {network}"
        samples[title], judged = redraws(network, pairs)
        print(table(title, samples[title]), flush=True)
        goals += judged
    print("\n".join(goal.line() for goal in goals))
    path = options.to or (TRIAL if options.quick else RESULT)
    write(path, samples, goals)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
