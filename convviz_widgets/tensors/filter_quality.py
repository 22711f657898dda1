"""Filter quality: how noisy the filters of a layer are, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from convviz_widgets.errors import InputError
from convviz_widgets.tensors.display import Numbers, to_display_array
from convviz_widgets.tensors.kernels import kernels
from convviz_widgets.tensors.noisiness import NOISY, has_full_power, noisiness, noisy_share
from convviz_widgets.tensors.variance_entropy import VarianceEntropy, variance_entropy

STILL_INITIAL = 0.5
"""Cosine to the initial weights above which they are mostly those still."""

MANY = 0.25
"""Share of noisy filters above which a layer as a whole is called noisy: five times what chance
lets pass below the threshold, and between what smooth (6 %) and noisy runs (72 %) were seen at."""


@dataclass(frozen=True, eq=False)
class FilterQuality:
    """The quality of one layer's filters at one checkpoint."""

    ranks: np.ndarray
    """(O,) percentile of each filter, see `noisiness`."""
    threshold: float
    """Percentile from which on a filter is noisy."""
    low_power: bool
    """Whether the kernels are too small for the percentiles to mean much."""
    cosine: float
    """Between these weights and the initial ones, of the whole layer; NaN where unknown."""
    update_share: float
    """Share of noisy filters in the change since the start; NaN where unknown."""
    entropy: VarianceEntropy | None

    @property
    def share(self) -> float:
        """Share of noisy filters among those that can be ranked; NaN for none."""
        return noisy_share(self.ranks, self.threshold)

    @property
    def count(self) -> int:
        """How many filters can be ranked."""
        return int(np.isfinite(self.ranks).sum())

    @property
    def cause(self) -> str:
        """Why the filters are noisy, in words; empty where they are not."""
        return cause_of(self.share, self.cosine, self.update_share)


def cause_of(share: float, cosine: float, update_share: float) -> str:
    """Return why filters are noisy, in words; empty where they are not, or where that is unknown.

    Parameters
    ----------
    share, update_share
        Of noisy filters, and of those whose change since step 0 is noisy; NaN where unknown.
    cosine
        Between the weights and those of step 0; NaN where unknown.
    """
    if not share > MANY:
        return ""
    if math.isnan(cosine):
        return "why they are noisy cannot be told without the checkpoint of step 0"
    if cosine > STILL_INITIAL:
        return "mostly still its initial noise: updates too few or too small"
    if update_share > MANY:
        return "learned noise: regularise"
    return "neither the initial weights nor what was learned is noisy by itself: cannot tell"


def filter_quality(
    weight: Numbers,
    initial: Numbers | None = None,
    *,
    groups: int = 1,
    transposed: bool = False,
    threshold: float = NOISY,
) -> FilterQuality | None:
    """Return how noisy a convolution's filters are and whether that was there at the start.

    Parameters
    ----------
    weight, groups, transposed
        As in `kernels`: the weight as PyTorch keeps it.
    initial
        The same layer's weight at step 0; None where that is unknown.
    threshold
        Percentile in [0, 1] from which on a filter counts as noisy.

    Returns
    -------
    FilterQuality or None
        None where noisiness means nothing: 1×1 and depthwise kernels, fully connected layers.

    Raises
    ------
    InputError
        When the two weights differ in shape.

    Notes
    -----
    Cosine and update part two causes that look the same and that the gap between training and
    validation does not part: too little training, and too little regularisation.
    """
    ranks = noisiness(weight, groups=groups, transposed=transposed)
    if ranks is None:
        return None
    now = to_display_array(weight).astype(np.float64)
    cosine = update_share = math.nan
    if initial is not None:
        start = to_display_array(initial).astype(np.float64)
        if start.shape != now.shape:
            raise InputError(f"initial weights of shape {start.shape} do not fit {now.shape}")
        cosine = cosine_of(now, start)
        update = noisiness(now - start, groups=groups, transposed=transposed)
        update_share = math.nan if update is None else noisy_share(update, threshold)
    return FilterQuality(
        ranks=ranks,
        threshold=threshold,
        low_power=not has_full_power(kernels(now, groups, transposed=transposed).shape),
        cosine=cosine,
        update_share=update_share,
        entropy=variance_entropy(weight, groups=groups, transposed=transposed),
    )


def cosine_of(first: np.ndarray, second: np.ndarray) -> float:
    """Return the cosine of the angle between two arrays of one shape; NaN for one of zeros."""
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    if not (math.isfinite(lengths) and lengths > 0):
        return math.nan
    return float((first * second).sum()) / lengths
