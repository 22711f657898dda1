"""Masks in an OutputGallery: colours, errors, overlap and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from convviz_widgets.images import ImageSet
from convviz_widgets.measure.segmentation import MaskCounts
from convviz_widgets.probe.output_kinds import SEGMENTATION, OutputKind
from convviz_widgets.state import ModelState
from convviz_widgets.tensors import class_colours
from convviz_widgets.views import OutputGallery
from convviz_widgets.views.outputs.mask_pages import (
    IGNORED_COLOUR,
    RIGHT_COLOUR,
    WRONG_COLOUR,
    legend_of,
)

PATIENCE = 60


def passing():
    """Return a net that puts out its three channels as the scores of three classes."""
    net = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(3)[:, :, None, None])
    return net


def picture(*classes):
    """Return an image (3, 2, 2) for which `passing` is of these classes."""
    return torch.eye(3)[torch.tensor(classes)].T.reshape(3, 2, 2)


IMAGES = torch.stack([picture(0, 1, 2, 2), picture(1, 1, 1, 1)])
MASKS = torch.tensor([[[0, 1], [1, 255]], [[1, 1], [1, 1]]])


@pytest.fixture
def gallery():
    images = ImageSet(IMAGES, targets=MASKS, class_names=["<sky>", "cat", "dog"])
    state = ModelState(passing(), images)
    view = OutputGallery(state)
    assert state.output_history.wait(PATIENCE)
    yield view
    state.close()


def corners(tile):
    """Return the colours of the four positions of a tile (side, side, 4)."""
    low, high = len(tile) // 4, 3 * len(tile) // 4
    return [tuple(tile[row, column, :3]) for row in (low, high) for column in (low, high)]


def test_masks_have_the_colours_of_their_classes(gallery):
    sky, cat, dog = map(tuple, class_colours(3))
    _, target, prediction, wrong = gallery.pages.shown.selected
    assert corners(target) == [sky, cat, cat, IGNORED_COLOUR]
    assert corners(prediction) == [sky, cat, dog, dog]
    assert corners(wrong) == [RIGHT_COLOUR, RIGHT_COLOUR, WRONG_COLOUR, IGNORED_COLOUR]


def test_the_caption_has_the_overlap_of_each_class(gallery):
    """Sky 1 of 1, cat 5 of 6, dog 0 of 1."""
    assert "mean IoU 0.611 (<sky> 1.00, cat 0.83, dog 0.00)" in gallery.caption
    assert "n = 2 images, 7 positions" in gallery.caption
    assert "ignored: 1 position below zero or 255" in gallery.caption
    assert "&lt;sky&gt; 1.00" in gallery.pages.legend.value
    assert "<sky>" not in gallery.pages.legend.value


def test_a_click_selects_an_image_and_the_pointer_is_named(gallery):
    box = gallery.pages.shown.mosaic.box(1)
    gallery.pages.raster.click(box.x + 1, box.y + 1)
    assert gallery.state.selection.image == 1
    mosaic = gallery.pages.shown.mosaic.box(5)
    assert gallery.pages.shown.picture_at(mosaic.x + 1, mosaic.y + 1) == (1, "prediction")


def test_scores_that_are_no_numbers_have_no_class():
    broken = IMAGES.clone()
    broken[0, 0, 0, 0] = torch.nan
    state = ModelState(passing(), ImageSet(broken, targets=MASKS))
    view = OutputGallery(state)
    assert state.output_history.wait(PATIENCE)
    assert set(corners(view.pages.shown.selected[2])) == {(255, 0, 255)}
    assert "1 image with scores that are NaN or infinite" in view.caption
    state.close()


def test_large_masks_are_not_mixed_when_they_shrink():
    masks = torch.arange(400).repeat(400, 1)[None] % 3  # stripes, one position wide
    images = ImageSet(torch.rand(1, 3, 400, 400), targets=masks)
    state = ModelState(passing(), images)
    view = OutputGallery(state)
    assert state.output_history.wait(PATIENCE)
    target = view.pages.shown.selected[1][..., :3].reshape(-1, 3)
    assert {tuple(each) for each in np.unique(target, axis=0)} == set(map(tuple, class_colours(3)))
    state.close()


def test_without_masks_predictions_are_shown_alone():
    state = ModelState(passing(), ImageSet(IMAGES), output="segmentation")
    view = OutputGallery(state)
    assert state.output_history.wait(PATIENCE)
    assert "no target masks: ImageSet(targets=)" in view.caption
    assert view.pages.shown.selected[1].max() == 0
    state.close()


def test_a_class_without_a_score_is_refused_in_one_line():
    state = ModelState(
        passing(), ImageSet(IMAGES, targets=torch.full((2, 2, 2), 8)), output="segmentation"
    )
    view = OutputGallery(state)
    assert "class 8 of the target masks has no score: the model puts out 3" in view.problem
    assert "\n" not in view.problem
    state.close()


def test_the_legend_keeps_its_place_when_the_overlap_becomes_known():
    names = ["sky", "a rather long name of a class", "nowhere"]
    images = ImageSet(torch.rand(1, 1, 2, 2), class_names=names)
    kind = OutputKind(SEGMENTATION, (3, 2, 2), 3)
    before = legend_of(images, kind, None)
    after = legend_of(images, kind, MaskCounts(np.diag([1, 3, 0]), images=1))
    for legend in (before, after):
        shown = ("sky", "a rather lon… of a class", "nowhere")
        assert [legend.count(name) for name in shown] == [1, 1, 1]
    assert (before.count("padding-right:28px"), after.count("padding-right:28px")) == (3, 1)
