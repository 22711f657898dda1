"""A measurement: what a look at a whole batch at one checkpoint left behind, in few numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from convviz_widgets.tensors import Distribution

WEIGHTS = "weights"
BIASES = "biases"
PRE_ACTIVATIONS = "pre-activations"
OUTPUTS = "outputs"
OUTPUT_GRADIENTS = "output gradients"
WEIGHT_GRADIENTS = "weight gradients"

QUANTITIES = (WEIGHTS, BIASES, PRE_ACTIVATIONS, OUTPUTS, OUTPUT_GRADIENTS, WEIGHT_GRADIENTS)
"""Of which there are distributions. Pre-activations are what an activation takes in; outputs are
what any layer puts out, of an activation its post-activations."""

Name = tuple[str, str]
"""A layer, and what of it."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """Distributions, numbers and counts by layer; no tensor is kept.

    Attributes
    ----------
    images : number of images that were looked at, 0 where none was needed.
    distributions : (layer, quantity) → `Distribution`; the quantities are `QUANTITIES`.
    numbers : (layer, name) → number, NaN where undefined.
    fired : activation layer → on how many images each channel was not zero everywhere: int64 (C,).
    """

    images: int = 0
    distributions: Mapping[Name, Distribution] = field(default_factory=dict)
    numbers: Mapping[Name, float] = field(default_factory=dict)
    fired: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes that the counts take, about all there is."""
        counts = sum(each.counts.nbytes for each in self.distributions.values())
        return counts + sum(each.nbytes for each in self.fired.values())
