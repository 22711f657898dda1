"""What looking at inputs costs: duplicates, a gallery of 100,000 images, embeddings.

python benchmarks/inputs.py            half a minute, on a machine that does nothing else
python benchmarks/inputs.py --quick    a hundredth of it, to see that it runs
python benchmarks/inputs.py --embeddings    PCA and t-SNE alone, their results beside the others
python benchmarks/inputs.py --strokes       the sketch pad in a browser alone, likewise
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import torch
from measuring.embedding import embeddings, write_beside
from measuring.report import Goal, table, write
from measuring.sketch import strokes
from torch import Tensor, nn

from convviz_widgets.images import ImageSet, find_duplicates
from convviz_widgets.state import ModelState
from convviz_widgets.views import InputGallery

ROOT = Path(__file__).parents[1]

RESULT = ROOT / "benchmarks" / "results" / "inputs.json"

TRIAL = ROOT / "build" / "inputs-quick.json"
"""A few images say nothing, so they are not kept beside the results."""

IMAGES = 100_000
ROUNDS = 5

Samples = dict[str, list[float]]


class Bytes:
    """A map-style data set of 8-bit pictures that become tensors in [0, 1] when asked for."""

    def __init__(self, pictures: Tensor) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.pictures[index].float().div(255), index % 10


def pictures(count: int) -> Tensor:
    """Return 8-bit pictures (N, 3, 32, 32), one in a thousand there twice."""
    made = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8)
    made[count // 2 : count // 2 + count // 1000] = made[: count // 1000]
    return made


def timed(work: Callable[[], object]) -> float:
    """Return the milliseconds of processor time that something takes: both sides use one core."""
    begun = process_time()
    work()
    return 1000 * (process_time() - begun)


def race(plain: Callable[[], object], search: Callable[[], object], rounds: int) -> Samples:
    """Time a pass that only reads against the search, in turns."""
    taken: Samples = {"read only": [], "find duplicates": []}
    for _ in range(rounds):
        taken["read only"].append(timed(plain))
        taken["find duplicates"].append(timed(search))
    return taken


def searches(count: int, rounds: int) -> dict[str, Samples]:
    """Race over a tensor in memory and over a data set that makes its images."""
    made = pictures(count)
    floats = made.float().div(255)
    data = Bytes(made)
    assert find_duplicates(floats).surplus == count // 1000
    size = f"{count:,} images of 3×32×32"
    return {
        f"{size}, float32 in memory": race(
            lambda: [block.sum() for block in floats.split(256)],
            lambda: find_duplicates(floats),
            rounds,
        ),
        f"{size}, a data set of 8-bit pictures": race(
            lambda: [data[index][0].sum() for index in range(count)],
            lambda: find_duplicates(data),
            max(1, rounds // 2),
        ),
    }


def openings(count: int, rounds: int) -> tuple[Samples, float]:
    """Time opening the gallery and turning its pages; return how many MB that and the search add.

    The images are there before, and counted as such.
    """
    inputs = pictures(count).float().div(255)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 10))
    state = ModelState(network, ImageSet(inputs, mean=0.0, std=1.0))
    taken: Samples = {"open the gallery": [], "turn a page": []}
    before, most = memory(), 0.0
    for number in range(rounds):
        begun = perf_counter()
        gallery = InputGallery(state)
        taken["open the gallery"].append(1000 * (perf_counter() - begun))
        slider = gallery.control("Page")
        place = slider.max * (number + 1) // rounds
        begun = perf_counter()
        slider.value = place
        taken["turn a page"].append(1000 * (perf_counter() - begun))
        gallery.search.want(True)
        while not gallery.search.wait(0.01):
            most = max(most, memory() - before)
        gallery.close()
    return taken, most


def memory() -> float:
    """Return the memory of this process in MB, as Linux tells it."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def ratio(taken: Samples) -> float:
    """Return how many times as long as the pass that only reads the search takes."""
    pairs = zip(taken["read only"], taken["find duplicates"], strict=True)
    return median(search / plain for plain, search in pairs)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a hundredth, to see that it runs")
    parser.add_argument("--embeddings", action="store_true", help="PCA and t-SNE alone")
    parser.add_argument("--strokes", action="store_true", help="the sketch pad alone")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if options.embeddings or options.strokes:
        samples, judged = embeddings(ROUNDS) if options.embeddings else strokes(ROUNDS)
        for title, taken in samples.items():
            print(table(title, taken))
        print("\n".join(goal.line() for goal in judged))
        what = "embeddings" if options.embeddings else "strokes"
        write_beside(RESULT, what, samples, judged)
        return
    count, rounds = (IMAGES // 100, 1) if options.quick else (IMAGES, ROUNDS)
    samples = searches(count, rounds)
    judged = [
        Goal(f"duplicate search, times a pass that only reads: {title}", ratio(taken), 2)
        for title, taken in samples.items()
    ]
    gallery = f"a gallery of {count:,} images, in the kernel"
    samples[gallery], grown = openings(count, rounds)
    slowest = max(samples[gallery]["open the gallery"])
    judged += [
        Goal("opening the gallery, the slowest time", slowest, 1000, " ms"),
        Goal("memory of the gallery and its search, beyond the images", grown, 100, " MB"),
    ]
    for measured in (embeddings, strokes):
        further, goals = measured(rounds)
        samples |= further
        judged += goals
    for title, taken in samples.items():
        print(table(title, taken))
    print("\n".join(goal.line() for goal in judged))
    path = TRIAL if options.quick else RESULT
    write(path, samples, judged)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
