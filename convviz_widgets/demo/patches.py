"""Networks that classify patches of photographs: their recipes, their training, and `load`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

import convviz_widgets as cvw
from convviz_widgets.demo import runs
from convviz_widgets.demo.photographs import (
    PHOTOGRAPHS,
    cut_patches,
    image_set,
    mean_and_std,
    normalised,
)
from convviz_widgets.demo.runs import (
    accuracy,
    cache_folder,
    checkpoint_name,
    inputs_and_answers,
    train_once,
    trained,
)

FINISHED = "recipe.json"
"""File that is written last: a folder without it holds half a training, which is done again."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides a run's weights: AdamW, one-cycle learning rate, cross-entropy."""

    name: str
    steps: int
    every: int
    """Steps between two checkpoints."""
    decay: float
    """Weight decay of all parameters but the first convolution's weights."""
    first_decay: float
    """Weight decay of the first convolution's weights."""
    first_scale: float
    """Factor on the first convolution's initial weights."""
    flip: bool
    """Mirror half of the training patches."""
    learning_rate: float = 3e-3
    """Peak of the one-cycle schedule."""
    batch_size: int = 64
    patches: int = 200
    """Most training patches of one photograph."""
    seed: int = 0
    version: int = 2
    """Raised when the code changes what the same numbers train."""

    @property
    def checkpoint_steps(self) -> tuple[int, ...]:
        """Steps at which a checkpoint is written: the start, every so often, the end."""
        return (*range(0, self.steps, self.every), self.steps)

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change with anything in the recipe."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def to_json(self) -> str:
        """Return all fields as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "demo", steps=1500, every=50, decay=0.02, first_decay=0.3, first_scale=0.1, flip=True
        ),
        Recipe(
            "undertrained",
            steps=600,
            every=20,
            decay=0.01,
            first_decay=0.01,
            first_scale=1.0,
            flip=False,
        ),
    )
}
"""``demo`` learns smooth colour and edge filters. ``undertrained`` stops early and keeps
PyTorch's defaults: its first filters stay noisy."""


class PatchNet(nn.Module):
    """Classify (N, 3, 32, 32) patches; the first filters are 7×7, large enough to look at."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 7, padding=3)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(32, 48, 5, padding=2)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(48, 64, 3, padding=1)
        self.relu3 = nn.ReLU()
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(64, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (N, classes)."""
        maps = self.pool1(self.relu1(self.conv1(inputs)))  # (N, 32, 16, 16)
        maps = self.pool2(self.relu2(self.conv2(maps)))  # (N, 48, 8, 8)
        maps = self.relu3(self.conv3(maps))  # (N, 64, 8, 8)
        return self.linear(self.flatten(self.average(maps)))


def build_network(classes: int, *, seed: int, first_scale: float = 1.0) -> PatchNet:
    """Return a network with PyTorch's default initial weights, drawn from a generator of its own.

    The caller's random numbers stay where they were: a module made on the meta device draws none.

    Parameters
    ----------
    first_scale : factor on the first convolution's initial weights: 0.1 leaves little initial noise
        in them, so that what is seen after training was learned.
    """
    with torch.device("meta"):
        network = PatchNet(classes)
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in (network.conv1, network.conv2, network.conv3, network.linear):
            bound = layer.weight[0].numel() ** -0.5
            layer.weight.uniform_(-bound, bound, generator=generator)
            assert layer.bias is not None
            layer.bias.uniform_(-bound, bound, generator=generator)
        network.conv1.weight *= first_scale
    return network


@dataclasses.dataclass(frozen=True, eq=False)
class DemoRun:
    """A finished training of the demonstration network."""

    model: PatchNet
    """The network after its last step, in eval mode."""
    images: cvw.ImageSet
    """The training patches, normalised: from the left 75 % of each photograph."""
    validation: cvw.ImageSet
    """Patches from the right 25 % of each photograph; they share no pixel with ``images``."""
    checkpoints: cvw.CheckpointSeries
    directory: Path
    accuracy: float
    """Share of ``validation`` that the last checkpoint classifies rightly. The photographs'
    right edges look different from the rest; that explains a part of the errors."""


def load(name: str = "demo") -> DemoRun:
    """Return a run, ``"demo"`` or ``"undertrained"``; train it first where that was not done.

    Raises ``InputError`` for another name. The training takes a minute or so on one core.
    """
    if name not in RECIPES:
        raise cvw.InputError(f"unknown run {name!r}; the demonstration has {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    return load_recipe(recipe, cache_folder() / f"{name}-{recipe.fingerprint}")


def load_recipe(recipe: Recipe, directory: Path) -> DemoRun:
    """Return the run of any recipe, kept in ``directory``; train it first where needed."""
    images, validation = image_sets(recipe)
    train_once(
        directory,
        is_finished=lambda: _is_finished(recipe, directory),
        train=lambda: _fill(directory, recipe, images),
    )
    model = build_network(len(PHOTOGRAPHS), seed=recipe.seed)
    checkpoints = trained(model, directory)
    right = accuracy(model, validation)
    return DemoRun(model, images, validation, checkpoints, directory, right)


def image_sets(recipe: Recipe) -> tuple[cvw.ImageSet, cvw.ImageSet]:
    """Return training and validation patches, both normalised by the training patches."""
    training = cut_patches("train", at_most=recipe.patches, seed=recipe.seed)
    validation = cut_patches("validation", at_most=recipe.patches // 3, seed=recipe.seed)
    mean, std = mean_and_std(training.pixels)
    both = [
        image_set(normalised(part.pixels, mean, std), part.labels, mean, std, names=part.names)
        for part in (training, validation)
    ]
    return both[0], both[1]


def _is_finished(recipe: Recipe, directory: Path) -> bool:
    names = [FINISHED, *map(checkpoint_name, recipe.checkpoint_steps)]
    return all((directory / name).is_file() for name in names)


def _fill(directory: Path, recipe: Recipe, images: cvw.ImageSet) -> None:
    (directory / FINISHED).unlink(missing_ok=True)
    train(recipe, images, directory)
    temporary = directory / f".{FINISHED}.{os.getpid()}.tmp"
    temporary.write_text(recipe.to_json() + "\n", encoding="utf-8")
    temporary.replace(directory / FINISHED)


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

    def loss() -> Tensor:
        inputs, labels = next(batches)
        return nn.functional.cross_entropy(network(inputs), labels)

    named = f"training {recipe.name}"
    runs.train(network, optimizer, loss, directory, recipe.checkpoint_steps, named, schedule)
    return network


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
    _, labels = inputs_and_answers(images)
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
