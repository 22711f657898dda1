"""Networks to be timed: ResNets in shape, and their stem alone, with random weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut, added in place of a copy as ResNets do."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = _downsample(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += shortcut
        return self.relu(y)


class Bottleneck(nn.Module):
    """A 3×3 convolution between two of 1×1, and a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _downsample(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += shortcut
        return self.relu(y)


def _downsample(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    if stride == 1 and inputs == outputs:
        return None
    shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
    return nn.Sequential(shortcut, nn.BatchNorm2d(outputs))


def stem() -> list[tuple[str, nn.Module]]:
    """Return what turns (N, 3, 224, 224) into (N, 64, 112, 112), and then pools it."""
    return [
        ("conv1", nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)),
        ("bn1", nn.BatchNorm2d(64)),
        ("relu", nn.ReLU(inplace=True)),
        ("maxpool", nn.MaxPool2d(3, 2, padding=1)),
    ]


def head(channels: int) -> list[tuple[str, nn.Module]]:
    return [
        ("avgpool", nn.AdaptiveAvgPool2d(1)),
        ("flatten", nn.Flatten()),
        ("fc", nn.Linear(channels, 1000)),
    ]


def stem_only() -> nn.Module:
    """Return a ResNet's stem with a classifier on it: the forward pass costs little."""
    torch.manual_seed(0)
    return _sequential([*stem(), *head(64)])


def many_maps() -> nn.Module:
    """Return a network of one layer of 200 maps, 25×25: a mosaic shows them without scrolling."""
    torch.manual_seed(0)
    layers = ("conv1", nn.Conv2d(3, 200, 7, 9, padding=3)), ("relu", nn.ReLU(inplace=True))
    return _sequential([*layers, *head(200)])


def resnet18() -> nn.Module:
    """Return a network of ResNet-18's shape: 11.7 million parameters, 68 layers listed."""
    torch.manual_seed(0)
    widths = (64, 64, 128, 256, 512)
    stages = []
    for number in range(1, 5):
        inputs, outputs = widths[number - 1 : number + 1]
        stride = 1 if number == 1 else 2
        blocks = BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1)
        stages.append((f"layer{number}", nn.Sequential(*blocks)))
    return _sequential([*stem(), *stages, *head(512)])


def resnet50() -> nn.Module:
    """Return a network of ResNet-50's shape: 25.6 million parameters."""
    torch.manual_seed(0)
    inputs, stages = 64, []
    for number, (width, depth) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)], start=1):
        blocks = []
        for place in range(depth):
            blocks.append(Bottleneck(inputs, width, 2 if number > 1 and place == 0 else 1))
            inputs = 4 * width
        stages.append((f"layer{number}", nn.Sequential(*blocks)))
    return _sequential([*stem(), *stages, *head(inputs)])


def _sequential(parts: list[tuple[str, nn.Module]]) -> nn.Module:
    network = nn.Sequential()
    for name, part in parts:
        network.add_module(name, part)
    return network.eval()


NETWORKS = {"stem": stem_only, "resnet18": resnet18, "many maps": many_maps}
"""The forward pass is a small part of the first one's time, and the greater of the second's."""
