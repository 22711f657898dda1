"""Kill processes that record, at random moments, and look at what they leave.

Run as ``python tests/record/torture.py [kills] [seed]``; exits with 1 and says what was found when
anything is wrong. Children are forked after the imports, so that a kill costs milliseconds.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import torch
from torch import nn

from convviz_widgets.checkpoints import read_checkpoint
from convviz_widgets.record import Recorder, Run

KILLS_PER_FOLDER = 5
LONGEST_SECONDS = 0.2
_NUMBER = struct.Struct("<q")


def network(step: int) -> nn.Module:
    """Return a network of which every weight is the step, so that a torn file shows."""
    net = nn.Sequential(nn.Linear(50, 40), nn.Linear(40, 30))
    fill(net, step)
    return net


def fill(net: nn.Module, step: int) -> None:
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(step)


def record(directory: Path, acknowledge: int) -> None:
    """Record until killed; report each step once the recorder has returned."""
    net = network(0)
    with Recorder(net, directory, every=3, keep=4) as recorder:
        while True:
            step = recorder.last_step + 1
            fill(net, step)
            recorder.step(step_is=step)
            os.write(acknowledge, _NUMBER.pack(step))


def killed(directory: Path, seconds: float) -> list[int]:
    """Let a child record for so long, kill it, and return the steps that it reported."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        try:
            record(directory, write_end)
        finally:
            os._exit(1)
    os.close(write_end)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(read_end, "rb") as pipe:
        reported = pipe.read()
    if not os.WIFSIGNALED(status):
        raise SystemExit("a recorder ended by itself")
    return [number for (number,) in _NUMBER.iter_unpack(reported)]


def complaints(directory: Path, acknowledged: set[int]) -> list[str]:
    """Return what is wrong with a folder after a kill."""
    found = []
    run = Run(directory)
    series = run.metrics.get("step_is")
    recorded = dict(zip(series.steps, series.values, strict=True)) if series else {}
    found += [f"step {step} is lost" for step in acknowledged - recorded.keys()]
    found += [f"step {step} holds {value}" for step, value in recorded.items() if step != value]
    found += list(run.problems.values())
    for step, name in zip(run.checkpoints.steps, run.checkpoints.names, strict=True):
        tensors = run.checkpoints.load(run.checkpoints.names.index(name))
        if not all((tensor == step).all() for tensor in tensors.values()) and step:
            found.append(f"{name} is torn")
    for path in (directory / "checkpoints").glob("*.safetensors"):
        read_checkpoint(path)  # those that are not listed are complete too
    return found


def orphans(directory: Path) -> list[str]:
    """Start a recorder, and return the files that should not be there any more."""
    net = network(0)
    recorder = Recorder(net, directory)
    fill(net, recorder.last_step)
    recorder.close()
    listed = {*Run(directory).checkpoints.names, "manifest.jsonl"}
    return sorted({path.name for path in (directory / "checkpoints").iterdir()} - listed)


def main(kills: int, seed: int) -> int:
    """Return how many complaints there were, and print them."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "the run in .* is continued")  # by a net of zeros: so it is
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    found = []
    base = Path(tempfile.mkdtemp(prefix="torture-"))
    for first in range(0, kills, KILLS_PER_FOLDER):
        directory = base / str(first)
        directory.mkdir()
        acknowledged: set[int] = set()
        for _ in range(min(KILLS_PER_FOLDER, kills - first)):
            acknowledged.update(killed(directory, rng.uniform(0, LONGEST_SECONDS)))
            found += complaints(directory, acknowledged)
            folder = directory / "checkpoints"
            counts["temporary files left"] += len(list(folder.glob(".convviz-*")))
        counts["steps acknowledged"] += len(acknowledged)
        counts["checkpoints read"] += len(Run(directory).checkpoints)
        found += [f"{name} was not swept" for name in orphans(directory)]
    shutil.rmtree(base)
    print(f"{kills} kills, {dict(counts)}: {len(found)} complaints")
    print(*found[:20], sep="\n")
    return len(found)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    sys.exit(bool(main(*(numbers + [50, 0][len(numbers) :]))))
