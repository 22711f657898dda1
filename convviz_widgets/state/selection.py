"""What the user has selected: the one value that every view is a function of."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields

from convviz_widgets.state.drawing import Drawing, Shown, shown_name


@dataclass(frozen=True)
class Selection:
    """One consistent choice of checkpoint, image, layer, channel, target and direction.

    Two selections that compare equal show the same picture, so views need not draw again.

    Examples
    --------
    >>> before = state.select(layer="1", channel=0)
    >>> after = state.select(channel=2)
    >>> after.layer, after.channel
    ('1', 2)
    >>> after.changed(before)
    frozenset({'channel'})
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
    drawing: Drawing | None = None
    """What the model is shown instead of the image, until another one is selected."""

    @property
    def shown(self) -> Shown:
        """What the model is shown: the drawing, or the image."""
        return self.image if self.drawing is None else self.drawing

    @property
    def image_name(self) -> str:
        """What the model is shown, for captions: "image 5", or "image 5, painted over"."""
        return shown_name(self.shown)

    def changed(self, before: Selection | None) -> frozenset[str]:
        """Return the names of the fields that differ from ``before`` (all of them for None).

        Another drawing is another image, too: who depends on the image follows what is drawn.
        """
        names = [field.name for field in fields(self)]
        if before is None:
            return frozenset(names)
        found = {name for name in names if getattr(self, name) != getattr(before, name)}
        return frozenset(found | {"image"} if "drawing" in found else found)
