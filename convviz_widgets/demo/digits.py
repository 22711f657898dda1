"""Two networks of handwritten digits: an autoencoder with a decoder of codes, and a classifier.

The 1,797 digits (8×8, from 43 people) are the test part of the Optical Recognition of Handwritten
Digits data set [Alpaydin and Kaynak, 1998; UCI, CC BY 4.0]; they ship inside scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import convviz_widgets as cvw
from convviz_widgets.demo.runs import (
    accuracy,
    cache_folder,
    checkpoint_name,
    inputs_and_answers,
    new_network,
    train,
    train_once,
    trained,
)

FACTORS = 10
"""Latent factors of a code; training leaves some of them without effect."""

DIVERGENCE_WEIGHT = 0.3
"""Weight of the divergence; below one digits are sharper, more factors used, codes less Normal."""

AUTOENCODER_STEPS, CLASSIFIER_STEPS = 2400, 600

CHECKPOINTS = 20
"""Checkpoints of either training, beside that of the start."""

AUTOENCODER_VERSION, CLASSIFIER_VERSION = "3", "2"
"""Raised when the training changes, so that an older run is not taken for this one."""

HELD_OUT = 5
"""Every fifth digit is for validation. Its writer may have written others that are not."""


class DigitVae(nn.Module):
    """Encode (N, 1, 8, 8) digits as (N, 10), and decode them [Kingma and Welling, ICLR 2014].

    In eval mode the code is its mean, so nothing is drawn at random.
    """

    def __init__(self, factors: int = FACTORS) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.relu = nn.ReLU()
        self.hidden = nn.Linear(8 * 64, 96)
        self.hidden_relu = nn.ReLU()
        self.mean = nn.Linear(96, factors)
        self.log_variance = nn.Linear(96, factors)
        self.decoder = nn.Sequential(
            nn.Linear(factors, 96),
            nn.ReLU(),
            nn.Linear(96, 64),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, 8, 8)),
        )

    def encode(self, digits: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the codes, (N, Z) each."""
        maps = self.relu(self.conv(digits))
        hidden = self.hidden_relu(self.hidden(maps.flatten(1)))
        return self.mean(hidden), self.log_variance(hidden)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the digits (N, 1, 8, 8), in [0, 1], that codes (N, Z) stand for."""
        digits: Tensor = self.decoder(codes)
        return digits

    def forward(self, digits: Tensor) -> Tensor:
        """Return the digits, reconstructed from the mean of their codes."""
        return self.decode(self.encode(digits)[0])


@dataclass(frozen=True, eq=False)
class DigitRun:
    """A finished training of the autoencoder."""

    model: DigitVae
    """The network after its last step, in eval mode."""
    images: cvw.ImageSet
    """All digits in [0, 1], each its own target picture, with its class as label."""
    checkpoints: cvw.CheckpointSeries
    directory: Path


def load_digits() -> DigitRun:
    """Return the run; train it first where that was not done (some seconds on one core)."""
    images, network = digit_images(), new_network(DigitVae)
    generator = torch.Generator().manual_seed(0)
    digits = images.batch(range(len(images)))

    def loss() -> Tensor:
        chosen = torch.randint(len(digits), (128,), generator=generator)
        return _loss(network, digits[chosen], generator)

    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    directory = cache_folder() / f"digits-{AUTOENCODER_VERSION}-{AUTOENCODER_STEPS}"
    checkpoints = _checkpoints(directory, AUTOENCODER_STEPS, network, optimizer, loss)
    return DigitRun(network, images, checkpoints, directory)


def _loss(network: DigitVae, digits: Tensor, generator: torch.Generator) -> Tensor:
    """Return reconstruction error plus weighted divergence of a batch, in nats a digit."""
    mean, log_variance = network.encode(digits)
    noise = torch.randn(mean.shape, generator=generator)
    found = network.decode(mean + noise * (0.5 * log_variance).exp())
    missed = nn.functional.binary_cross_entropy(found, digits, reduction="sum")
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum()
    return (missed + DIVERGENCE_WEIGHT * divergence) / len(digits)


class DigitNet(nn.Module):
    """Two convolutions and one linear layer for (N, 1, 8, 8) digits; 10 class scores.

    It is small enough to answer while one draws.
    """

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
    (images, validation), network = _split(digit_images()), new_network(DigitNet)
    generator = torch.Generator().manual_seed(0)
    digits, labels = inputs_and_answers(images)

    def loss() -> Tensor:
        chosen = torch.randint(len(images), (64,), generator=generator)
        moved = _moved(digits[chosen], torch.randint(-1, 2, (2,), generator=generator))
        return nn.functional.cross_entropy(network(moved), labels[chosen])

    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.01)
    directory = cache_folder() / f"digit-classifier-{CLASSIFIER_VERSION}-{CLASSIFIER_STEPS}"
    checkpoints = _checkpoints(directory, CLASSIFIER_STEPS, network, optimizer, loss)
    right = accuracy(network, validation)
    return DigitClassifierRun(network, images, validation, checkpoints, directory, right)


def _moved(digits: Tensor, by: Tensor) -> Tensor:
    """Return digits, moved by up to a pixel down and right, as a pen might have."""
    down, right = by.tolist()
    padded = nn.functional.pad(digits, (1, 1, 1, 1))
    return padded[..., 1 - down : 9 - down, 1 - right : 9 - right]


def digit_images() -> cvw.ImageSet:
    """Return the 1,797 digits that ship inside scikit-learn."""
    try:
        from sklearn.datasets import load_digits as read_digits
    except ImportError as error:
        raise cvw.InputError(
            "the digits need scikit-learn: pip install 'convviz_widgets[embedding]'"
        ) from error
    found = read_digits()
    digits = torch.from_numpy(found.images / 16).float()[:, None]  # (N, 1, 8, 8)
    labels = [int(label) for label in found.target]
    names = [f"a {label}" for label in range(10)]
    return cvw.ImageSet(digits, labels, targets=digits, class_names=names, mean=0.0, std=1.0)


def _split(digits: cvw.ImageSet) -> tuple[cvw.ImageSet, cvw.ImageSet]:
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


def _checkpoints(
    directory: Path,
    steps: int,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[], Tensor],
) -> cvw.CheckpointSeries:
    """Return the checkpoints of a training that is run unless the last of them is there."""
    written = range(0, steps + 1, max(1, steps // CHECKPOINTS))
    train_once(
        directory,
        is_finished=(directory / checkpoint_name(steps)).is_file,
        train=lambda: train(network, optimizer, loss, directory, written, "training on digits"),
    )
    return trained(network, directory)
