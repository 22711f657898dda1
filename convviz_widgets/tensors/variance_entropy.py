"""Variance entropy: in how many ways do the kernels of a layer differ?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from convviz_widgets.tensors.display import Numbers, to_display_array
from convviz_widgets.tensors.kernels import kernels

RANDOM_LAYERS = 200
ENOUGH_KERNELS = 10
"""Kernels for each position of one; with fewer the entropy of random kernels itself varies."""


@dataclass(frozen=True)
class VarianceEntropy:
    """The variance entropy of a layer, and how it compares with that of random kernels."""

    value: float
    """H = −Σ p log10 p over the shares p of variance along the principal kernels."""
    random: float
    """What random kernels of the same shape reach in all but a hundredth of cases."""
    kernels: int
    """n, the number of kernels: outputs × inputs of a group."""
    low_power: bool
    """Whether these are fewer than ten for each position."""

    @property
    def relative(self) -> float:
        """H as a part of the random one: near 1 as if never trained, small where few repeat."""
        return self.value / self.random if self.random > 0 else math.nan


def variance_entropy(
    weight: Numbers, *, groups: int = 1, transposed: bool = False
) -> VarianceEntropy | None:
    """Return the variance entropy of a convolution's kernels.

    The n kernels are rows of h·w values; column means removed, their singular values s give
    p_i = s_i² / Σ s². One kernel shape in all sizes has H = 0, unrelated values log10(h·w).

    Parameters
    ----------
    weight, groups, transposed
        As in `kernels`: the weight as PyTorch keeps it.

    Returns
    -------
    VarianceEntropy or None
        None for 1×1 kernels, weights that are no convolution, and kernels that are all equal or
        not finite.

    Notes
    -----
    Gavrikov & Keuper, "CNN Filter DB", CVPR 2022, and their package torchconvquality: 3×3 kernels
    are compared with the fitted threshold T(n); for other sizes with the 1st percentile of 200
    random layers of that shape.
    """
    array = to_display_array(weight)
    if array.ndim < 3 or 0 in array.shape:
        return None
    ordered = kernels(array, groups, transposed=transposed)  # (O, I, h, w)
    rows = ordered.reshape(-1, ordered.shape[2] * ordered.shape[3]).astype(np.float64)
    count, positions = rows.shape
    if positions == 1 or not np.isfinite(rows).all():
        return None
    centred = rows - rows.mean(axis=0)
    value = _entropy(centred.T @ centred)
    if math.isnan(value):
        return None
    is_square = ordered.shape[2:] == (3, 3)
    random = threshold(count) if is_square else random_entropy(count, positions)
    return VarianceEntropy(value, random, count, count < ENOUGH_KERNELS * positions)


def threshold(count: int) -> float:
    """Return T(n): what random 3×3 kernels reach, fitted by Gavrikov & Keuper; 0.95 for many."""
    return 1.2618 / (1 + math.exp(-0.8877 * (math.log2(count) - 2.3044))) - 0.3105


@lru_cache(maxsize=64)
def random_entropy(count: int, positions: int) -> float:
    """Return the 1st percentile of H over 200 layers of ``count`` Gaussian kernels."""
    generator = np.random.default_rng(0)
    entropies = [_entropy(_random_gram(generator, count, positions)) for _ in range(RANDOM_LAYERS)]
    return float(np.quantile(entropies, 0.01))


def _entropy(gram: np.ndarray) -> float:
    """Return H from XᵀX (p, p), whose eigenvalues are the squared singular values."""
    squares = np.clip(np.linalg.eigvalsh(gram), 0.0, None)
    total = squares.sum()
    if not total > 0:
        return math.nan
    shares = squares[squares > 1e-14 * total] / total
    return max(0.0, float(-(shares * np.log10(shares)).sum()))


def _random_gram(generator: np.random.Generator, count: int, positions: int) -> np.ndarray:
    """Return XᵀX (p, p) of centred Gaussian rows, without drawing the rows where they are many.

    It is Wishart with n - 1 degrees of freedom; Bartlett's decomposition draws p² numbers of it.
    """
    degrees = count - 1
    if degrees < positions:
        rows = generator.standard_normal((degrees, positions))
        return rows.T @ rows
    lower = np.tril(generator.standard_normal((positions, positions)), -1)
    np.fill_diagonal(lower, np.sqrt(generator.chisquare(degrees - np.arange(positions))))
    return lower @ lower.T
