"""The images that excite the selected unit most, of the checkpoint that was swept."""

from __future__ import annotations

from dataclasses import dataclass

from convviz_widgets.instrument import FieldBox
from convviz_widgets.instrument.attribution import Position
from convviz_widgets.state import Direction, Selection, Sweeps
from convviz_widgets.sweep import Hit, SweepResult


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
        Images in which it was not.
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
    hits = tuple(hit for hit in result.top(layer, channel) if hit.value != 0)[:9]
    dead = bool(result.dead(layer)[channel])
    fired = int(result.fired(layer)[channel])
    return Ranking(index, result, layer, hits, dead, fired)
