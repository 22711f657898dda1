"""What a sweep costs beyond the forward passes that it needs, in time and in memory.

python benchmarks/sweep.py            twelve minutes or so, on a machine that does nothing else
python benchmarks/sweep.py --quick    a few batches of all, to see that it runs

With a CUDA device everything but the workers is measured there as well, and printed apart.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from measuring.networks import resnet18
from measuring.report import Goal, table, write
from torch import Tensor, nn

from convviz_widgets.images.reading import ModelInputs
from convviz_widgets.probe import list_layers
from convviz_widgets.sweeps import sweep

ROOT = Path(__file__).parents[1]

RESULT = ROOT / "benchmarks" / "results" / "sweep.json"

TRIAL = ROOT / "build" / "sweep-quick.json"
"""A few batches say nothing, so they are not kept beside the results."""

BATCH = 64
K = 9

SWEEP, HOOKS, BARE = "sweep", "hooks by hand", "bare forward passes beside the {}"

Samples = dict[str, list[float]]


class Noise:
    """As many images of 64×64 as asked for, made when asked for, so that they take no memory."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.pool = torch.randn(256, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return self.pool[index % 256].roll(index // 256, 1)


@cache
def convolutions() -> list[str]:
    """Return the names of the layers that are swept; every contender is told them for nothing."""
    layers = list_layers(resnet18(), Noise(1)[0][None])
    return [layer.name for layer in layers if layer.kind == "Conv2d"]


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    start = perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return perf_counter() - start


class Paced(Noise):
    """Has the bare forward pass of each batch run, and clocked, when its first image is asked for.

    A shared machine changes its speed by a tenth from one half minute to the next; so the
    pairs that are compared lie within the same half second.
    """

    def __init__(self, count: int, network: nn.Module, device: str) -> None:
        super().__init__(count)
        self.seconds: list[float] = []
        self._network, self._items, self._device = network, ModelInputs(Noise(count)), device

    def __getitem__(self, index: int) -> Tensor:
        if index == BATCH * len(self.seconds):
            self.seconds.append(seconds(lambda: self._forward(index)))
        return super().__getitem__(index)

    def _forward(self, start: int) -> None:
        with torch.inference_mode(), torch._C.DisableTorchFunction():
            self._network(batch(self._items, start, self._device))


def batch(items: ModelInputs, start: int, device: str) -> Tensor:
    """Return what every contender is given: the loader of the sweep itself."""
    return items.load(range(start, min(start + BATCH, len(items)))).images.to(device)


def batches(data: Noise, device: str) -> Any:
    """Yield all batches."""
    items = ModelInputs(data)
    for start in range(0, len(data), BATCH):
        yield batch(items, start, device)


def bare(network: nn.Module, data: Noise, device: str) -> None:
    """Run the forward passes and nothing else."""
    with torch.inference_mode():
        for images in batches(data, device):
            network(images)


def swept(network: nn.Module, data: Noise, device: str, **settings: Any) -> None:
    """Sweep all convolutions."""
    settings = {"k": K, "batch_size": BATCH, "device": device, "progress": False} | settings
    sweep(network, data, layers=convolutions(), **settings)


def hooked(network: nn.Module, data: Noise, device: str) -> None:
    """Do by hand what a notebook does: keep every map's maximum, sum up the rest, sort at the end.

    It has no histogram and no positions, and its memory grows with the images.
    """
    maxima: dict[str, list[Tensor]] = {}
    sums: dict[str, Tensor] = {}

    def hook(name: str) -> Callable[..., None]:
        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            maxima.setdefault(name, []).append(output.amax((2, 3)).cpu())
            facts = output.mean((0, 2, 3)), output.var((0, 2, 3)), (output > 0).sum((0, 2, 3))
            sums[name] = sums.get(name, 0) + torch.stack(facts)

        return keep

    modules = dict(network.named_modules())
    handles = [modules[name].register_forward_hook(hook(name)) for name in convolutions()]
    try:
        bare(network, data, device)
    finally:
        for handle in handles:
            handle.remove()
    for peaks in maxima.values():
        torch.cat(peaks).topk(min(K, len(data)), dim=0)


def race(count: int, rounds: int, device: str) -> Samples:
    """Run the contenders by turns, a bare pass beside each batch; milliseconds for all images."""
    network, beside = resnet18().to(device), resnet18().to(device)  # that one has no hooks
    taken: Samples = {name: [] for name in (SWEEP, BARE.format(SWEEP), HOOKS, BARE.format(HOOKS))}
    for way in (swept, hooked):
        way(network, Noise(2 * BATCH), device)
    for _ in range(rounds):
        for name, way in ((SWEEP, swept), (HOOKS, hooked)):
            data = Paced(count, beside, device)
            total = seconds(lambda way=way, data=data: way(network, data, device))
            taken[name].append(1000 * (total - sum(data.seconds)))
            taken[BARE.format(name)].append(1000 * sum(data.seconds))
    return taken


