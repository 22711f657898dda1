"""What recording costs a training, how fast a log is read, and its checkpoints are looked into.

python benchmarks/record.py            three minutes or so, on a machine that does nothing else
python benchmarks/record.py --quick    a few rounds of all, to see that it runs
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from measuring.report import Goal, table, write
from torch import nn

from convviz_widgets.checkpoints import write_checkpoint
from convviz_widgets.demo.patches import build_network
from convviz_widgets.images import ImageSet
from convviz_widgets.record import Recorder, Run
from convviz_widgets.state import ACTIVATIONS, GRADIENTS, PARAMETERS, ModelState

ROOT = Path(__file__).parents[1]

RESULT = ROOT / "benchmarks" / "results" / "record.json"

TRIAL = ROOT / "build" / "record-quick.json"
"""A few rounds say nothing, so they are not kept beside the results."""

STEPS = "a training step of the demonstration's network, batches of 64"
WRITING = "a checkpoint of that network, on the disk"
READING = "100,000 scalars of 10 metrics"

LOOKING = "all distributions of many checkpoints of that network, 64 images"

TAGS = 10

Samples = dict[str, list[float]]


class Training:
    """The demonstration's network on one batch of noise, always the same."""

    def __init__(self) -> None:
        self.network = build_network(12, seed=0)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-3)
        generator = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(64, 3, 32, 32, generator=generator)
        self.labels = torch.arange(64) % 12

    def step(self) -> torch.Tensor:
        """Take one step, as in the demonstration, and return the loss."""
        loss = nn.functional.cross_entropy(self.network(self.inputs), self.labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


def milliseconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    start = perf_counter()
    work()
    return 1000 * (perf_counter() - start)


def training_steps(directory: Path, rounds: int) -> Samples:
    """Take steps with and without a recorder by turns; between two checkpoints there is none."""
    plain, recorded = Training(), Training()
    taken: Samples = {"without": [], "recorded": [], "the recorder alone": []}
    with Recorder(
        recorded.network, directory, every=10**6, optimizer=recorded.optimizer
    ) as recorder:

        def recorded_step() -> None:
            loss = recorded.step()
            start = perf_counter()
            recorder.step(**{"loss/train": loss, "accuracy/train": 0.5})
            taken["the recorder alone"].append(1000 * (perf_counter() - start))

        for _ in range(3):
            plain.step()
            recorded_step()
        taken["the recorder alone"].clear()
        for _ in range(rounds):
            taken["without"].append(milliseconds(lambda: plain.step().item()))
            taken["recorded"].append(milliseconds(recorded_step))
    return taken


def checkpoints(directory: Path, rounds: int) -> Samples:
    """Write checkpoints by turns: PyTorch's way, safely, and safely with a line in a manifest."""
    network = build_network(12, seed=0)
    taken: Samples = {"torch.save + fsync": [], "write_checkpoint": [], "a recorder's step": []}
    numbers = count()

    def plain() -> None:
        with (directory / f"{next(numbers)}.pt").open("wb") as file:
            torch.save(network.state_dict(), file)
            file.flush()
            os.fsync(file.fileno())

    def safe() -> None:
        write_checkpoint(directory / f"{next(numbers)}.safetensors", network.state_dict())

    with Recorder(network, directory / "run", every=1) as recorder:
        ways = zip(taken, (plain, safe, recorder.step), strict=True)
        for name, way in list(ways) * rounds:
            taken[name].append(milliseconds(way))
    return taken


def reading(directory: Path, rounds: int, points: int) -> Samples:
    """Read a log of PyTorch's writer by turns with TensorBoard's reader and with ours."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(directory, max_queue=1000) as writer:
        for step in range(points // TAGS):
            for tag in range(TAGS):
                writer.add_scalar(f"metric/{tag}", 1 / (1 + step), step)

    def theirs() -> None:
        read = EventAccumulator(str(directory), {"scalars": 0}).Reload()
        assert len(read.Scalars("metric/0")) == points // TAGS

    def ours() -> None:
        assert len(Run(directory).metrics["metric/0"]) == points // TAGS

    run = Run(directory)
    taken: Samples = {"EventAccumulator": [], "Run": [], "refresh, nothing new": []}
    for _ in range(rounds):
        taken["EventAccumulator"].append(milliseconds(theirs))
        taken["Run"].append(milliseconds(ours))
        taken["refresh, nothing new"].append(milliseconds(run.refresh))
    return taken


def looks(directory: Path, checkpoints: int) -> Samples:
    """Look at every distribution of a recorded run, and again as a later session would."""
    training = Training()
    with Recorder(training.network, directory, every=1) as recorder:
        for _ in range(checkpoints - 1):
            training.step()
            recorder.step()
    images = ImageSet(training.inputs, training.labels)
    taken: Samples = {}
    for look in ("first", "second"):
        state = ModelState(training.network, images, checkpoints=Run(directory).checkpoints)

        def measured(part: str, state: ModelState = state) -> None:
            state.history.ask(state, part)
            state.history.wait()
            assert sum(map(bool, state.history.all(part))) == checkpoints

        for part in (PARAMETERS, ACTIVATIONS, GRADIENTS):
            taken[f"{look} look: {part}"] = [milliseconds(lambda part=part: measured(part))]
        state.close()
    return taken


def goals(samples: dict[str, Samples], checkpoints: int) -> list[Goal]:
    """Judge the medians; those of steps from pairs, for the machine may slow down meanwhile."""
    steps, read = (
        {name: median(times) for name, times in samples[title].items()}
        for title in (STEPS, READING)
    )
    look = {name: times[0] / 1000 for name, times in samples[LOOKING].items()}
    first = look[f"first look: {ACTIVATIONS}"] / checkpoints
    second = sum(look[f"second look: {part}"] for part in (PARAMETERS, ACTIVATIONS, GRADIENTS))
    pairs = zip(samples[STEPS]["recorded"], samples[STEPS]["without"], strict=True)
    paired = median(recorded / without for recorded, without in pairs)
    alone = 1 + steps["the recorder alone"] / steps["without"]
    times_as_fast = read["EventAccumulator"] / read["Run"]
    return [
        Goal("a recorded step, times the one without before it", paired, 1.05),
        Goal("the same, from the recorder's own time", alone, 1.05),
        Goal("reading, times as fast as EventAccumulator", times_as_fast, 1, at_least=True),
        Goal("first look at activations, a checkpoint", first, 0.2, " s"),
        Goal(f"second look at everything, {checkpoints} checkpoints", second, 2, " s"),
    ]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few rounds, to see that it runs")
    quick = parser.parse_args().quick

    torch.set_num_threads(1)  # two wait for each other where anything else runs, and measure that
    TRIAL.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TRIAL.parent) as directory:
        base, many = Path(directory), 5 if quick else 200
        samples = {
            STEPS: training_steps(base / "steps", 5 if quick else 200),
            WRITING: checkpoints(base, 5 if quick else 60),
            READING: reading(base / "log", 1 if quick else 5, 5_000 if quick else 100_000),
            LOOKING: looks(base / "looked at", many),
        }
    for title, taken in samples.items():
        print(table(title, taken))
    judged = goals(samples, many)
    print("\n".join(goal.line() for goal in judged))
    path = TRIAL if quick else RESULT
    write(path, samples, judged)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
