"""An embedding: images of a set as points in the plane, by what a layer makes of them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from convviz_widgets.tensors.alignment import align
from convviz_widgets.tensors.neighbour_map import neighbour_map
from convviz_widgets.tensors.principal_plane import principal_plane

PCA, TSNE = "pca", "t-sne"
METHODS = (PCA, TSNE)

ROOM = 1.25
"""Side of the frame, in sides of the smallest square around the points of the reference."""


@dataclass(frozen=True)
class Frame:
    """A square of the plane."""

    x: float
    y: float
    """Its middle."""
    half: float
    """Half its side."""


@dataclass(frozen=True)
class EmbeddingJob:
    """Which embedding is wanted."""

    key: Hashable
    """Of the checkpoint."""
    reference: Hashable
    """Key of the checkpoint whose axes it is turned to."""
    layer: str
    count: int
    """Images, at most."""
    method: str = PCA
    perplexity: float = 30.0
    """For t-SNE."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Codes laid out in the plane, as they come from PCA or t-SNE.

    Attributes
    ----------
    positions : float64 (n, 2); NaN for codes that are not finite.
    shares : of the variance, along each axis; NaN without any. For t-SNE None.
    perplexity, divergence : of t-SNE, else None.
    """

    positions: np.ndarray
    shares: tuple[float, float] | None = None
    perplexity: float | None = None
    divergence: float | None = None


@dataclass(frozen=True, eq=False)
class Embedding:
    """Images as points, turned onto those of the reference.

    Attributes
    ----------
    images : their indices, n of them.
    labels : int64 (n,), -1 without one.
    positions : float64 (n, 2), in units of their own spread; NaN for images without a code.
    layout : where the points come from, before they were turned.
    agreement : with the reference, see `Aligned`.
    spread : of the points before that, relative to the reference's; NaN if that has none.
    frame : the square that the reference fits in, with some room.
    failures : one line for each image that could not be read.
    """

    images: tuple[int, ...]
    labels: np.ndarray
    positions: np.ndarray
    layout: Layout
    agreement: float
    spread: float
    frame: Frame
    failures: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        held = (self.labels, self.positions, self.layout.positions)
        return sum(each.nbytes for each in held) + 8 * len(self.images)

    @property
    def shown(self) -> np.ndarray:
        """Which images have a point, bool (n,)."""
        return np.isfinite(self.positions).all(axis=1)


def lay_out(codes: np.ndarray, job: EmbeddingJob, start: Layout | None = None) -> Layout:
    """Return codes (n, C) in the plane; t-SNE starts from ``start``, by default from PCA."""
    known = np.isfinite(codes).all(axis=1)
    positions = np.full((len(codes), 2), np.nan)
    if not known.any():
        return Layout(positions)
    plane = principal_plane(codes[known])
    positions[known] = plane.positions
    if job.method == PCA or np.isnan(plane.shares[0]):  # equal codes lie in one point
        return Layout(positions, plane.shares)
    begin = np.zeros(0) if start is None else np.nan_to_num(start.positions[known])
    if not begin.any():  # points that all lie in one place cannot part again
        begin = plane.positions
    found = neighbour_map(codes[known], begin, job.perplexity)
    positions[known] = found.positions
    return Layout(positions, None, found.perplexity, found.divergence)


def turn(
    layout: Layout, reference: Layout, images: tuple[int, ...], labels: np.ndarray
) -> Embedding:
    """Return a layout turned onto the reference's, with the images that it shows."""
    target = align(reference.positions, reference.positions)
    turned = align(layout.positions, target.positions)
    return Embedding(
        images,
        labels,
        turned.positions,
        layout,
        turned.agreement,
        turned.spread / target.spread if target.spread else np.nan,
        _around(target.positions),
    )


def _around(positions: np.ndarray) -> Frame:
    """Return the smallest square around points (n, 2), with room; one of side 2 around a point."""
    there = positions[np.isfinite(positions).all(axis=1)]
    low, high = there.min(axis=0), there.max(axis=0)
    x, y = (low + high) / 2
    return Frame(float(x), float(y), ROOM * float((high - low).max()) / 2 or 1.0)
