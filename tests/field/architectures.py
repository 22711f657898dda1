"""Six small architectures written by hand, each with an order of axes of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvNeXtBlock(nn.Module):
    """Depthwise, then linear layers over (N, H, W, C)."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.act, self.down = (
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        moved = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.down(self.act(self.up(moved))).permute(0, 3, 1, 2)


class Attention(nn.Module):
    """Attention whose weights are a layer of their own."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.softmax, self.out = (
            nn.Linear(width, 3 * width),
            nn.Softmax(-1),
            nn.Linear(width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        count, length, width = x.shape
        split = self.qkv(x).reshape(count, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        weights = self.softmax(query @ key.transpose(-2, -1) / (width // self.heads) ** 0.5)
        return self.out((weights @ value).transpose(1, 2).reshape(count, length, width))


class Block(nn.Module):
    """Attention and two linear layers, each beside a skip connection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """A class token, and positions that are learned for 8 × 6 patches or 8 × 8."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.positions = nn.Parameter(torch.randn(1, 65, 16))
        self.block, self.norm, self.head = Block(16, 4), nn.LayerNorm(16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], dim=1)
        tokens = tokens + self.positions[:, : tokens.shape[1]]
        return self.head(self.norm(self.block(tokens))[:, 0])


class SwinBlock(nn.Module):
    """Attention inside windows of 4 × 4, which may be rolled."""

    def __init__(self, shift: int) -> None:
        super().__init__()
        self.shift, self.norm, self.attention = shift, nn.LayerNorm(12), Attention(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        count, height, width, channels = x.shape
        rolled = self.norm(x).roll((-self.shift, -self.shift), (1, 2))
        split = rolled.view(count, height // 4, 4, width // 4, 4, channels)
        windows = split.permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, channels)
        parts = self.attention(windows).view(count, height // 4, width // 4, 4, 4, channels)
        whole = parts.permute(0, 1, 3, 2, 4, 5).reshape(count, height, width, channels)
        return x + whole.roll((self.shift, self.shift), (1, 2))


class Swin(nn.Module):
    """Two blocks, one rolled; then four pixels become the channels of one."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, 4)
        self.plain, self.rolled = SwinBlock(0), SwinBlock(2)
        self.norm, self.reduce, self.head = nn.LayerNorm(48), nn.Linear(48, 24), nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.rolled(self.plain(self.patches(x).permute(0, 2, 3, 1)))
        count, height, width, channels = x.shape
        x = x.reshape(count, height // 2, 2, width // 2, 2, channels).permute(0, 1, 3, 4, 2, 5)
        return self.head(self.reduce(self.norm(x.flatten(3))).mean((1, 2)))


class Mixer(nn.Module):
    """Mixes the places as if they were channels, then the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.before = nn.Conv2d(3, 12, 4, 4), nn.LayerNorm(12)
        self.places = nn.Sequential(nn.Linear(64, 20), nn.GELU(), nn.Linear(20, 64))
        self.norm = nn.LayerNorm(12)
        self.channels = nn.Sequential(nn.Linear(12, 30), nn.ReLU(), nn.Linear(30, 12))
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = tokens + self.places(self.before(tokens).transpose(1, 2)).transpose(1, 2)
        return self.head((tokens + self.channels(self.norm(tokens))).mean(1))


class Mobile(nn.Module):
    """Squeeze and excite, a shuffle of the channels, in-place activations."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn, self.act = (
            nn.Conv2d(3, 8, 3, 2),
            nn.BatchNorm2d(8),
            nn.Hardswish(inplace=True),
        )
        self.squeeze, self.excite = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.norm, self.last, self.head = (
            nn.GroupNorm(2, 8),
            nn.Conv2d(8, 12, 1, groups=2),
            nn.Linear(12, 5),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.bn(self.stem(x)))
        gate = self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1))))
        x *= torch.sigmoid(gate)
        count, channels, height, width = x.shape
        x = x.view(count, 2, channels // 2, height, width).transpose(1, 2)
        x = self.last(self.norm(x.reshape(count, channels, height, width)))
        return self.head(F.relu(x, inplace=True).mean((2, 3)))


class MaxVit(nn.Module):
    """A convolution, attention in windows and attention over a grid; positions are learned."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 12, 4, 4), nn.LayerNorm(12)
        self.inside, self.across = Attention(12, 3), Attention(12, 3)
        self.bias = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 12))
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x).permute(0, 2, 3, 1))
        table = torch.stack(torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij"), -1)
        bias = self.bias(table).reshape(16, 12)
        n = len(x)
        inside = x.view(n, 2, 4, 2, 4, 12).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, 12)
        inside = self.inside(inside + bias).view(n, 2, 2, 4, 4, 12).permute(0, 1, 3, 2, 4, 5)
        x = inside.reshape(n, 8, 8, 12)
        across = x.view(n, 4, 2, 4, 2, 12).permute(0, 2, 4, 1, 3, 5).reshape(-1, 16, 12)
        across = self.across(across).view(n, 2, 2, 4, 4, 12).permute(0, 3, 1, 4, 2, 5)
        return self.head(across.reshape(n, 8, 8, 12).mean((1, 2)))


SIX = {
    "convnext": lambda: nn.Sequential(
        nn.Conv2d(3, 12, 4, 4),
        ConvNeXtBlock(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 5),
    ),
    "vit": VisionTransformer,
    "swin": Swin,
    "mixer": Mixer,
    "mobile": Mobile,
    "maxvit": MaxVit,
}


class Sequence(nn.Module):
    """Hands the rows of pixels of a convolution to a module, and what it puts out to the head."""

    def __init__(self, inner: nn.Module, width: int, *, batch_first: bool, attends: bool) -> None:
        super().__init__()
        self.stem, self.inner, self.head = nn.Conv2d(3, 8, 2, 2), inner, nn.Linear(width, 3)
        self.batch_first, self.attends = batch_first, attends

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.stem(x).flatten(2).transpose(1, 2)  # (N, T, C)
        if not self.batch_first:
            tokens = tokens.transpose(0, 1)
        found, _ = self.inner(*[tokens] * (3 if self.attends else 1))
        return self.head(found.mean(1 if self.batch_first else 0))


def _attention(first: bool) -> nn.Module:
    inner = nn.MultiheadAttention(8, 2, batch_first=first)
    return Sequence(inner, 8, batch_first=first, attends=True)


def _recurrent(kind: type[nn.RNNBase], first: bool, both: bool = False) -> nn.Module:
    inner = kind(8, 6, batch_first=first, bidirectional=both)
    return Sequence(inner, 12 if both else 6, batch_first=first, attends=False)


CONTAINERS_LAST = {
    "attention, batch first": (lambda: _attention(True), (8, 4, 4), -1),
    "attention, batch second": (lambda: _attention(False), (8, 4, 4), -1),
    "LSTM, batch first": (lambda: _recurrent(nn.LSTM, True), (6, 4, 4), -1),
    "LSTM, both ways": (lambda: _recurrent(nn.LSTM, False, True), (12, 4, 4), -1),
    "GRU, batch second": (lambda: _recurrent(nn.GRU, False), (6, 16), -1),
}
"""Name → a model, the shape of its layer "inner", and that layer's own channel axis."""
