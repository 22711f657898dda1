"""The cases of the ward: how each run is trained, and the one cause that is planted in it, or none.

A case decides everything about its run but the seed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from convviz_widgets.demo.runs import new_network


@dataclasses.dataclass(frozen=True)
class Case:
    """How one run is trained, what is wrong with it, and which rule should say so."""

    name: str
    cause: str
    """What was planted, in words; for a healthy run what it is."""
    rules: tuple[str, ...] = ()
    """Rules any of which names the cause; none for a healthy run."""
    network: Network = "plain"
    optimizer: Literal["adamw", "sgd"] = "adamw"
    rate: float = 3e-3
    momentum: float = 0.0
    """Momentum of SGD."""
    decay: float = 0.01
    schedule: Schedule = "constant"
    gain: float = 0.0
    """Factor on He's initial weights of convolutions; 0: PyTorch's default weights."""
    steps: int = 300
    every: int = 25
    """Steps between two checkpoints, and two evaluations."""
    batch_size: int = 64
    patches: int = 120
    """Training patches of each of the twelve photographs."""
    validation_patches: int = 40
    """Validation patches of each photograph, from its right quarter."""
    flip: bool = True
    """Mirror half of the training patches."""
    scaling: Scaling = "standard"
    fault: Fault = ""
    version: int = 1
    """Raised when the code changes what the same numbers train."""

    @property
    def is_autoencoder(self) -> bool:
        """Whether the network paints its input instead of naming its class."""
        return self.network == "autoencoder"

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that change with anything in the case."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def _by_name(*cases: Case) -> dict[str, Case]:
    return {case.name: case for case in cases}


ILLNESSES = _by_name(
    Case("rate-too-high", "a learning rate of 0.1 with AdamW", ("dead-layer",), rate=0.1),
    Case(
        "rate-jumps",
        "the learning rate is 30 times higher from step 150 on",
        ("loss-jump",),
        schedule="jump",
    ),
    Case("rate-too-low", "a learning rate of 1e-5 with AdamW", ("slow-learning",), rate=1e-5),
    Case(
        "overfit",
        "120 images, never mirrored, for a network of 32-48-64 filters",
        ("overfit",),
        network="wide",
        patches=10,
        flip=False,
    ),
    Case(
        "vanishing",
        "eight convolutions with sigmoids, SGD",
        ("vanishing-gradient",),
        network="deep-sigmoid",
        optimizer="sgd",
        rate=0.1,
    ),
    Case(
        "exploding",
        "eight convolutions whose initial weights are three times He's, SGD",
        ("exploding-gradient", "non-finite"),
        network="deep-relu",
        optimizer="sgd",
        rate=0.01,
        gain=3.0,
        steps=50,
        every=10,
    ),
    Case(
        "bad-batch",
        "the labels of one batch, at step 150, are all one class too high",
        ("loss-surge",),
        fault="bad-batch",
    ),
    Case(
        "bad-input-scale",
        "inputs from 0 to 255, SGD",
        ("input-scale",),
        optimizer="sgd",
        rate=0.05,
        scaling="bytes",
    ),
    Case(
        "washed-out",
        "an autoencoder whose loss leaves out the error of colour",
        ("washed-out-output",),
        network="autoencoder",
        fault="grey-loss",
    ),
    Case(
        "repeated-batch",
        "a loader that gives its third batch again and again",
        ("repeated-batch",),
        schedule="one-cycle",
        fault="repeated-batch",
    ),
    Case(
        "leak",
        "60 training patches among the validation patches",
        ("train-validation-leak",),
        schedule="one-cycle",
        fault="leak",
    ),
    Case(
        "duplicates",
        "60 training patches twice in the training set",
        ("duplicate-sample",),
        schedule="one-cycle",
        fault="duplicates",
    ),
    Case(
        "wrong-preprocessing",
        "mean and std that are not those that were subtracted and divided by",
        ("wrong-preprocessing",),
        schedule="one-cycle",
        scaling="misstated",
    ),
    Case(
        "stopped-early",
        "40 steps: the first filters are the noise that they began as",
        ("noisy-filter",),
        rate=1e-3,
        steps=40,
        every=10,
    ),
    Case(
        "off-centre",
        "inputs from 0 to 1, whose mean was not subtracted",
        ("input-not-centred",),
        schedule="one-cycle",
        scaling="unit",
    ),
)
"""Runs with one planted cause, by name. The last two are worth a remark, not an alarm."""

HEALTHY = _by_name(
    Case("one-cycle", "ReLU network, AdamW, one-cycle schedule", schedule="one-cycle"),
    Case(
        "batch-norm-cosine",
        "batch norm, AdamW, cosine schedule",
        network="batch-norm",
        schedule="cosine",
    ),
    Case("sgd", "ReLU network, SGD with momentum", optimizer="sgd", rate=0.02, momentum=0.9),
    Case("gelu-warm-up", "GELU network, AdamW, warm-up", network="gelu", schedule="warm-up"),
    Case(
        "batch-norm-sgd",
        "batch norm, SGD at 0.1 with warm-up",
        network="batch-norm",
        optimizer="sgd",
        rate=0.1,
        schedule="warm-up",
    ),
    Case(
        "residual",
        "residual network with batch norm and functional ReLUs, SGD with momentum, cosine",
        network="residual",
        optimizer="sgd",
        rate=0.05,
        momentum=0.9,
        schedule="cosine",
    ),
    Case(
        "functional",
        "functional ReLUs, AdamW, cosine schedule",
        network="functional",
        rate=2e-3,
        schedule="cosine",
    ),
    Case(
        "autoencoder",
        "autoencoder, AdamW, one-cycle schedule",
        network="autoencoder",
        schedule="one-cycle",
    ),
)
"""Runs with nothing planted, by name: different networks, optimisers and schedules."""

CHANNELS = (16, 24, 32)


def plain(
    classes: int,
    channels: tuple[int, int, int] = CHANNELS,
    activation: Callable[[], nn.Module] = nn.ReLU,
    norm: bool = False,
) -> nn.Sequential:
    """Return three convolutions, 5×5, 3×3 and 3×3, average pooling and a linear layer.

    The second and the third have stride 2: a pooling would take a third of the training time.
    """
    layers: dict[str, nn.Module] = {}
    before = 3
    for number, (width, size) in enumerate(zip(channels, (5, 3, 3), strict=True), start=1):
        stride = 1 if number == 1 else 2
        layers[f"conv{number}"] = nn.Conv2d(before, width, size, stride, padding=size // 2)
        if norm:
            layers[f"norm{number}"] = nn.BatchNorm2d(width)
        layers[f"activation{number}"] = activation()
        before = width
    return nn.Sequential(OrderedDict(layers | _head(before, classes)))


def deep(classes: int, activation: Callable[[], nn.Module]) -> nn.Sequential:
    """Return eight convolutions of 16 filters in a row, the first with stride 2."""
    layers: dict[str, nn.Module] = {}
    for number in range(1, 9):
        before, stride = (3, 2) if number == 1 else (16, 1)
        layers[f"conv{number}"] = nn.Conv2d(before, 16, 3, stride, padding=1)
        layers[f"activation{number}"] = activation()
    return nn.Sequential(OrderedDict(layers | _head(16, classes)))


class Functional(nn.Module):
    """`plain`, whose ReLUs are function calls."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 5, padding=2)
        self.conv2 = nn.Conv2d(16, 24, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(24, 32, 3, stride=2, padding=1)
        self.linear = nn.Linear(32, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (N, classes)."""
        maps = functional.relu(self.conv1(inputs))  # (N, 16, 16, 16)
        maps = torch.relu(self.conv2(maps))  # (N, 24, 8, 8)
        maps = self.conv3(maps).relu()  # (N, 32, 4, 4)
        return self.linear(maps.mean((2, 3)))


def residual(classes: int) -> nn.Sequential:
    """Return a stem and three residual blocks."""
    layers: dict[str, nn.Module] = {
        "stem": nn.Conv2d(3, 16, 5, stride=2, padding=2, bias=False),
        "norm": nn.BatchNorm2d(16),
        "relu": nn.ReLU(inplace=True),
        "block1": Block(16, 16, 1),
        "block2": Block(16, 24, 2),
        "block3": Block(24, 32, 1),
    }
    return nn.Sequential(OrderedDict(layers | _head(32, classes)))


def autoencoder(_classes: int) -> nn.Sequential:
    """Return a network that paints its input (N, 3, 16, 16) through 16 maps of 4×4."""
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(3, 24, 5, stride=2, padding=2),
        "relu1": nn.ReLU(),
        "conv2": nn.Conv2d(24, 32, 3, stride=2, padding=1),
        "relu2": nn.ReLU(),
        "code": nn.Conv2d(32, 16, 1),
        "up1": nn.ConvTranspose2d(16, 32, 4, stride=2, padding=1),
        "relu3": nn.ReLU(),
        "up2": nn.ConvTranspose2d(32, 24, 4, stride=2, padding=1),
        "relu4": nn.ReLU(),
        "paint": nn.Conv2d(24, 3, 3, padding=1),
    }
    return nn.Sequential(OrderedDict(layers))


_BUILDERS: dict[str, Callable[[int], nn.Module]] = {
    "plain": plain,
    "wide": lambda classes: plain(classes, (32, 48, 64)),
    "functional": Functional,
    "batch-norm": lambda classes: plain(classes, norm=True),
    "gelu": lambda classes: plain(classes, activation=nn.GELU),
    "residual": residual,
    "deep-sigmoid": lambda classes: deep(classes, nn.Sigmoid),
    "deep-relu": lambda classes: deep(classes, nn.ReLU),
    "autoencoder": autoencoder,
}

Network = Literal[
    "plain",
    "wide",
    "functional",
    "batch-norm",
    "gelu",
    "residual",
    "deep-sigmoid",
    "deep-relu",
    "autoencoder",
]

Schedule = Literal["constant", "one-cycle", "cosine", "warm-up", "jump"]

Scaling = Literal["standard", "unit", "bytes", "misstated"]

Fault = Literal["", "bad-batch", "grey-loss", "repeated-batch", "leak", "duplicates"]


def build(case: Case, classes: int, seed: int) -> nn.Module:
    """Return the network of a case; its weights depend on the seed alone.

    The caller's random numbers are given back as they were.
    """

    def drawn() -> nn.Module:
        network = _BUILDERS[case.network](classes)
        if case.gain:
            _scale_he(network, case.gain)
        return network

    return new_network(drawn, seed)


class Block(nn.Module):
    """Two convolutions around which the input is added."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != width:
            self.shortcut = nn.Conv2d(before, width, 1, stride, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return maps (N, width, H / stride, W / stride)."""
        maps = functional.relu(self.norm1(self.conv1(inputs)))
        maps = self.norm2(self.conv2(maps))
        maps += self.shortcut(inputs)
        return functional.relu(maps)


def _head(width: int, classes: int) -> dict[str, nn.Module]:
    return {
        "average": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "linear": nn.Linear(width, classes),
    }


def _scale_he(network: nn.Module, gain: float) -> None:
    """Draw He's initial weights, He et al., ICCV 2015, times a factor."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            module.weight.data *= gain
