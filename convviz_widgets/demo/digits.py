"""A small variational autoencoder of handwritten digits: codes of ten numbers, and a decoder.

The 1,797 digits (8×8, from 43 people) are the test part of the Optical Recognition of Handwritten
Digits data set [Alpaydin and Kaynak, 1998; UCI, CC BY 4.0]; they ship inside scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

import convviz_widgets as cvw
from convviz_widgets.checkpoints import write_checkpoint
from convviz_widgets.demo.runs import cache_folder, checkpoint_name, one_thread, train_once, trained

FACTORS = 10
"""Latent factors of a code; training leaves some of them without effect."""

STEPS, EVERY = 2400, 120

BATCH_SIZE = 128

DIVERGENCE_WEIGHT = 0.3
"""Weight of the divergence; below one digits are sharper, more factors used, codes less Normal."""

VERSION = "3"
"""Raised when the training changes, so that an older run is not taken for this one."""


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
    images = digit_images()
    directory = cache_folder() / f"digits-{VERSION}-{STEPS}"
    last = directory / checkpoint_name(STEPS)
    train_once(directory, last.is_file, lambda: _train(images, directory))
    model = _new_network()
    checkpoints = trained(model, directory)
    return DigitRun(model, images, checkpoints, directory)


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


@torch.enable_grad()
@one_thread()
def _train(images: cvw.ImageSet, directory: Path) -> None:
    network, generator = _new_network(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    batches = _batches(images.batch(range(len(images))), generator)
    for step in tqdm(range(STEPS + 1), desc="training digits", unit="step"):
        if step % EVERY == 0:
            write_checkpoint(directory / checkpoint_name(step), network.state_dict())
        loss = _loss(network, next(batches), generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _loss(network: DigitVae, digits: Tensor, generator: torch.Generator) -> Tensor:
    """Return reconstruction error plus weighted divergence of a batch, in nats a digit."""
    mean, log_variance = network.encode(digits)
    noise = torch.randn(mean.shape, generator=generator)
    found = network.decode(mean + noise * (0.5 * log_variance).exp())
    missed = nn.functional.binary_cross_entropy(found, digits, reduction="sum")
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum()
    return (missed + DIVERGENCE_WEIGHT * divergence) / len(digits)


def _batches(digits: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        yield digits[torch.randint(len(digits), (BATCH_SIZE,), generator=generator)]


def _new_network() -> DigitVae:
    """Return a network with initial weights of its own; the caller's generator stays put."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DigitVae()
