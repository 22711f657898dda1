import math

import pytest

from convviz_widgets.tensors import depth_slope


def test_a_tenth_from_layer_to_layer_is_one_decade():
    found = depth_slope([1e-6, 1e-5, 1e-4, 1e-3])
    assert (found.slope, found.total, found.start) == pytest.approx((1.0, 3.0, -6.0))
    assert (found.layers, found.used) == (4, 4)


def test_growing_towards_the_input_is_negative():
    assert depth_slope([100.0, 10.0, 1.0]).slope == pytest.approx(-1.0)


@pytest.mark.parametrize("odd", [0.0, math.nan, math.inf])
def test_layers_left_out_keep_their_place(odd):
    found = depth_slope([1e-3, odd, 1e-1, odd])
    assert (found.slope, found.total) == pytest.approx((1.0, 3.0))
    assert (found.layers, found.used) == (4, 2)


@pytest.mark.parametrize("norms", [[], [1.0], [0.0, 0.0], [0.0, 5.0]])
def test_fewer_than_two_have_no_slope(norms):
    assert math.isnan(depth_slope(norms).slope)
    assert math.isnan(depth_slope(norms).total)
