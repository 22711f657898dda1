"""A small network that classifies handwritten digits, fast enough to answer while one draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

import convviz_widgets as cvw
from convviz_widgets.checkpoints import write_checkpoint
from convviz_widgets.demo.digits import digit_images
from convviz_widgets.demo.runs import (
    accuracy,
    cache_folder,
    checkpoint_name,
    one_thread,
    train_once,
    trained,
)

STEPS, EVERY = 600, 30

BATCH_SIZE = 64

HELD_OUT = 5
"""Every fifth digit is for validation. Its writer may have written others that are not."""

VERSION = "2"
"""Raised when the training changes, so that an older run is not taken for this one."""


class DigitNet(nn.Module):
    """Two convolutions and one linear layer for (N, 1, 8, 8) digits; 10 class scores."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(32 * 16, 10)

    def forward(self, digits: Tensor) -> Tensor:
        """Return the class scores (N, 10)."""
        maps = self.relu2(self.conv2(self.relu1(self.conv1(digits))))
        scores: Tensor = self.fc(self.pool(maps).flatten(1))
        return scores


@dataclass(frozen=True, eq=False)
class DigitClassifierRun:
    """A finished training of the classifier."""

    model: DigitNet
    """The network after its last step, in eval mode."""
    images: cvw.ImageSet
    """The training digits, in [0, 1], with their classes."""
    validation: cvw.ImageSet
    """Every fifth digit."""
    checkpoints: cvw.CheckpointSeries
    directory: Path
    accuracy: float
    """Share of ``validation`` that the last checkpoint classifies rightly."""


def load_digit_classifier() -> DigitClassifierRun:
    """Return the run; train it first where that was not done (some seconds on one core)."""
    images, validation = _split()
    directory = cache_folder() / f"digit-classifier-{VERSION}-{STEPS}"
    last = directory / checkpoint_name(STEPS)
    train_once(directory, last.is_file, lambda: _train(images, directory))
    model = _new_network()
    checkpoints = trained(model, directory)
    right = accuracy(model, validation)
    return DigitClassifierRun(model, images, validation, checkpoints, directory, right)


def _split() -> tuple[cvw.ImageSet, cvw.ImageSet]:
    digits = digit_images()
    held_out = range(0, len(digits), HELD_OUT)
    kept = sorted(set(range(len(digits))) - set(held_out))
    training, validation = (
        cvw.ImageSet(
            digits.batch(chosen),
            [digits.label(index) for index in chosen],
            class_names=digits.class_names,
            mean=0.0,
            std=1.0,
        )
        for chosen in (kept, held_out)
    )
    return training, validation


@torch.enable_grad()
@one_thread()
def _train(images: cvw.ImageSet, directory: Path) -> None:
    network, generator = _new_network(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.01)
    batches = _batches(images, generator)
    for step in tqdm(range(STEPS + 1), desc="training on digits", unit="step"):
        if step % EVERY == 0:
            write_checkpoint(directory / checkpoint_name(step), network.state_dict())
        digits, labels = next(batches)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(digits), labels).backward()
        optimizer.step()


def _batches(images: cvw.ImageSet, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield digits, each moved by up to a pixel, as a pen might have, and their classes."""
    every = range(len(images))
    digits, labels = images.batch(every), images.expected(every)
    assert labels is not None
    while True:
        chosen = torch.randint(len(images), (BATCH_SIZE,), generator=generator)
        down, right = torch.randint(-1, 2, (2,), generator=generator).tolist()
        padded = nn.functional.pad(digits[chosen], (1, 1, 1, 1))
        yield padded[..., 1 - down : 9 - down, 1 - right : 9 - right], labels[chosen]


def _new_network() -> DigitNet:
    """Return a network with initial weights of its own; the caller's generator stays put."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DigitNet()
