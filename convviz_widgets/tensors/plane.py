"""Codes in the plane: PCA, t-SNE, and the alignment of points with those of another checkpoint."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from time import perf_counter
from types import FrameType
from typing import Any

import numpy as np

from convviz_widgets.errors import InputError

FEWEST_CODES = 4
"""Fewest codes that t-SNE lays out: among fewer, none has three neighbours."""

START_STD = 1e-4
"""Standard deviation of the first axis at the start, small as in scikit-learn."""

INTERVAL = 0.05
"""Seconds, at least, from one call between two steps of t-SNE to the next."""


@dataclass(frozen=True, eq=False)
class PrincipalPlane:
    """Codes on their first two principal components.

    Attributes
    ----------
    positions : float64 (n, 2), centred; of a single code, or a single number, zero where there is
        no second axis.
    shares : share of the total variance along each axis; NaN when all codes are the same.
    """

    positions: np.ndarray
    shares: tuple[float, float]


def principal_plane(codes: np.ndarray) -> PrincipalPlane:
    """Project codes (n, C), all finite, onto their first two principal components.

    The directions come from the smaller of the two matrices of inner products, so that 5,000
    codes of 64 numbers take milliseconds. Each axis points to where its largest loading, by
    magnitude, is positive: the same codes always give the same plane.
    """
    centred = np.asarray(codes, np.float64)
    centred = centred - centred.mean(axis=0)
    largest = np.abs(centred).max(initial=0.0)
    if not largest:
        return PrincipalPlane(np.zeros((len(centred), 2)), (np.nan, np.nan))
    scaled = centred / largest  # the squares of large numbers would overflow
    axes = _axes(scaled)  # (≤ 2, C)
    positions = np.zeros((len(centred), 2))
    positions[:, : len(axes)] = scaled @ axes.T
    first, second = (positions**2).sum(axis=0) / (scaled**2).sum()
    return PrincipalPlane(positions * largest, (float(first), float(second)))


def _axes(centred: np.ndarray) -> np.ndarray:
    """Return up to two directions of unit length, that of most variance first."""
    count, size = centred.shape
    if size <= count:
        _, vectors = np.linalg.eigh(centred.T @ centred)
        axes = vectors[:, ::-1][:, :2].T
    else:
        _, vectors = np.linalg.eigh(centred @ centred.T)
        axes = vectors[:, ::-1][:, :2].T @ centred
        lengths = np.linalg.norm(axes, axis=1, keepdims=True)
        axes = np.divide(axes, lengths, out=np.zeros_like(axes), where=lengths > 1e-9 * lengths[0])
    strongest = np.abs(axes).argmax(axis=1)
    return axes * np.where(axes[np.arange(len(axes)), strongest] < 0, -1, 1)[:, None]


@dataclass(frozen=True, eq=False)
class Aligned:
    """Points in units of their own spread, turned or mirrored onto others.

    Attributes
    ----------
    positions : float64 (n, 2), centred, of mean square length 1; NaN where the points are, zero
        when all points are the same.
    agreement : 1 when turning, mirroring, shifting and scaling leaves no difference, 0 when the
        points have nothing to do with the others; its square is 1 − the disparity of
        ``scipy.spatial.procrustes``. NaN when either has no spread.
    spread : root mean square distance of the points from their centre.
    """

    positions: np.ndarray
    agreement: float
    spread: float


def align(points: np.ndarray, others: np.ndarray) -> Aligned:
    """Turn ``points`` (n, 2) onto ``others`` (n, 2), row by row, by a Procrustes analysis.

    Both are centred and scaled to the same spread; then comes the rotation or reflection with the
    least sum of squared distances [Schönemann, Psychometrika 1966]. Rows that are not finite in
    either take no part.
    """
    common = np.isfinite(points).all(axis=1) & np.isfinite(others).all(axis=1)
    centre, spread = _centre_and_spread(points[common])
    their_centre, their_spread = _centre_and_spread(others[common])
    own = (points - centre) / (spread or 1.0)
    if not (spread and their_spread):
        return Aligned(own, np.nan, spread)
    theirs = (others[common] - their_centre) / their_spread
    # scipy.linalg.orthogonal_procrustes is this line, too, and the core does not depend on scipy.
    left, strengths, right = np.linalg.svd(own[common].T @ theirs)
    agreement = float(strengths.sum() / common.sum())
    return Aligned(own @ (left @ right), agreement, spread)


def _centre_and_spread(points: np.ndarray) -> tuple[np.ndarray, float]:
    if not len(points):
        return np.zeros(points.shape[1]), 0.0
    centre = points.mean(axis=0)
    spread = float(np.sqrt(((points - centre) ** 2).sum(axis=1).mean()))
    # What rounding leaves of equal points is no spread.
    return centre, spread if spread > 1e-12 * np.abs(points).max() else 0.0


@dataclass(frozen=True, eq=False)
class NeighbourMap:
    """Codes in the plane, as t-SNE lays them out.

    Attributes
    ----------
    positions : float64 (n, 2).
    perplexity : about how many neighbours each code was to keep.
    divergence : Kullback-Leibler, in nats, of the neighbourhoods in the plane from those of the
        codes; a lower one means a more faithful map.
    """

    positions: np.ndarray
    perplexity: float
    divergence: float


def neighbour_map(
    codes: np.ndarray,
    start: np.ndarray,
    perplexity: float,
    seed: int = 0,
    between: Callable[[], None] = lambda: None,
) -> NeighbourMap:
    """Lay codes (n, C), all finite, out by t-SNE [van der Maaten & Hinton, JMLR 2008].

    Parameters
    ----------
    start : (n, 2), the layout to begin with: from the same start come comparable maps [Kobak &
        Berens, Nature Communications 2019].
    perplexity : about how many neighbours count; with few codes (n - 1) / 3 at most.
    seed : in place of the global random state, which stays as it is.
    between : is called between two steps, now and then; what it raises ends t-SNE.

    Raises
    ------
    InputError
        For fewer than 4 codes, and without scikit-learn.
    """
    estimator = scikit_learn_tsne()
    if len(codes) < FEWEST_CODES:
        raise InputError(f"t-SNE needs {FEWEST_CODES} images or more, got {len(codes)}; take PCA")
    kept = min(perplexity, (len(codes) - 1) / 3)
    width = start[:, 0].std()
    begin = (start / width * START_STD if width else start).astype(np.float32)
    tsne = estimator(n_components=2, perplexity=kept, init=begin, random_state=seed)
    with _called_on_entry(between, estimator.__module__):
        positions = tsne.fit_transform(np.ascontiguousarray(codes, np.float32))
    return NeighbourMap(positions.astype(np.float64), kept, float(tsne.kl_divergence_))


@contextmanager
def _called_on_entry(call: Callable[[], None], module: str) -> Iterator[None]:
    """Call ``call()`` now and then where this thread enters a function of the module.

    scikit-learn has no callback, but enters one of its Python functions at every step of t-SNE.
    Only there is it safe to raise: elsewhere a context could be left without its end. A profiler
    of this thread stays in its place; then nothing is called.
    """
    if sys.getprofile() is not None:
        yield
        return
    due = perf_counter() + INTERVAL

    def enter(frame: FrameType, event: str, _arg: Any) -> None:
        nonlocal due
        is_safe = event == "call" and frame.f_globals.get("__name__") == module
        if is_safe and perf_counter() >= due:
            call()
            due = perf_counter() + INTERVAL

    sys.setprofile(enter)
    try:
        yield
    finally:
        sys.setprofile(None)


def has_scikit_learn() -> bool:
    """Tell whether scikit-learn is installed, without the seconds that importing it takes."""
    return find_spec("sklearn") is not None


def scikit_learn_tsne() -> type:
    """Return scikit-learn's class; raise InputError where it cannot be imported."""
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise InputError(
            "t-SNE needs scikit-learn, which cannot be imported here; "
            "pip install 'convviz_widgets[embedding]', or take PCA"
        ) from error
    return TSNE
