"""The patches that excite a channel most: how they are ranked, what comes back from each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from convviz_widgets.probe import Attributions, FieldBox
from convviz_widgets.probe.attribution import Position
from convviz_widgets.state import Direction, Selection, Sweeps
from convviz_widgets.sweeps import Hit, SweepResult

SHOWN = 9
"""Images that are shown, at most."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The strongest images of a channel, or of a direction, at one checkpoint.

    Attributes
    ----------
    checkpoint
        Index of the one whose sweep this is: the selected one, else the nearest that was swept.
    hits
        The strongest first; those of value zero, which are ties, are left out.
    dead
        The channel was zero everywhere in every image.
    fired
        Images in which it was not zero everywhere.
    """

    checkpoint: int
    result: SweepResult
    layer: str
    hits: tuple[Hit, ...]
    dead: bool
    fired: int

    @property
    def images(self) -> tuple[int, ...]:
        """The index of each image."""
        return tuple(hit.image for hit in self.hits)

    def box(self, position: Position) -> FieldBox | None:
        """Return what the unit at a position sees; None for images without rows and columns."""
        fields = self.result.fields
        return None if fields is None else fields.box(self.layer, 0, position)


def direction_of(selection: Selection) -> Direction | None:
    """Return the direction that stands in for the channel."""
    seed = selection.direction
    return None if seed is None else Direction(selection.layer, seed)


def ranking(sweeps: Sweeps, selection: Selection) -> Ranking | None:
    """Return the strongest images at the selected checkpoint, else at the nearest that was swept.

    None where no sweep has seen the layer.
    """
    results = sweeps.all(direction_of(selection))
    here = selection.checkpoint
    for index in sorted(range(len(results)), key=lambda each: (abs(each - here), each)):
        result = results[index]
        if result is not None and selection.layer in {layer.name for layer in result.layers}:
            return _of(result, index, selection)
    return None


def _of(result: SweepResult, index: int, selection: Selection) -> Ranking:
    layer, channel = selection.layer, selection.channel if selection.direction is None else 0
    hits = tuple(hit for hit in result.top(layer, channel) if hit.value != 0)[:SHOWN]
    dead = bool(result.dead(layer)[channel])
    fired = int(result.fired(layer)[channel])
    return Ranking(index, result, layer, hits, dead, fired)


SAME = 0.9
"""Cosine from which on two reconstructions of one image count as the same pattern."""


@dataclass(frozen=True)
class Change:
    """What is new in a patch since the checkpoint before, at whatever rank its image was.

    ``similarity`` is the cosine of the two reconstructions; None where the image was not among the
    top images, or one of the two is nothing.
    """

    picture: bool
    similarity: float | None = None

    @property
    def pattern(self) -> bool:
        """Whether the image is the same and its reconstruction is not."""
        return self.similarity is not None and self.similarity < SAME


@dataclass(frozen=True, eq=False)
class Patch:
    """One of the top images: the unit in it, what it sees, and its reconstruction.

    Attributes
    ----------
    map
        (C, H, W), the signal at each pixel times the input's std; None: nothing to reconstruct.
    box
        The unit's receptive field; None where there is none.
    change
        None at the first checkpoint, and where this one or the one before is not swept.
    """

    image: int
    value: float
    position: Position
    box: FieldBox | None
    map: np.ndarray | None
    change: Change | None


@dataclass(frozen=True, eq=False)
class Reconstructions:
    """What the units of a ranking answer to, at the checkpoint that is looked at.

    Parameters
    ----------
    needs_value
        The method reconstructs nothing from a unit whose value is not above zero.
    """

    ranking: Ranking
    attributions: Attributions
    needs_value: bool

    def map(self, rank: int) -> Tensor | None:
        """Return the map (C, H, W) of a patch; None: nothing to reconstruct."""
        is_something = not self.needs_value or self.attributions.values[rank] > 0
        return self.attributions.maps[rank] if is_something else None


def patches_of(
    now: Reconstructions, before: Reconstructions | None, std: Tensor
) -> tuple[Patch, ...]:
    """Return the patches, the strongest first.

    Parameters
    ----------
    now, before
        Reconstructions at this checkpoint, and at the one before; None: not compared.
    std
        Std of the preprocessing, (C,) or (1,).
    """
    images, known = now.ranking.images, now.attributions
    patches = []
    for rank, image in enumerate(images):
        position = (known.positions or ((),) * len(images))[rank]
        map_ = now.map(rank)
        scaled = None if map_ is None else (map_.cpu() * std.reshape(-1, 1, 1)).numpy()
        box = now.ranking.box(position)
        change = None if before is None else _change(now, before, rank)
        patches.append(Patch(image, float(known.values[rank]), position, box, scaled, change))
    return tuple(patches)


def _change(now: Reconstructions, before: Reconstructions, rank: int) -> Change:
    image, earlier = now.ranking.images[rank], before.ranking.images
    if image not in earlier:
        return Change(picture=True)
    patterns = now.map(rank), before.map(earlier.index(image))
    return Change(picture=False, similarity=_cosine(*patterns))


def _cosine(one: Tensor | None, other: Tensor | None) -> float | None:
    if one is None or other is None:
        return None
    product = float((one * other).sum())
    lengths = float(one.norm() * other.norm())
    return product / lengths if lengths > 0 else None
