"""What copies of a model take while everything is measured at once, in bytes.

python benchmarks/memory.py            half a minute
python benchmarks/memory.py --quick    with a ResNet-18 in shape, to see that it runs

Counted are the tensors that have the shape of one of the model's weights, each memory once, but
for those of the user's own model: whatever holds them, they are copies of it. The checkpoints are
files, as a run leaves them, and read again and again meanwhile.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from measuring.networks import resnet18, resnet50
from measuring.report import Goal, machine
from torch import Tensor, nn

from convviz_widgets.checkpoints import CheckpointSeries, write_checkpoint
from convviz_widgets.images import ImageSet
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
    """Parameters of modules."""
    all: int
    """Whatever has the shape of a weight: checkpoints that are being read, too."""


class Counting:
    """Counts the copies of a model, again and again, in a thread of its own."""

    def __init__(self, model: nn.Module) -> None:
        weights = [each for each in model.state_dict().values() if each.ndim > 1]
        self.bytes = sum(each.nbytes for each in weights)
        """Of the model itself."""
        self._own = {each.untyped_storage().data_ptr() for each in weights}
        self._shapes = {each.shape for each in weights}
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
        found = [each for each in gc.get_objects() if type(each) in (Tensor, nn.Parameter)]
        copies = [each for each in found if each.shape in self._shapes]
        modules = [each for each in copies if isinstance(each, nn.Parameter)]
        return Count(self._held(modules), self._held(copies))

    def _held(self, tensors: Iterable[Tensor]) -> int:
        storages = [each.untyped_storage() for each in tensors]
        sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}
        return sum(size for place, size in sizes.items() if place not in self._own)

    def _go_on(self) -> None:
        while not self._ended.wait(MOMENT):
            self.counts.append(self.count())


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
    options = parser.parse_args()
    make, side = (resnet18, 32) if options.quick else (resnet50, 64)
    size, counts = measured(make, side)
    modules, most = max(each.modules for each in counts), max(each.all for each in counts)
    after = counts[-1].all
    print(f"{make.__name__}: {size:,} bytes of weights with two or more dimensions")
    print(f"copies while everything is measured: {modules:,} bytes in {len(counts)} counts")
    print(f"with checkpoints being read and weights compared, at most: {most:,} bytes")
    print(f"when all is measured: {after:,} bytes")
    goals = [
        Goal("copies of the model beside the user's, everything being measured", modules / size, 2),
        Goal("copies that are kept when all is measured", after / size, 2),
    ]
    print("\n".join(goal.line() for goal in goals))
    path = TRIAL if options.quick else RESULT
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "goals": [asdict(goal) | {"holds": goal.holds} for goal in goals],
        "bytes": {"model": size, "copies": modules, "at most": most, "kept": after},
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
