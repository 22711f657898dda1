"""What EmbeddingScatter draws: the plan of checkpoints, the points, and the captions."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from convviz_widgets.checkpoints import label_at
from convviz_widgets.images import ImageSet
from convviz_widgets.probe import LayerInfo
from convviz_widgets.state import ModelState, Selection, coarse_to_fine
from convviz_widgets.state.embeddings import Embedding, EmbeddingJob, Embeddings
from convviz_widgets.tensors import evenly_spread
from convviz_widgets.views.units.embedding_plot import label_name

AHEAD = 100
"""Checkpoints that are laid out before the clock comes to them, at most, evenly spread."""

JobOf = Callable[[Hashable, Hashable], EmbeddingJob]
"""Makes the job for the key of a checkpoint, and the key of the one that it is turned to."""


@dataclass(frozen=True)
class EmbeddingPlan:
    """Which checkpoints are laid out, in which order, and which of them the others are turned to.

    Attributes
    ----------
    reference : index of the checkpoint that the others are turned to.
    jobs : by the index of the checkpoint: the selected one, then others from coarse to fine.
    """

    reference: int
    jobs: dict[int, EmbeddingJob]

    @classmethod
    def of(
        cls, keys: Sequence[Hashable], selected: int, reference: int, job_of: JobOf
    ) -> EmbeddingPlan:
        """Return the plan for the checkpoints of these keys."""
        places = evenly_spread(len(keys), AHEAD, ends=True)
        ahead = (places[place] for place in coarse_to_fine(len(places)))
        # The list may have grown since the selection was made.
        wanted = dict.fromkeys([min(selected, len(keys) - 1), *ahead])
        return cls(reference, {place: job_of(keys[place], keys[reference]) for place in wanted})


def readable_reference(
    embeddings: Embeddings, keys: Sequence[Hashable], last: int, job_of: JobOf
) -> int:
    """Return a checkpoint that others can be turned to: ``last``, or one of the two before it.

    One that cannot be read is passed over.
    """
    for place in range(last, max(-1, last - 3), -1):
        if not embeddings.failure(job_of(keys[place], keys[place])):
            return place
    return last


@dataclass(frozen=True, eq=False)
class EmbeddingPicture:
    """What there is to draw."""

    selection: Selection
    layer: str
    found: Embedding | None
    """The embedding of the clock's step, or of the nearest that is known; None before the first."""
    checkpoint: int
    """The checkpoint of the embedding."""
    reference: int
    trail: np.ndarray
    """(k, 2), where the selected image is at the checkpoints that are known, in order."""

    @property
    def images(self) -> tuple[int, ...]:
        """The images that are shown."""
        return () if self.found is None else self.found.images

    def of_class(self, label: int) -> list[int]:
        """Return the images of a class that have a point."""
        found = self.found
        rows = () if found is None else np.flatnonzero((found.labels == label) & found.shown)
        return [self.images[row] for row in rows]

    def nearest(self, count: int) -> list[int]:
        """Return the images nearest to the selected one, itself first; without it none."""
        if self.found is None or self.selection.image not in self.images:
            return []
        positions = self.found.positions
        away = np.hypot(*(positions - positions[self.images.index(self.selection.image)]).T)
        rows = np.argsort(away, kind="stable")[:count]
        return [self.images[row] for row in rows[np.isfinite(away[rows])]]


def trail_of(known: Sequence[Embedding], image: int) -> np.ndarray:
    """Return where an image is in each embedding that has it, (k, 2)."""
    rows = [each.positions[each.images.index(image)] for each in known if image in each.images]
    points = np.array(rows).reshape(-1, 2)
    return points[np.isfinite(points).all(axis=1)]


def late_in_words(
    picture: EmbeddingPicture, state: ModelState, *, failed: bool, stopped: bool
) -> str:
    """Say that what is shown is not of the clock's step, and why; empty where it is."""
    if picture.found is not None and picture.checkpoint == picture.selection.checkpoint:
        return ""
    step = picture.selection.label
    doing = f"{step} not computed" if stopped else f"computing {step}…"
    said = f"{step} cannot be shown" if failed else doing
    if picture.found is None:
        return said
    return f"{said}; this is {label_at(state.steps, picture.checkpoint)}"


def embedding_caption(picture: EmbeddingPicture, state: ModelState, beyond: int) -> str:
    """Return what is said below the plot; ``beyond`` points lie outside its frame."""
    found = picture.found
    assert found is not None, "there is nothing to caption before something is laid out"
    layer = state.layer_info(picture.layer)
    selected = picture.selection.layer
    step, reference = (label_at(state.steps, at) for at in (picture.checkpoint, picture.reference))
    total, n = len(state.image_set), int(found.shown.sum())
    stands_for = "" if layer.name == selected else f" (the activation after {selected})"
    said = [
        f"codes of {layer.name}{stands_for}: {_shape(layer)}",
        step,
        f"n = {n:,} images" + (f" of {total:,}, evenly drawn" if len(found.images) < total else ""),
        _method(found),
        _turned(found, step, reference),
        f"frame {2 * found.frame.half:.2g} spreads wide at every step",
        "line: the selected image's way through the steps",
    ]
    if missing := len(found.images) - n:
        why = f" ({found.failures[0]})" if found.failures else ""
        said.append(f"{missing} without a finite code left out{why}")
    if beyond:
        said.append(f"{beyond} outside, drawn at its edge")
    return " · ".join(said)


def _shape(layer: LayerInfo) -> str:
    if len(layer.shape) < 2:
        return f"{layer.shape[0]} numbers an image"
    places = "×".join(map(str, layer.shape[1:]))
    return f"{layer.shape[0]} channels, each the mean over its {places} positions"


def _method(found: Embedding) -> str:
    layout = found.layout
    if layout.divergence is not None:
        return (
            f"t-SNE, perplexity {layout.perplexity:.3g}, KL divergence {layout.divergence:.3g}: "
            "who is near whom counts; distances between far clusters and their sizes mean little"
        )
    if layout.shares is None or math.isnan(layout.shares[0]):
        return "ALL CODES ARE THE SAME: one point"
    first, second = layout.shares
    return f"PCA: {first + second:.0%} of the variance ({first:.0%} + {second:.0%})"


def _turned(found: Embedding, step: str, reference: str) -> str:
    if step == reference:
        return "the other steps are turned onto this one"
    if math.isnan(found.agreement):
        return f"not turned: {step if not found.spread else reference} has no spread"
    spread = "" if found.layout.divergence is not None else f", spread {found.spread:.2g}× as large"
    return (
        f"turned or mirrored and scaled onto {reference}: agreement {found.agreement:.2f} of 1"
        f"{spread}"
    )


def chosen_in_words(picture: EmbeddingPicture, chosen: Sequence[int], images: ImageSet) -> str:
    """Say how many images are chosen, and of which classes most of them are."""
    if not chosen or picture.found is None:
        return "No images are listed: draw a line around points, or choose a group above."
    rows = np.isin(picture.images, chosen)
    labels, counts = np.unique(picture.found.labels[rows], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:3]
    most = [f"{label_name(images, int(labels[i]))} {counts[i]}" for i in order]
    more = ", …" if len(labels) > 3 else ""
    return f"{len(chosen):,} chosen: {', '.join(most)}{more}"
