"""The demonstration's convnet: three convolutions, global average pooling, one linear layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
    first_scale
        Factor on the first convolution's initial weights: 0.1 leaves little initial noise in
        them, so that what is seen after training was learned.
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
