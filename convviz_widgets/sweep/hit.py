"""One of the images that excite a channel most."""

from __future__ import annotations

from dataclasses import dataclass

from convviz_widgets.instrument import FieldBox


@dataclass(frozen=True)
class Hit:
    """Where a channel is strongest in one image.

    Attributes
    ----------
    image : index into the data set.
    value : the channel's maximum over that image's map.
    position : (row, col) of the maximum, the first one of several; None in a layer of features.
    box : the pixels that this unit sees; None for images without rows and columns.
    """

    image: int
    value: float
    position: tuple[int, ...] | None
    box: FieldBox | None
