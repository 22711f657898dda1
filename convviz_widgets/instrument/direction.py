"""Random directions of a layer: what a channel can be compared with."""

from __future__ import annotations

import torch
from torch import Tensor


def random_direction(channels: int, seed: int) -> Tensor:
    """Return a direction drawn evenly from the unit sphere: float32 (channels,).

    Images that lie along one look about as much alike as those of a single channel [Szegedy et
    al., ICLR 2014], which is why the one is worth seeing beside the other. The global generator
    does not move.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(channels, generator=generator)
    return drawn / drawn.norm()
