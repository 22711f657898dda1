"""Pictures that a model puts out, beside their targets: how colourful, and how contrasted."""

from __future__ import annotations

from torch import Tensor

from convviz_widgets.instrument.image_set import ImageSet

LOOKED_AT = 8
"""Targets by whose range one tells whether they are preprocessed."""


def as_pictures(values: Tensor, images: ImageSet) -> Tensor:
    """Return outputs or targets (N, C, H, W) of an image set on the scale of [0, 1].

    Targets that leave that range are preprocessed as the inputs are, which is undone.
    """
    targets = [images.target(index) for index in range(min(LOOKED_AT, len(images)))]
    known = [target for target in targets if target is not None]
    is_plain = all(target.min() >= 0 and target.max() <= 1 for target in known)
    if is_plain or values.shape[1] != images.shape[0]:
        return values.double()
    scale, shift = images.preprocessing.scale, images.preprocessing.shift
    return values.double() * scale.reshape(-1, 1, 1) + shift.reshape(-1, 1, 1)


def chroma(pictures: Tensor) -> Tensor:
    """Return the mean of √Σ_c(x_c − grey)² over the positions of each picture: (N,).

    Grey is the mean of the channels. HSV's saturation would call dark noise colourful.
    """
    grey = pictures.mean(dim=1, keepdim=True)
    return (pictures - grey).square().sum(dim=1).sqrt().mean(dim=(1, 2))


def contrast(pictures: Tensor) -> Tensor:
    """Return the standard deviation of the luminance, the mean of the channels: (N,)."""
    return pictures.mean(dim=1).flatten(1).std(dim=1, correction=0)
