"""Filter quality: how noisy the filters of a layer are, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from convviz_widgets.errors import InputError
from convviz_widgets.tensors.display import Numbers, to_display_array
from convviz_widgets.tensors.filters import kernels

NOISY = 0.05
"""Percentile from which on a filter counts as noisy: it is no smoother than shuffled weights."""


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


MANY = 0.25
"""Share of noisy filters above which a layer as a whole is called noisy: five times what chance
lets pass below the threshold, and between what smooth (6 %) and noisy runs (72 %) were seen at."""

STILL_INITIAL = 0.5
"""Cosine to the initial weights above which they are mostly those still."""


def cause_of(
    share: float,
    cosine: float,
    update_share: float,
    *,
    many: float = MANY,
    still_initial: float = STILL_INITIAL,
    many_updates: float = MANY,
) -> str:
    """Return why filters are noisy, in words; empty where they are not, or where that is unknown.

    Parameters
    ----------
    share, update_share : of noisy filters, and of those whose change since step 0 is noisy; NaN
        where unknown.
    cosine : between the weights and those of step 0; NaN where unknown.
    many, still_initial, many_updates : what share, cosine and update_share have to exceed.
    """
    if not share > many:
        return ""
    if math.isnan(cosine):
        return "why they are noisy cannot be told without the checkpoint of step 0"
    if cosine > still_initial:
        return "mostly still its initial noise: updates too few or too small"
    if update_share > many_updates:
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
    weight, groups, transposed : as in `kernels`: the weight as PyTorch keeps it.
    initial : the same layer's weight at step 0; None where that is unknown.
    threshold : percentile in [0, 1] from which on a filter counts as noisy.

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


def _spatial_kernels(weight: Numbers, groups: int, transposed: bool) -> np.ndarray | None:
    """Return a convolution's kernels (O, I, h, w) as float64; None where they have no extent."""
    array = to_display_array(weight)
    if array.ndim < 3 or 0 in array.shape:
        return None
    ordered = kernels(array, groups, transposed=transposed).astype(np.float64)
    return ordered if ordered.shape[2] * ordered.shape[3] > 1 else None


def cosine_of(first: np.ndarray, second: np.ndarray) -> float:
    """Return the cosine of the angle between two arrays of one shape; NaN for one of zeros."""
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    if not (math.isfinite(lengths) and lengths > 0):
        return math.nan
    return float((first * second).sum()) / lengths


PERMUTATIONS = 200
"""Shuffled copies of each filter: the percentile is known to half a hundredth."""


def noisiness(
    weight: Numbers,
    *,
    groups: int = 1,
    transposed: bool = False,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> np.ndarray | None:
    """Return for each filter of a convolution where its total variation ranks among shuffled ones.

    Total variation is the mean absolute difference of neighbouring positions, in both directions
    and over all input channels. It is compared with that of the same filter after random
    permutations of its *positions*, the same for all its input channels: permuting all values
    would find the correlation of colours instead, and call noise smooth. Dividing both by the
    filter's standard deviation changes nothing, since a permutation keeps it.

    Parameters
    ----------
    weight, groups, transposed : as in `kernels`: the weight as PyTorch keeps it.
    permutations : how many, the same ones for every filter.
    seed : for a generator of its own: equal weights give equal answers, and no other random number
        in the process is touched.

    Returns
    -------
    numpy.ndarray or None
        (O,) float64 in [0, 1]: the share of permutations whose total variation is not larger. A
        smooth filter is near 0, one of independent values uniform in [0, 1]. NaN where nothing can
        be ranked: the filter is constant in space, or not finite. None where the question makes
        no sense: 1×1 kernels, weights that are no convolution, depthwise layers (74 to 99 % of
        whose filters look noisy in a well-trained network).

    Raises
    ------
    InputError
        For a weight that `kernels` cannot order, or fewer than one permutation.

    Notes
    -----
    After CS231n, "Understanding and Visualizing Convolutional Neural Networks": noisy first-layer
    filters hint at too little training or regularisation.
    """
    if permutations < 1:
        raise InputError(f"permutations must be at least 1, got {permutations}")
    ordered = _spatial_kernels(weight, groups, transposed)
    if ordered is None or (groups > 1 and ordered.shape[1] == 1):
        return None
    return _ranks(ordered, np.random.default_rng(seed), permutations)


FULL_POWER = 4
"""Kernels from 4×4 up have positions enough; smaller ones are noisy by chance."""


def has_full_power(kernel: tuple[int, ...]) -> bool:
    """Tell whether kernels (..., h, w) are large enough for `noisiness` to mean much."""
    return len(kernel) >= 2 and min(kernel[-2:]) >= FULL_POWER


def noisy_share(ranks: np.ndarray, threshold: float = NOISY) -> float:
    """Return the share of filters at or above the percentile, of those that have one; else NaN."""
    known = ranks[np.isfinite(ranks)]
    return float((known >= threshold).mean()) if known.size else float("nan")


def _ranks(ordered: np.ndarray, generator: np.random.Generator, permutations: int) -> np.ndarray:
    """Return (O,) ranks of filters (O, I, h, w)."""
    outputs, _, height, width = ordered.shape
    finite = np.isfinite(ordered).all(axis=(1, 2, 3))  # (O,)
    apart = _differences(np.where(finite[:, None, None, None], ordered, 0.0))  # (O, h·w, h·w)
    first, second = _neighbours(height, width)
    own = apart[:, first, second].sum(axis=1)  # (O,)
    # Sums in another order differ in their last digits: ties must stay ties.
    at_most = own * (1 + 1e-12)
    not_larger = np.zeros(outputs)
    for _ in range(permutations):
        order = generator.permutation(height * width)
        not_larger += apart[:, order[first], order[second]].sum(axis=1) <= at_most
    varied = apart.reshape(outputs, -1).any(axis=1)
    return np.where(finite & varied, not_larger / permutations, np.nan)


def _differences(ordered: np.ndarray) -> np.ndarray:
    """Return (O, h·w, h·w): absolute differences of any two positions, summed over the inputs.

    The variation of every permutation is a sum over entries of this table.
    """
    flat = ordered.reshape(*ordered.shape[:2], -1)  # (O, I, h·w)
    return np.stack([np.abs(one[:, :, None] - one[:, None, :]).sum(axis=0) for one in flat])


def _neighbours(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of all pairs of neighbours, side by side and one below the other."""
    places = np.arange(height * width).reshape(height, width)
    first = np.concatenate([places[:, :-1].ravel(), places[:-1].ravel()])
    second = np.concatenate([places[:, 1:].ravel(), places[1:].ravel()])
    return first, second


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
    weight, groups, transposed : as in `kernels`: the weight as PyTorch keeps it.

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
    ordered = _spatial_kernels(weight, groups, transposed)
    if ordered is None or not np.isfinite(ordered).all():
        return None
    rows = ordered.reshape(-1, ordered.shape[2] * ordered.shape[3])
    count, positions = rows.shape
    centred = rows - rows.mean(axis=0)
    value = _entropy(centred.T @ centred)
    if math.isnan(value):
        return None
    is_square = ordered.shape[2:] == (3, 3)
    random = fitted_entropy(count) if is_square else random_entropy(count, positions)
    return VarianceEntropy(value, random, count, count < ENOUGH_KERNELS * positions)


def fitted_entropy(count: int) -> float:
    """Return T(n): what random 3×3 kernels reach, fitted by Gavrikov & Keuper; 0.95 for many."""
    return 1.2618 / (1 + math.exp(-0.8877 * (math.log2(count) - 2.3044))) - 0.3105


RANDOM_LAYERS = 200


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
