"""A plain training loop that leaves its checkpoints behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

import convviz_widgets as cvw
from convviz_widgets.checkpoints import write_checkpoint
from convviz_widgets.demo.network import PatchNet, build_network
from convviz_widgets.demo.recipe import Recipe


def checkpoint_name(step: int) -> str:
    """Return the file name of a step's checkpoint."""
    return f"step-{step:06d}.safetensors"


@contextmanager
def _at_most_two_threads() -> Iterator[None]:
    """Train alike on machines of any size: how sums are split among threads shows in the weights.

    Two are plenty for a network this small.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, 2))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.enable_grad()
@_at_most_two_threads()
def train(recipe: Recipe, images: cvw.ImageSet, directory: Path) -> PatchNet:
    """Train a new network on ``images``, write its checkpoints to ``directory``, return it."""
    network = build_network(
        len(images.class_names or ()), seed=recipe.seed, first_scale=recipe.first_scale
    )
    optimizer = _optimizer(network, recipe)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.steps
    )
    batches = _batches(images, recipe)
    _save(network, directory, step=0)
    for step in tqdm(range(1, recipe.steps + 1), desc=f"training {recipe.name}", unit="step"):
        inputs, labels = next(batches)
        loss = nn.functional.cross_entropy(network(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step in recipe.checkpoint_steps:
            _save(network, directory, step)
    return network


@torch.no_grad()
def accuracy(network: nn.Module, images: cvw.ImageSet) -> float:
    """Return the share of labelled images that the network classifies rightly."""
    batches = torch.arange(len(images)).split(128)
    predicted = [network(images.batch(batch.tolist())).argmax(dim=1) for batch in batches]
    return (torch.cat(predicted) == _labels(images)).double().mean().item()


def _optimizer(network: PatchNet, recipe: Recipe) -> torch.optim.Optimizer:
    first = network.conv1.weight
    others = [parameter for parameter in network.parameters() if parameter is not first]
    groups = [
        {"params": [first], "weight_decay": recipe.first_decay},
        {"params": others, "weight_decay": recipe.decay},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def _batches(images: cvw.ImageSet, recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield inputs (B, C, H, W) and labels (B,): first a class, then one of its images.

    A small photograph gives fewer patches; drawn evenly over all of them, its class loses out.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    labels = _labels(images)
    counts = labels.bincount()  # (K,)
    by_class = labels.argsort(stable=True)  # (N,)
    first = counts.cumsum(0) - counts  # (K,)
    while True:
        chosen = torch.randint(len(counts), (recipe.batch_size,), generator=generator)
        place = torch.rand(recipe.batch_size, generator=generator) * counts[chosen]
        inputs = images.batch(by_class[first[chosen] + place.long()].tolist())
        if recipe.flip:
            mirrored = torch.rand(recipe.batch_size, generator=generator) < 0.5
            inputs[mirrored] = inputs[mirrored].flip(3)
        yield inputs, chosen


def _labels(images: cvw.ImageSet) -> Tensor:
    return torch.tensor([images.label(index) for index in range(len(images))])


def _save(network: nn.Module, directory: Path, step: int) -> None:
    write_checkpoint(directory / checkpoint_name(step), network.state_dict())
