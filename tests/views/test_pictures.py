"""What the pictures show, and what is said of them, in the cases at the edge."""

import numpy as np
import pytest
import torch
from torch import nn

from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState
from convviz_widgets.views import (
    ActivationMap,
    ActivationMosaic,
    FilterMosaic,
    ImageStrip,
    Predictions,
    WeightHistogram,
)
from convviz_widgets.widgets.mosaic_view import MosaicView, colour


def pixels(view: MosaicView) -> np.ndarray:
    """Return the picture of a view: uint8 (height, width, 4)."""
    return view.raster.pixels


def on(net: nn.Module, *shape: int) -> ModelState:
    """Return a state on two images of this shape, with values that rise from 0 to 1."""
    values = torch.linspace(0, 1, 2 * int(np.prod(shape))).reshape(2, *shape)
    return ModelState(net, ImageSet(values, mean=0.0, std=1.0))


def test_a_map_lies_over_an_image_larger_than_the_frame():
    view = ActivationMap(on(nn.Sequential(nn.AvgPool2d(100)), 3, 600, 600), overlay=True)
    assert view.problem == ""
    mosaic = view.painted.mosaic
    assert mosaic.reduce > 1
    assert pixels(view).shape == (mosaic.height, mosaic.width, 4)


def test_the_value_under_the_pointer_is_the_maps_over_an_image_too():
    state = on(nn.Sequential(nn.AvgPool2d(3)), 3, 6, 9)
    view = ActivationMap(state, overlay=True)
    box = view.painted.mosaic.box(0)
    view.raster.point_at(box.x + box.width - 1, box.y + box.height - 1)
    assert view.pointed == f"row 1, column 2: {float(state.activation()[0, 1, 2]):.4g}"


def test_a_constant_map_is_hatched_over_an_image_too():
    net = nn.Sequential(nn.Conv2d(3, 1, 3))
    nn.init.zeros_(net[0].weight)
    nn.init.ones_(net[0].bias)
    view = ActivationMap(on(net, 3, 60, 60), overlay=True)
    box = view.painted.mosaic.box(0)
    stripes = pixels(view)[box.y : box.y + box.height, box.x : box.x + box.width]
    assert {(64, 64, 64, 255), (190, 190, 190, 255)} <= set(map(tuple, stripes.reshape(-1, 4)))


def test_a_layer_fed_by_another_fully_connected_one_is_drawn_as_rows():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    state = on(net, 3, 6, 6)
    view = FilterMosaic(state)
    state.select(layer="2")
    assert view.painted.tiles.values.shape == (4, 4, 4)
    state.select(layer="4")
    assert view.painted.tiles.values.shape == (1, 10, 64)


@pytest.mark.parametrize(
    ("colormap", "low"), [("blue-orange", -2), ("gray", 0), ("viridis", 0), ("automatic", 0)]
)
def test_zero_is_the_middle_of_a_diverging_colour_map(colormap, low):
    limits = colour(np.array([[[0.0, 2.0]]]), colormap).limits
    assert (limits.low, limits.high) == (low, 2)


def test_signed_values_have_zero_in_the_middle_of_any_colour_map():
    limits = colour(np.array([[[-1.0, 2.0]]]), "viridis").limits
    assert (limits.low, limits.high) == (-2, 2)


def test_the_mosaic_says_why_maps_are_hatched():
    net = nn.Sequential(nn.Conv2d(3, 3, 3))
    with torch.no_grad():
        net[0].weight[1:] = 0
        net[0].bias.copy_(torch.tensor([0.0, 0.0, 5.0]))
    view = ActivationMosaic(on(net, 3, 6, 6))
    assert "2 hatched: 1 zero everywhere on this image, 1 constant" in view.caption


def test_only_the_layer_that_the_image_feeds_is_in_colour():
    state = on(nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 5, 3)), 3, 8, 8)
    view = FilterMosaic(state, slices="input")
    assert view.painted.tiles.colouring is None
    state.select(layer="1")
    assert view.painted.tiles.values.shape == (5, 3, 3)
    assert view.painted.tiles.channels == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("layer", "tiles"),
    [
        (nn.ConvTranspose2d(4, 3, 3), 3),
        (nn.ConvTranspose2d(4, 8, 3, groups=2), 4),
        (nn.Conv2d(4, 8, 3, groups=2), 4),
        (nn.Conv2d(4, 8, 3, groups=4), 8),
    ],
)
def test_the_readers_of_one_input_are_counted_within_its_group(layer, tiles):
    state = on(nn.Sequential(layer), 4, 6, 6)
    view = FilterMosaic(state, slices="input", input_channel=1)
    assert view.problem == ""
    assert len(view.painted.tiles.values) == tiles


