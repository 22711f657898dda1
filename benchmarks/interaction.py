"""How long a user waits: from a key on the checkpoint slider to new pixels, and in the kernel.

python benchmarks/interaction.py            six minutes, on a machine that does nothing else
python benchmarks/interaction.py --page     the races on the page alone
python benchmarks/interaction.py --quick    three rounds of all, to see that it runs
python benchmarks/interaction.py --to FILE  written elsewhere

What the kernel makes ahead is there before a key is pressed, but in the line that says otherwise.
An older tree of this package is measured with its folder in PYTHONPATH, and a ``--to`` of its own.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

from measuring.kernel import many_checkpoints, recording_beside_forward
from measuring.page import ROUND_TRIPS, slow_page
from measuring.race import UNPREPARED, Race, starting_line
from measuring.report import Goal, table, write

ROOT = Path(__file__).parents[1]

RESULT = ROOT / "benchmarks" / "results" / "interaction.json"

TRIAL = ROOT / "build" / "interaction-quick.json"
"""Three rounds say nothing, and a part is not all: they are not kept beside the results."""

MAPS = "64 maps of 112×112"

RACES = {"stem": ROUND_TRIPS, "resnet18": (0,)}
"""Networks, and the milliseconds of network delay at which each is raced."""

BEFORE_DATE = "2026-11-28"

BEFORE = {0: 65.0, 150: 220.0}
"""What `UNPREPARED` took when no frames were made ahead: milliseconds by delay, stem, median."""

Samples = dict[str, list[float]]


def races(network: str, rounds: int, round_trips: tuple[int, ...]) -> dict[str, Samples]:
    """Return the milliseconds from key to pixels, at each delay of the network."""
    with starting_line(network) as page:
        race = Race(page)
        return {
            f"slider key to new pixels, {network}, {MAPS}, {round_trip} ms of network": race.run(
                rounds, round_trip
            )
            for round_trip in round_trips
        }


def channel_switches(count: int) -> list[float]:
    """Return the milliseconds that selecting another of 512 channels takes in the kernel."""
    with slow_page(["bench = Bench('resnet18'); bench.explorer()"]) as page:
        page.page.wait_for_timeout(500)
        assert page.notebook.ask("bench.rest('explorer', 0)"), "no rest"
        return page.notebook.ask(f"bench.channel_switches({count})")


def page_goals(here: Samples, far: Samples) -> list[Goal]:
    """Judge what is seen with a kernel on this machine, and with one far away."""
    near, distant = ({name: median(times) for name, times in each.items()} for each in (here, far))
    goals = []
    for name in ("mosaic view", "mosaic, every pixel"):
        beyond = distant[name] - near[name]
        goals.append(Goal(f"{name}, 0 ms of network", near[name], 50, " ms"))
        goals.append(Goal(f"{name}, what 150 ms of network add", beyond, 10, " ms"))
    for middle, round_trip, limit in ((near, 0, 10), (distant, 150, 20)):
        times = middle["interact + matplotlib"] / middle["mosaic, every pixel"]
        name = f"mosaic, every pixel, times as fast as matplotlib, {round_trip} ms of network"
        goals.append(Goal(name, times, limit, at_least=True))
        name = f"{UNPREPARED}, {round_trip} ms of network, no slower than on {BEFORE_DATE}"
        goals.append(Goal(name, middle[UNPREPARED], BEFORE[round_trip], " ms"))
    return goals


def in_kernel(quick: bool) -> tuple[dict[str, Samples], list[Goal]]:
    """Time what no page has a part in, and print it."""
    pairs, rounds = (3, 5) if quick else (40, 100)
    recording = recording_beside_forward(pairs)
    channels = {"another of 512 channels": channel_switches(6 if quick else 50)}
    checkpoints = many_checkpoints(10_000, 10, rounds)
    samples = {
        "in the kernel, ResNet-18 shape": recording | channels,
        "10,000 checkpoints in a directory": checkpoints,
    }
    print("\n".join(table(title, taken) for title, taken in samples.items()))
    return samples, kernel_goals(recording, channels, checkpoints)


def kernel_goals(recording: Samples, channels: Samples, checkpoints: Samples) -> list[Goal]:
    """Judge recording, channels and large directories."""
    ratios = [
        recorded / bare
        for bare, recorded in zip(recording["bare"], recording["recorded"], strict=True)
    ]
    among = {name: median(checkpoints[f"among {name}"]) for name in ("many", "few")}
    return [
        Goal("recording every layer, times the bare forward pass", median(ratios), 1.25),
        Goal("switching channel", median(channels["another of 512 channels"]), 30, " ms"),
        Goal("opening 10,000 checkpoints", median(checkpoints["opening"]) / 1000, 2, " s"),
        Goal("scrubbing 10,000, times as long as 10", among["many"] / among["few"], 1.1),
    ]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three rounds, to see that it runs")
    parser.add_argument("--page", action="store_true", help="the races on the page alone")
    parser.add_argument("--to", type=Path, help="the JSON file to write")
    options = parser.parse_args()
    rounds = 3 if options.quick else 25
    samples: dict[str, Samples] = {}
    for network, round_trips in RACES.items():
        seen = races(network, rounds, round_trips)
        print("\n".join(table(title, taken) for title, taken in seen.items()), flush=True)
        samples |= seen
    here, far, *_ = samples.values()
    goals = page_goals(here, far)
    if not options.page:
        measured, judged = in_kernel(options.quick)
        samples |= measured
        goals += judged
    print("\n".join(goal.line() for goal in goals))
    path = options.to or (TRIAL if options.quick or options.page else RESULT)
    write(path, samples, goals)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
