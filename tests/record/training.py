"""A tiny network in training."""

import torch
from torch import nn

from convviz_widgets.record import Recorder


def build_net(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)
        )


class Training:
    """A network for 4×4 images, and the optimizer that trains it."""

    def __init__(self, seed=0):
        self.model = build_net(seed)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.125)
        self.generator = torch.Generator().manual_seed(seed)

    def step(self):
        inputs = torch.randn(4, 1, 4, 4, generator=self.generator)
        loss = nn.functional.cross_entropy(self.model(inputs), torch.tensor([0, 1, 2, 0]))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def record(self, directory, steps, **options):
        """Record so many steps, as "loss/train"; return what was lost at each."""
        losses = []
        with Recorder(self.model, directory, optimizer=self.optimizer, **options) as recorder:
            for _ in range(steps):
                losses.append(self.step().item())
                recorder.step(**{"loss/train": losses[-1]})
        return losses
