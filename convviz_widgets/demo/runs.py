"""The runs of the demonstration: where they are kept, and what all their trainings share.

A training is run once on a machine, by one process and in one thread; then it is read from disk.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import AcquireReturnProxy, FileLock, Timeout
from torch import Tensor, nn

import convviz_widgets as cvw


def cache_folder() -> Path:
    """Return ``convviz_widgets`` in the user's cache folder, as XDG's base directories say."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "convviz_widgets"


def checkpoint_name(step: int) -> str:
    """Return the file name of a step's checkpoint."""
    return f"step-{step:06d}.safetensors"


def train_once(directory: Path, is_finished: Callable[[], bool], train: Callable[[], None]) -> None:
    """Run a training whose results lie in ``directory``, unless it is finished.

    Where another process is at it already, wait for that one: two would take twice as long.
    ``directory`` exists when the training begins.
    """
    if is_finished():
        return
    directory.mkdir(parents=True, exist_ok=True)
    with _lock(directory):
        if not is_finished():
            train()


def _lock(directory: Path) -> AcquireReturnProxy:
    lock = FileLock(directory.with_name(f".{directory.name}.lock"))
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        print(f"{directory.name}: waiting for the process that is training it", file=sys.stderr)
        return lock.acquire()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread; the caller's number of threads is given back.

    A training is then alike on every machine: how sums are split among threads shows in the
    weights. And it is fast on a busy one: of two threads each waits for the other at every step,
    so a network this small trains several times slower when another process wants the cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def trained(network: nn.Module, directory: Path) -> cvw.CheckpointSeries:
    """Give a network the weights of a training's last checkpoint, in eval mode; return all."""
    checkpoints = cvw.CheckpointSeries.from_directory(directory)
    network.eval().load_state_dict(checkpoints.load(len(checkpoints) - 1))
    return checkpoints


@torch.no_grad()
def accuracy(network: nn.Module, images: cvw.ImageSet) -> float:
    """Return the share of labelled images that the network classifies rightly."""
    batches = torch.arange(len(images)).split(128)
    predicted = [network(images.batch(batch.tolist())).argmax(dim=1) for batch in batches]
    return (torch.cat(predicted) == labels_of(images)).double().mean().item()


def labels_of(images: cvw.ImageSet) -> Tensor:
    """Return the labels (N,) of all images."""
    return torch.tensor([images.label(index) for index in range(len(images))])
