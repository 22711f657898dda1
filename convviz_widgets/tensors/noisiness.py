"""Noisiness: is a filter smoother than the same weights at shuffled positions?"""

from __future__ import annotations

import numpy as np

from convviz_widgets.errors import InputError
from convviz_widgets.tensors.display import Numbers, to_display_array
from convviz_widgets.tensors.kernels import kernels

PERMUTATIONS = 200
"""Shuffled copies of each filter: the percentile is known to half a hundredth."""

NOISY = 0.05
"""Percentile from which on a filter counts as noisy: it is no smoother than shuffled weights."""

FULL_POWER = 4
"""Kernels from 4×4 up have positions enough; smaller ones are noisy by chance."""


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
    weight, groups, transposed
        As in `kernels`: the weight as PyTorch keeps it.
    permutations
        How many, the same ones for every filter.
    seed
        Of a generator of its own: equal weights give equal answers, and no other random number
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
    array = to_display_array(weight)
    if array.ndim < 3 or 0 in array.shape:
        return None
    ordered = kernels(array, groups, transposed=transposed).astype(np.float64)  # (O, I, h, w)
    is_depthwise = groups > 1 and ordered.shape[1] == 1
    if is_depthwise or ordered.shape[2] * ordered.shape[3] == 1:
        return None
    return _ranks(ordered, np.random.default_rng(seed), permutations)


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
