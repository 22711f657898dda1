"""A unit by its name: what is looked for, as something that can be compared and looked up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convviz_widgets.instrument import Unit
from convviz_widgets.instrument.attribution import Position, random_direction


@dataclass(frozen=True)
class NamedUnit:
    """A channel of a layer, or a random direction by its seed, and where it stands.

    Attributes
    ----------
    layer, channel
        As in the selection.
    seed
        Of the direction that stands in for the channel; None: the channel.
    positions
        One for each image; None: where it is strongest in each.
    """

    layer: str
    channel: int
    seed: int | None = None
    positions: tuple[Position, ...] | None = None

    def split(self, images: int, size: int, channels: int) -> Iterator[Unit]:
        """Yield the unit for every ``size`` of ``images``, in a layer of so many channels."""
        what = self.channel if self.seed is None else random_direction(channels, self.seed)
        for start in range(0, images, size):
            at = None if self.positions is None else self.positions[start : start + size]
            yield Unit(self.layer, what, at)
