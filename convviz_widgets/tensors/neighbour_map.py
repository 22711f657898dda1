"""The neighbour map: t-SNE, which keeps near codes near and says little about far ones."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from convviz_widgets.errors import InputError

FEWEST = 4
"""Codes; of fewer none has three neighbours."""

START = 1e-4
"""Standard deviation of the first axis at the start, small as in scikit-learn."""


@dataclass(frozen=True, eq=False)
class NeighbourMap:
    """Codes in the plane, as t-SNE lays them out.

    Attributes
    ----------
    positions : float64 (n, 2).
    perplexity : about how many neighbours each code was to keep.
    divergence : Kullback-Leibler, in nats, of the neighbourhoods in the plane from those of the
        codes; the lower the truer.
    """

    positions: np.ndarray
    perplexity: float
    divergence: float


def neighbour_map(
    codes: np.ndarray, start: np.ndarray, perplexity: float, seed: int = 0
) -> NeighbourMap:
    """Lay codes (n, C), all finite, out by t-SNE [van der Maaten & Hinton, JMLR 2008].

    Parameters
    ----------
    start
        (n, 2), the layout to begin with: from the same start come comparable maps [Kobak &
        Berens, Nature Communications 2019].
    perplexity
        About how many neighbours count; with few codes (n - 1) / 3 at most.
    seed
        In place of the global random state, which stays as it is.

    Raises
    ------
    InputError
        For fewer than 4 codes, and without scikit-learn.
    """
    estimator = scikit_learn_tsne()
    if len(codes) < FEWEST:
        raise InputError(f"t-SNE needs {FEWEST} images or more, got {len(codes)}; take PCA")
    kept = min(perplexity, (len(codes) - 1) / 3)
    width = start[:, 0].std()
    begin = (start / width * START if width else start).astype(np.float32)
    tsne = estimator(n_components=2, perplexity=kept, init=begin, random_state=seed)
    positions = tsne.fit_transform(np.ascontiguousarray(codes, np.float32))
    return NeighbourMap(positions.astype(np.float64), kept, float(tsne.kl_divergence_))


def has_scikit_learn() -> bool:
    """Tell whether scikit-learn is installed, without the seconds that importing it takes."""
    return find_spec("sklearn") is not None


def scikit_learn_tsne() -> type:
    """Return scikit-learn's class.

    Raises
    ------
    InputError
        If it is not there.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise InputError(
            "t-SNE needs scikit-learn, which cannot be imported here; "
            "pip install 'convviz_widgets[embedding]', or take PCA"
        ) from error
    return TSNE
