"""Activation maps: what the pictures show, and what is said of them, in the cases at the edge."""

import numpy as np
import torch
from torch import nn

from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState
from convviz_widgets.views import ActivationMap, ActivationMosaic
from convviz_widgets.widgets.mosaic_view import MosaicView


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


def test_the_mosaic_says_why_maps_are_hatched():
    net = nn.Sequential(nn.Conv2d(3, 3, 3))
    with torch.no_grad():
        net[0].weight[1:] = 0
        net[0].bias.copy_(torch.tensor([0.0, 0.0, 5.0]))
    view = ActivationMosaic(on(net, 3, 6, 6))
    assert "2 hatched: 1 zero everywhere on this image, 1 constant" in view.caption


def test_a_pixel_of_a_reduced_map_is_called_the_extreme_of_its_block():
    view = ActivationMap(on(nn.Sequential(nn.AvgPool2d(1)), 1, 600, 600))
    size = view.painted.mosaic.reduce
    box = view.painted.mosaic.box(0)
    view.raster.point_at(box.x + 1, box.y)
    rows, columns = f"rows 0 to {size - 1}", f"columns {size} to {2 * size - 1}"
    largest = float(view.state.activation()[0, size - 1, 2 * size - 1])  # values rise
    assert view.pointed == f"{rows}, {columns}: extreme {largest:.4g}"
    assert f"each pixel the extreme of {size}×{size}" in view.caption


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
        "channel 0: 1 to 1, 0% zero",
        "channel 1: no finite value, 0% zero",
        "channel 2: no finite value, 0% zero",
    ]
    map_.raster.point_at(5, 5)
    state.channel = 1
    assert map_.pointed == "row 0, column 0: not a number"
    assert "4 NaN or infinite" in map_.caption
    state.channel = 2
    assert map_.pointed == "row 0, column 0: infinite"
