"""How long a user waits: from a key on the checkpoint slider to new pixels, and in the kernel.

python benchmarks/interaction.py            a few minutes, on a machine that does nothing else
python benchmarks/interaction.py --quick    three rounds of all, to see that it runs
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

from measuring.kernel import many_checkpoints, recording_beside_forward
from measuring.networks import NETWORKS
from measuring.page import FORWARD, Race, benchmark_page
from measuring.report import Goal, table, write

ROOT = Path(__file__).parents[1]

RESULT = ROOT / "benchmarks" / "results" / "interaction.json"

TRIAL = ROOT / "build" / "interaction-quick.json"
"""Three rounds say nothing, so they are not kept beside the results."""

Samples = dict[str, list[float]]


def race(network: str, rounds: int) -> tuple[Samples, Samples]:
    """Return the milliseconds from key to pixels, and of switching between 512 channels."""
    with benchmark_page(network) as page:
        race = Race(page)
        race.run(rounds)
        page.page.wait_for_timeout(500)
        switches = page.ask(f"bench.channel_switches({2 * rounds})") if wide(network) else []
    return race.milliseconds, {"another of 512 channels": switches} if switches else {}


def wide(network: str) -> bool:
    """Tell whether a network has layers of 512 channels."""
    return network == "resnet18"


def page_goals(taken: Samples) -> list[Goal]:
    """Judge the mosaic at full size, which shows what its rivals show."""
    middle = {name: median(times) for name, times in taken.items()}
    ours = middle["mosaic, every pixel"]
    return [
        Goal(
            "one mosaic view, times as fast as matplotlib",
            middle["interact + matplotlib"] / ours,
            5,
            at_least=True,
        ),
        Goal("one mosaic view, beyond the forward pass", ours - middle[FORWARD], 60, " ms"),
    ]


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
    quick = parser.parse_args().quick
    rounds, pairs = (3, 3) if quick else (25, 40)

    samples: dict[str, Samples] = {}
    goals = []
    channels: Samples = {}
    for network in NETWORKS:
        title = f"slider key to new pixels, {network}, 64 maps of 112×112"
        samples[title], switches = race(network, rounds)
        channels |= switches
        if network == "stem":
            goals += page_goals(samples[title])
        print(table(title, samples[title]), flush=True)
    recording = recording_beside_forward(pairs)
    checkpoints = many_checkpoints(10_000, 10, 100 if not quick else 5)
    kernel = {
        "in the kernel, ResNet-18 shape": recording | channels,
        "10,000 checkpoints in a directory": checkpoints,
    }
    for title, taken in kernel.items():
        print(table(title, taken))
    goals += kernel_goals(recording, channels, checkpoints)
    print("\n".join(goal.line() for goal in goals))
    path = TRIAL if quick else RESULT
    write(path, samples | kernel, goals)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