def test_an_input_channel_beyond_the_last_is_the_last():
    view = FilterMosaic(on(nn.Sequential(nn.Conv2d(4, 2, 3)), 4, 6, 6), slices="input")
    view.input_channel = 9
    assert "read input 3, the last one (9 asked)" in view.caption


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(2), nn.LayerNorm([6, 6]), nn.LayerNorm([2, 6, 6])])
def test_the_scales_of_a_normalisation_are_no_filters(norm):
    state = on(nn.Sequential(nn.Conv2d(3, 2, 3), norm), 3, 8, 8)
    state.select(layer="1")
    for view in (FilterMosaic(state), WeightHistogram(state)):
        assert "0 (feeds 1, which has no filters)" in view.caption
        assert "n = 54 weights" in view.caption


def test_the_one_weight_of_an_activation_is_no_filter():
    state = on(nn.Sequential(nn.Conv2d(3, 4, 3), nn.PReLU()), 3, 8, 8)
    state.select(layer="1", channel=2)
    view = WeightHistogram(state, scope="filter")
    assert "0 (feeds 1, which has no filters), filter 2" in view.caption
    assert "n = 27 weights" in view.caption


def test_a_pixel_of_a_reduced_map_is_called_the_extreme_of_its_block():
    view = ActivationMap(on(nn.Sequential(nn.AvgPool2d(1)), 1, 600, 600))
    size = view.painted.mosaic.reduce
    box = view.painted.mosaic.box(0)
    view.raster.point_at(box.x + 1, box.y)
    rows, columns = f"rows 0 to {size - 1}", f"columns {size} to {2 * size - 1}"
    largest = float(view.state.activation()[0, size - 1, 2 * size - 1])  # values rise
    assert view.pointed == f"{rows}, {columns}: extreme {largest:.4g}"
    assert f"each pixel the extreme of {size}×{size}" in view.caption


def test_a_pixel_of_reduced_colours_is_called_their_mean():
    net = nn.Sequential(nn.Conv2d(3, 2, 600))
    view = FilterMosaic(on(net, 3, 600, 600))
    assert view.painted.mosaic.reduce > 1
    assert "each pixel the mean of" in view.caption


def holed(*values: float) -> nn.Sequential:
    """Return a net whose three channels are these values."""
    net = nn.Sequential(nn.Conv2d(1, 3, 1))
    nn.init.zeros_(net[0].weight)
    with torch.no_grad():
        net[0].bias.copy_(torch.tensor(values))
    return net


def test_values_that_are_no_numbers_are_counted_in_words():
    state = on(holed(1.0, float("nan"), float("inf")), 1, 2, 2)
    mosaic, map_ = ActivationMosaic(state), ActivationMap(state)
    assert "8 NaN or infinite" in mosaic.caption
    said = [mosaic.describe(tile, mosaic.painted) for tile in range(3)]
    assert said == [
        "channel 0: 1 to 1",
        "channel 1: no finite value",
        "channel 2: no finite value",
    ]
    map_.raster.point_at(5, 5)
    state.channel = 1
    assert map_.pointed == "row 0, column 0: not a number"
    assert "4 NaN or infinite" in map_.caption
    state.channel = 2
    assert map_.pointed == "row 0, column 0: infinite"


def test_weights_that_are_no_numbers_are_counted_in_words():
    net = holed(0.0, 0.0, 0.0)
    nn.init.constant_(net[0].weight, float("nan"))
    state = on(net, 1, 2, 2)
    assert "3 NaN or infinite" in FilterMosaic(state).caption
    caption = WeightHistogram(state).caption
    assert "3 NaN or infinite, not drawn · no finite value" in caption
    assert "nan " not in caption


def scoring(*scores: float) -> ModelState:
    """Return a state on one image for which the net puts out these scores; it is of class 0."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(1, len(scores)))
    nn.init.zeros_(net[1].weight)
    with torch.no_grad():
        net[1].bias.copy_(torch.tensor(scores))
    return ModelState(net, ImageSet(torch.ones(1, 1, 1, 1), labels=[0]))


def test_scores_that_are_no_numbers_are_no_probabilities():
    view = Predictions(scoring(1.0, float("nan"), float("inf")))
    said = "2 of 3 outputs are NaN or infinite at step 0: there are no probabilities"
    assert view.problem == said
    assert "nan" not in view.table.value


def test_a_class_ruled_out_by_an_infinite_score_has_no_share():
    state = scoring(1.0, float("-inf"))
    assert Predictions(state).compute(state.selection).probabilities == (1.0, 0.0)


def test_one_output_is_no_choice_between_classes():
    view = Predictions(scoring(2.0))
    assert "one output: 2, the bar is its sigmoid" in view.caption
    assert "softmax" not in view.caption
    assert "88.1%" in view.table.value
    assert "✓" not in view.table.value


def test_of_two_classes_of_one_name_one_is_true():
    images = ImageSet(torch.rand(1, 1, 2, 2), labels=[1], class_names=["crane", "crane", "dog"])
    view = Predictions(ModelState(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), images))
    assert view.table.value.count("✓") == 1


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
