"""Networks so small that a training takes seconds: (N, 3, 16, 16) in, logits or pictures out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from convviz_widgets.demo.ward.cases import Case

CHANNELS = (16, 24, 32)


def build(case: Case, classes: int, seed: int) -> nn.Module:
    """Return the network of a case; its weights depend on the seed alone.

    The caller's random numbers are given back as they were.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = _BUILDERS[case.network](classes)
        if case.gain:
            _scale_he(network, case.gain)
    return network


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
