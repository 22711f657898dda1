"""What the user has selected: the one value that every view is a function of."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Selection:
    """One consistent choice of checkpoint, image, layer, channel, target and direction.

    Two selections that compare equal show the same picture, so views need not draw again.
    """

    checkpoint: int
    """Index into the state's ``steps``."""
    step: int
    """Training step of that checkpoint."""
    key: Hashable
    """Identity of its weights: survives index shifts, changes when the file is rewritten."""
    image: int
    """Index into the image set."""
    layer: str
    """Qualified name, as in ``named_modules()``; functional activations after their module."""
    channel: int
    """Channel (or feature) of the layer, from 0."""
    target: int | None = None
    """Class that explanations are for; None: the predicted one."""
    direction: int | None = None
    """Seed of a random unit direction that stands in for the channel; None: the channel."""
    revision: int = 0
    """Counts the changes of the list of checkpoints, and of the metrics beside them."""

    def changed(self, before: Selection | None) -> frozenset[str]:
        """Return the names of the fields that differ from ``before`` (all of them for None)."""
        names = (field.name for field in fields(self))
        if before is None:
            return frozenset(names)
        return frozenset(name for name in names if getattr(self, name) != getattr(before, name))
