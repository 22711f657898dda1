"""The slope of gradients over depth: do they shrink, or grow, on their way to the input?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DepthSlope:
    """The line through log10 of the norms of layers in depth order, input first."""

    slope: float
    """Decades a layer; positive: the norm shrinks towards the input. NaN for fewer than two."""
    start: float
    """Height of the line at layer 0, in decades."""
    layers: int
    """How many layers there are, those left out included."""
    used: int
    """How many have a norm that is finite and above zero."""

    @property
    def total(self) -> float:
        """Decades from the first layer to the last, along the line."""
        return self.slope * (self.layers - 1)


def depth_slope(norms: Sequence[float]) -> DepthSlope:
    """Fit the line by least squares; layers of norm zero, or not finite, are left out.

    Those keep their place in depth, so that the others stay as far apart as they are. Measured on
    layers with weights: about 0 for a sound network, 0.4 for PyTorch's default initialisation with
    ReLU, 0.9 with sigmoids [Glorot & Bengio 2010; He et al. 2015].
    """
    places = [i for i, norm in enumerate(norms) if math.isfinite(norm) and norm > 0]
    if len(places) < 2:
        return DepthSlope(math.nan, math.nan, len(norms), len(places))
    decades = np.log10([norms[i] for i in places])
    slope, start = np.polyfit(places, decades, 1)
    return DepthSlope(float(slope), float(start), len(norms), len(places))