def peak_memory(count: int) -> float:
    """Return the peak of a new process that sweeps so many images, in MB."""
    command = [sys.executable, __file__, "--peak", str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def print_peak(count: int) -> None:
    """Sweep, and print the most memory that this process has had."""
    swept(resnet18(), Noise(count), "cpu")
    # Not getrusage: what it tells begins with the process that started this one.
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024)


@contextmanager
def workers(count: int) -> Any:
    """Start so many workers of one thread each."""
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=count, threads_per_worker=1, dashboard_address="127.0.0.1:0", memory_limit=0
    )
    with cluster, Client(cluster) as client:
        yield client


def shared_out(count: int, rounds: int) -> Samples:
    """Sweep with one worker and with two, of one thread each; milliseconds for all images."""
    network, data = resnet18(), Noise(count)
    taken: Samples = {}
    for number in (1, 2):
        with workers(number) as client:
            swept(network, Noise(4 * BATCH * number), "cpu", client=client)
            taken[f"{number} worker{'s' * (number > 1)}"] = [
                1000 * seconds(lambda c=client: swept(network, data, "cpu", client=c))
                for _ in range(rounds)
            ]
    return taken


def print_alone(count: int) -> None:
    """Run the bare forward passes on one thread, and print the milliseconds that they took."""
    torch.set_num_threads(1)
    network = resnet18()
    bare(network, Noise(BATCH), "cpu")
    print(1000 * seconds(lambda: bare(network, Noise(count), "cpu")))


def side_by_side(count: int) -> Samples:
    """Run bare processes of one thread, one alone and two at a time: what the machine can give."""
    command = [sys.executable, __file__, "--alone", str(count)]
    taken: Samples = {}
    for number in (1, 2):
        running = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(number)
        ]
        name = f"{number} bare process{'es' * (number > 1)} of {count:,} images each"
        taken[name] = [float(process.communicate()[0].split()[-1]) for process in running]
    return taken


def goals(taken: Samples, few: float, many: float, shared: Samples, apart: Samples) -> list[Goal]:
    """Judge speed and memory."""
    ours, by_hand = (
        [plain / own for plain, own in zip(taken[BARE.format(name)], taken[name], strict=True)]
        for name in (SWEEP, HOOKS)
    )
    middle = {name: median(times) for name, times in shared.items()}
    gain = middle["1 worker"] / middle["2 workers"]
    alone, two = apart.values()
    return [
        Goal("a sweep, share of the bare forward's images/s", median(ours), 0.85, at_least=True),
        Goal("memory of ten times the images, beyond", many - few, 30, " MB"),
        Goal("a sweep, times as fast as hooks", median(ours) / median(by_hand), 1, at_least=True),
        Goal("two workers, times as fast as one", gain, 1.5, at_least=True),
        Goal(
            "that, of what two independent processes gain",
            gain / (2 * median(alone) / max(two)),
            0.8,
            at_least=True,
        ),
    ]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few batches, to see that it runs")
    parser.add_argument("--peak", type=int, help="sweep so many images, print the peak in MB")
    parser.add_argument("--alone", type=int, help="time the bare forward of so many images")
    options = parser.parse_args()
    if options.peak or options.alone:
        print_peak(options.peak) if options.peak else print_alone(options.alone)
        return
    count, fewer, rounds = (256, 128, 1) if options.quick else (8192, 3072, 3)
    images = (128, 512) if options.quick else (1000, 10_000)
    title = f"ResNet-18 in shape, {count:,} images of 64×64, all 20 convolutions"
    samples = {title: race(count, rounds, "cpu")}
    print(table(title, samples[title]), flush=True)
    few, many = (median(peak_memory(number) for _ in range(rounds // 2 + 1)) for number in images)
    print(f"peak memory: {few:.0f} MB for {images[0]:,} images, {many:.0f} MB for {images[1]:,}")
    workers_title = f"{fewer:,} of them, on workers of one thread"
    samples[workers_title] = shared_out(fewer, rounds)
    print(table(workers_title, samples[workers_title]), flush=True)
    apart_title = "bare forward passes on one thread, in processes of their own"
    samples[apart_title] = side_by_side(fewer // 2)
    print(table(apart_title, samples[apart_title]), flush=True)
    judged = goals(samples[title], few, many, samples[workers_title], samples[apart_title])
    if torch.cuda.is_available():
        cuda_title = f"{title}, {torch.cuda.get_device_name()}"
        samples[cuda_title] = race(count, rounds, "cuda")
        print(table(cuda_title, samples[cuda_title]))
    print("\n".join(goal.line() for goal in judged))
    path = TRIAL if options.quick else RESULT
    write(path, samples, judged)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
