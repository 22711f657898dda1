"""What copies of a model take while everything is measured at once, in bytes.

python benchmarks/memory.py            half a minute
python benchmarks/memory.py --quick    with a ResNet-18 in shape, to see that it runs

Counted are the tensors that have the shape of one of the model's parameters or buffers and a
memory of just that size, each memory once, but for those of the user's own model: whatever holds
them, they are copies of it. The checkpoints are files, as a run leaves them, and read again and
again meanwhile. An older tree of this package is measured with its folder in PYTHONPATH, and a
``--to`` of its own.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from measuring.networks import resnet18, resnet50
from measuring.report import Goal, machine
from torch import Tensor, nn

from convviz_widgets import CheckpointSeries, ImageSet
from convviz_widgets.checkpoints import write_checkpoint
from convviz_widgets.state import FILTERS, Examination, ModelState
from convviz_widgets.state.embeddings import EmbeddingJob

ROOT = Path(__file__).parents[1]

RESULT = ROOT / "benchmarks" / "results" / "memory.json"

TRIAL = ROOT / "build" / "memory-quick.json"
"""Of another network, so it is not kept beside the results."""

STEPS = (0, 100, 200)
IMAGES = 96
MOMENT = 0.2
"""Seconds from one count to the next."""


@dataclass(frozen=True)
class Count:
    """Bytes beside the user's own model."""

    modules: int
    """Parameters and buffers of modules."""
    double: int
    """Other tensors in double precision: weights that are being compared."""
    single: int
    """Other tensors: checkpoints being read, weights of another step, gradients of weights."""

    @property
    def all(self) -> int:
        """Whatever it is for."""
        return self.modules + self.double + self.single


class Counting:
    """Counts the copies of a model, again and again, in a thread of its own."""

    def __init__(self, model: nn.Module) -> None:
        state = [each for each in model.state_dict().values() if each.ndim]  # no counters
        self.bytes = sum(each.nbytes for each in state)
        """Of the model itself."""
        self._own = {each.untyped_storage().data_ptr() for each in state}
        self._shapes = {each.shape for each in state}
        self.counts: list[Count] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def __enter__(self) -> Counting:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()
        self.counts.append(self.count())

    def count(self) -> Count:
        """Return what there is now."""
        found = tensors_and_modules()
        copies = [each for each in found if type(each) in (Tensor, nn.Parameter)]
        copies = [each for each in copies if self._is_copy(each)]
        modules = [each for each in found if isinstance(each, nn.Module)]
        held = {id(tensor) for module in modules for tensor in tensors_of(module)}
        in_modules = self._memory(each for each in copies if id(each) in held)
        rest = [each for each in copies if id(each) not in held]
        double = self._memory(each for each in rest if each.dtype == torch.float64)
        single = self._memory(each for each in rest if each.dtype != torch.float64)
        return Count(
            sum(in_modules.values()),
            sum(size for place, size in double.items() if place not in in_modules),
            sum(size for place, size in single.items() if place not in in_modules),
        )

    def _is_copy(self, tensor: Tensor) -> bool:
        is_alike = tensor.shape in self._shapes and tensor.layout == torch.strided
        return is_alike and tensor.untyped_storage().nbytes() == tensor.nbytes

    def _memory(self, tensors: Iterable[Tensor]) -> dict[int, int]:
        """Return address → bytes, the user's own left out."""
        storages = [each.untyped_storage() for each in tensors]
        sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}
        return {place: size for place, size in sizes.items() if place not in self._own}

    def _go_on(self) -> None:
        while not self._ended.wait(MOMENT):
            self.counts.append(self.count())


def tensors_and_modules() -> list[Any]:
    """Return all there are, while no other thread runs: Python cannot go on with a half-made tuple
    that somebody else holds, too.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1)
    try:
        time.sleep(0.001)  # who waits for its turn already does so by the interval of before
        return [each for each in gc.get_objects() if issubclass(type(each), (Tensor, nn.Module))]
    finally:
        sys.setswitchinterval(interval)


def tensors_of(module: nn.Module) -> list[Tensor | None]:
    """Return a module's own parameters and buffers, also while another thread makes it."""
    own = vars(module)
    return [*own.get("_parameters", {}).values(), *own.get("_buffers", {}).values()]


def everything(state: ModelState) -> None:
    """Have all measured that there is, at once, and wait for it."""
    examination, layer = Examination(state), state.layers[-1].name
    keys = state.embeddings.keys
    outputs = [state.output_history.question(i, tuple(range(IMAGES))) for i in range(len(STEPS))]
    examination.start()
    state.history.ask("filters", FILTERS)
    state.sweeps.ask(*range(len(STEPS)))
    state.output_history.ask("outputs", *outputs)
    state.embeddings.ask(
        "embeddings", *(EmbeddingJob(key, keys[-1], layer, IMAGES) for key in keys)
    )
    for image in range(4):
        state.select(image=image)
        state.activation()
    for client in (
        examination,
        state.history,
        state.sweeps,
        state.output_history,
        state.embeddings,
    ):
        client.wait()


def measured(make: Callable[[], nn.Module], side: int) -> tuple[int, list[Count]]:
    """Return the bytes of the model, and every count while everything is measured."""
    model = make()
    images = ImageSet(torch.rand(IMAGES, 3, side, side), [index % 10 for index in range(IMAGES)])
    with tempfile.TemporaryDirectory() as folder:
        for step in STEPS:
            with torch.no_grad():
                model[-1].bias.add_(0.01)
            write_checkpoint(Path(folder) / f"step-{step}.safetensors", model.state_dict())
        series = CheckpointSeries.from_directory(folder)
        with Counting(model) as counting:
            state = ModelState(model, images, checkpoints=series)
            everything(state)
        state.close()
    return counting.bytes, counting.counts


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smaller network and images")
    parser.add_argument("--to", type=Path, help="the JSON file to write")
    options = parser.parse_args()
    make, side = (resnet18, 32) if options.quick else (resnet50, 64)
    size, counts = measured(make, side)
    peak = max(counts, key=lambda each: each.all)
    modules, usual = max(each.modules for each in counts), median(each.all for each in counts)
    after = counts[-1].all
    # Tenths: statistics of the channels have the shape of a bias, and are counted as well.
    in_modules, kept = round(modules / size, 1), round(after / size, 1)
    print(f"{make.__name__}: {size:,} bytes of parameters and buffers")
    print(f"copies in modules: at most {in_modules} in {len(counts)} counts")
    print(f"copies of any kind: {usual / size:.2f} in the median, at most {peak.all / size:.2f}")
    print(
        f"  these are {peak.modules / size:.2f} in modules, {peak.double / size:.2f} in double "
        f"precision (weights being compared) and {peak.single / size:.2f} others (checkpoints "
        "being read, weights of another step, gradients)"
    )
    print(f"copies when all is measured: {kept}")
    goals = [
        Goal("copies of the model beside the user's, everything being measured", in_modules, 2),
        Goal("copies that are kept when all is measured", kept, 2),
    ]
    print("\n".join(goal.line() for goal in goals))
    path = options.to or (TRIAL if options.quick else RESULT)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "goals": [asdict(goal) | {"holds": goal.holds} for goal in goals],
        "bytes": {"model": size, "usual": usual, "peak": asdict(peak), "kept": after},
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
