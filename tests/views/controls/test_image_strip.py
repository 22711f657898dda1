"""The strip of images, one of which cannot be read."""

import torch
from torch import nn

from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState
from convviz_widgets.views import ImageStrip


def test_the_image_strip_turns_its_page(state):
    strip = ImageStrip(state)
    strip.control("Image").value = 4
    assert state.image == 4
    assert strip.highlighted == 4


class OneBroken:
    """Three images, the second of which cannot be read."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> torch.Tensor:
        if index == 1:
            raise OSError("truncated file")
        return torch.full((3, 8, 8), 0.5)


def test_an_unreadable_image_leaves_the_others_in_the_strip():
    images = ImageSet(OneBroken(), mean=0.0, std=1.0, names=["hen", "lost", "image 2"])
    strip = ImageStrip(ModelState(nn.Sequential(nn.Conv2d(3, 2, 3)), images))
    assert strip.problem == ""
    assert list(strip.painted.tiles.hatched) == [False, True, False]
    assert strip.caption == "cannot be read: image 1 (truncated file)"
    said = [strip.describe(tile, strip.painted) for tile in range(3)]
    assert said == ["image 0 · hen", "image 1 cannot be read", "image 2"]


def test_a_picture_without_a_caption_is_called_by_its_title(state):
    assert ImageStrip(state).raster.frame["alt"] == "Image"
