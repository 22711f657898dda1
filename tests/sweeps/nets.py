"""Small nets, and a pass over them that keeps every activation."""

import copy

import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    """In-place and functional ReLUs, a strided shortcut, features at the end."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.shortcut = nn.Conv2d(4, 6, 1, stride=2)
        self.norm = nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = F.relu(self.conv1(x), inplace=True)
        y = self.norm(self.conv2(x))
        y += self.shortcut(x)
        return self.head(y.relu_().mean((2, 3)))


def plain():
    return nn.Sequential(
        nn.Conv2d(3, 5, 3),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(5, 4, 3, padding=1),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(36, 3),
        nn.ReLU(),
    )


def strided():
    return nn.Sequential(
        nn.Conv2d(3, 8, 2, stride=2, groups=1), nn.Sigmoid(), nn.Conv2d(8, 8, 3, groups=8)
    )


NETS = {"plain": plain, "residual": Residual, "strided": strided}


def build(name, seed=0):
    net = NETS[name]()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return net.eval()


def pictures(n, seed=1, size=8):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def activations(net, images):
    """Return layer -> output (N, C, ...) of every module, cloned by hooks of our own."""
    net, kept = copy.deepcopy(net).eval(), {}
    for name, module in net.named_modules():
        if name and not list(module.children()):
            module.register_forward_hook(
                lambda _, __, out, name=name: kept.__setitem__(name, out.clone())
            )
    with torch.no_grad():
        net(images)
    return kept


def strongest(maps, channel, k, groups=None):
    """Return [(image, value, position), ...] by sorting everything, one of each group."""
    flat = maps[:, channel].reshape(len(maps), -1)
    peaks = flat.amax(1)
    ranked, taken = [], set()
    for image in sorted(range(len(maps)), key=lambda i: (-peaks[i].item(), i)):
        source = image if groups is None else groups[image]
        if source not in taken:
            taken.add(source)
            at = flat[image].argmax().item()
            position = divmod(at, maps.shape[3]) if maps.ndim == 4 else None
            ranked.append((image, peaks[image].item(), position))
    return ranked[:k]


def found(result, layer, channel):
    return [(hit.image, hit.value, hit.position) for hit in result.top(layer, channel)]
