"""Small networks, each with one habit that makes recording hard."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    """A block whose ReLU module runs twice and whose sum is written into a BatchNorm's output."""

    def __init__(self, channels=4, last_relu=True, inplace=True):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace)
        self.last_relu = last_relu

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x
        return self.relu(out) if self.last_relu else out


class Functional(nn.Module):
    """The four spellings of a functional ReLU, and a clamp, which is none."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.conv(x) - 0.1)
        x = torch.relu(x - 0.1)
        x = (x - 0.1).relu_()
        x.clamp_(min=0)
        x = x - 0.1
        F.relu(x, inplace=True)  # the return value is dropped
        return x.mean((2, 3))


class Twice(nn.Module):
    """One convolution that runs twice, beside a module that has the second call's name."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.conv_1 = nn.Conv2d(2, 2, 1)

    def forward(self, x):
        return self.conv_1(self.conv(self.conv(x)))


class Branching(nn.Module):
    """Overwrites its convolution's output only for bright images."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        maps = self.conv(x)
        pooled = self.pool(maps)
        if x.mean() > 1:
            maps.mul_(0)
        return pooled + maps.sum()


class Structured(nn.Module):
    """An LSTM, which returns nested tuples, and an output that is a dict."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        codes, (hidden, _) = self.lstm(x.flatten(1, 2))
        return {"scores": self.head(codes[:, -1]), "extra": (hidden,)}


def plain(inplace=True, channels=3):
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace),
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.ReLU(inplace),
        nn.Dropout(0.5, inplace),
        nn.Flatten(),
        nn.Linear(4 * 36, 5),
        nn.ReLU(inplace),
        nn.Linear(5, 3),
    )


def residual(last_relu=True, inplace=True):
    return nn.Sequential(
        nn.Conv2d(3, 4, 1),
        Residual(last_relu=last_relu, inplace=inplace),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def images(channels, n=2):
    return torch.randn(n, channels, 6, 6, generator=torch.Generator().manual_seed(3))


def seeded(net, seed=0):
    """Give the net weights, biases and statistics that come from the seed alone."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in [*net.parameters(), *net.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.3)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.abs_().add_(0.5)
    return net


NETS = {
    "in-place": (lambda: plain(True), 3),
    "out of place": (lambda: plain(False), 3),
    "one channel": (lambda: plain(True, channels=1), 1),
    "residual": (residual, 3),
    "residual without last ReLU": (lambda: residual(last_relu=False), 3),
    "called twice": (Twice, 2),
    "structured": (Structured, 1),
}


def replica_of(probe):
    """Return the private copy that a probe looks through."""
    return probe.call(lambda replica, _: replica, torch.zeros(1))
