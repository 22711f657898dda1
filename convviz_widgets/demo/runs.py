"""The runs of the demonstration: where they are kept, and what all their trainings share.

A training is run once on a machine, by one process and in one thread; then it is read from disk.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from filelock import AcquireReturnProxy, FileLock, Timeout
from torch import Tensor, nn
from tqdm.auto import tqdm

import convviz_widgets as cvw
from convviz_widgets.checkpoints import write_checkpoint

Network = TypeVar("Network", bound=nn.Module)


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


@torch.enable_grad()
@one_thread()
def train(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[], Tensor],
    directory: Path,
    checkpoint_steps: Collection[int],
    description: str,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
) -> None:
    """Train a network up to the last of ``checkpoint_steps``, step 0 among them, with a bar.

    Parameters
    ----------
    loss : draws the next batch and returns its loss.
    directory : where the checkpoint of each of these steps is written.
    """
    write_checkpoint(directory / checkpoint_name(0), network.state_dict())
    for step in tqdm(range(1, max(checkpoint_steps) + 1), desc=description, unit="step"):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        if step in checkpoint_steps:
            write_checkpoint(directory / checkpoint_name(step), network.state_dict())


def new_network(build: Callable[[], Network], seed: int = 0) -> Network:
    """Return a network whose weights depend on the seed alone; no other number is drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build()


def trained(network: nn.Module, directory: Path) -> cvw.CheckpointSeries:
    """Give a network the weights of a training's last checkpoint, in eval mode; return all."""
    checkpoints = cvw.CheckpointSeries.from_directory(directory)
    network.eval().load_state_dict(checkpoints.load(len(checkpoints) - 1))
    return checkpoints


@torch.no_grad()
def accuracy(network: nn.Module, images: cvw.ImageSet) -> float:
    """Return the share of labelled images that the network classifies rightly."""
    inputs, labels = inputs_and_answers(images)
    predicted = torch.cat([network(batch).argmax(dim=1) for batch in inputs.split(128)])
    return (predicted == labels).double().mean().item()


def inputs_and_answers(images: cvw.ImageSet, at_most: int | None = None) -> tuple[Tensor, Tensor]:
    """Return the inputs (N, C, H, W) of the first images, and their target pictures or labels."""
    indices = range(len(images))[:at_most]
    expected = images.expected(indices)
    assert expected is not None
    return images.batch(indices), expected
