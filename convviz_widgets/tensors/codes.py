"""Latent traversal: codes that differ in one factor, and how much it changes their pictures."""

from __future__ import annotations

import torch
from torch import Tensor


def traversal_codes(held: Tensor, values: Tensor) -> Tensor:
    """Return codes (Z, V, Z): the factor of the first axis takes each value, the others are held.

    Parameters
    ----------
    held : (Z,), the code whose other factors stay.
    values : (V,), what each factor is set to in turn.
    """
    factors = len(held)
    codes = held.repeat(factors, len(values), 1)  # (Z, V, Z)
    each = torch.arange(factors)
    codes[each, :, each] = values.to(codes)
    return codes


def traversal_change(strips: Tensor) -> Tensor:
    """Return how much each factor changes the pictures (Z,), in their own units.

    The root mean square, over pixels and values, of the difference from the strip's mean picture:
    0 for a factor without effect.

    Parameters
    ----------
    strips : (Z, V, C, H, W), the pictures of `traversal_codes`.
    """
    spread = strips - strips.mean(dim=1, keepdim=True)
    return spread.square().flatten(1).mean(1).sqrt()
