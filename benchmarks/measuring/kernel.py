"""What is timed without a page: recording every layer, and directories of many checkpoints."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

import convviz_widgets as cvw
from convviz_widgets.checkpoints import write_checkpoint
from convviz_widgets.probe import Probe
from measuring.networks import resnet18

WARM_UP = 3


def milliseconds(action: Callable[[], Any]) -> float:
    """Return how long an action takes."""
    started = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - started)


def recording_beside_forward(pairs: int) -> dict[str, list[float]]:
    """Time one forward pass of a ResNet-18 at 224×224 bare and recorded, turn and turn about."""
    model, image = resnet18(), torch.rand(1, 3, 224, 224)
    probe = Probe(model, image)

    def bare() -> None:
        with torch.no_grad():
            model(image)

    taken: dict[str, list[float]] = {"bare": [], "recorded": []}
    for number in range(WARM_UP + pairs):
        # Who goes first changes, so that neither always finds the caches warm.
        order = [("bare", bare), ("recorded", lambda: probe.record(image))]
        for name, action in order[:: 1 if number % 2 else -1]:
            elapsed = milliseconds(action)
            if number >= WARM_UP:
                taken[name].append(elapsed)
    return taken


class Directory:
    """A folder of checkpoints of a tiny model, each file a copy of the first."""

    def __init__(self, folder: Path, count: int) -> None:
        folder.mkdir()
        torch.manual_seed(0)
        self._model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        self._folder = folder
        first = folder / "step-00000.safetensors"
        write_checkpoint(first, self._model.state_dict())
        for step in range(1, count):
            shutil.copyfile(first, folder / f"step-{step:05d}.safetensors")

    def open(self) -> cvw.CheckpointSeries:
        """List the checkpoints."""
        return cvw.CheckpointSeries.from_directory(self._folder)

    def scrub(self) -> Callable[[int], float]:
        """Return a function that selects a checkpoint and gives the milliseconds it took."""
        series = self.open()
        # No room for a second recording, so that every selection reads a file.
        images = cvw.ImageSet(torch.rand(1, 3, 24, 24))
        state = cvw.ModelState(self._model, images, checkpoints=series, memory_budget=1)
        self._view = cvw.ActivationMosaic(state)
        return lambda number: milliseconds(
            lambda: state.select(checkpoint=(977 * number) % len(series))
        )


def many_checkpoints(many: int, few: int, rounds: int) -> dict[str, list[float]]:
    """Time opening ``many`` checkpoints, and selecting one among ``many`` and among ``few``."""
    with tempfile.TemporaryDirectory() as folder:
        large = Directory(Path(folder) / "many", many)
        small = Directory(Path(folder) / "few", few)
        time.sleep(0.5)  # files that have just been written are left to settle
        opening = [milliseconds(large.open) for _ in range(5)]
        among_many, among_few = large.scrub(), small.scrub()
        taken: dict[str, list[float]] = {"opening": opening, "among many": [], "among few": []}
        for number in range(1, WARM_UP + rounds):
            pair = {"among many": among_many(number), "among few": among_few(number)}
            if number >= WARM_UP:
                for name, elapsed in pair.items():
                    taken[name].append(elapsed)
    return taken
