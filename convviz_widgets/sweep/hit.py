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

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 1, 1))
    >>> _ = model[0].weight.data.fill_(1.0), model[0].bias.data.fill_(0.0)
    >>> images = torch.zeros(3, 1, 4, 4)
    >>> images[2, 0, 1, 3] = 5.0
    >>> best, *others = cvw.sweep(model, images, progress=False).top("0", 0)
    >>> best.image, best.value, best.position
    (2, 5.0, (1, 3))
    """

    image: int
    value: float
    position: tuple[int, ...] | None
    box: FieldBox | None
