import math

import numpy as np
import pytest

from convviz_widgets.errors import InputError
from convviz_widgets.tensors import depth_slope, smooth, thin


def by_hand(values, weight):
    """TensorBoard's loop: last = last·w + (1 - w)·x, divided by 1 - w^count."""
    last, count, result = 0.0, 0, []
    for value in values:
        if not np.isfinite(value):
            result.append(value)
            continue
        last, count = last * weight + (1 - weight) * value, count + 1
        result.append(last / (1 - weight**count))
    return np.array(result)


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 1000])
@pytest.mark.parametrize("weight", [0.0, 0.5, 0.9, 0.999])
def test_smoothing_is_the_loop_of_tensorboard(count, weight):
    values = np.random.default_rng(count).normal(size=count)
    np.testing.assert_allclose(smooth(values, weight), by_hand(values, weight), rtol=1e-9)


def test_values_that_are_not_finite_stay_and_change_no_other():
    values = np.array([1.0, np.nan, 3.0, np.inf, 5.0])
    np.testing.assert_allclose(smooth(values), by_hand(values, 0.9))


def test_later_points_never_change_earlier_ones():
    values = np.random.default_rng(0).normal(size=700)
    np.testing.assert_array_equal(smooth(values)[:300], smooth(values[:300]))


def test_a_smoothing_of_one_is_refused():
    with pytest.raises(InputError, match=r"smoothing 1\.0 is out of range"):
        smooth(np.ones(3), 1.0)


def test_few_points_are_all_kept():
    assert list(thin(np.arange(8), np.zeros(8), 2)) == list(range(8))


def test_a_spike_among_a_million_is_kept():
    values = np.random.default_rng(0).normal(size=1_000_000)
    values[123_457], values[654_321] = 50.0, -50.0
    kept = thin(np.arange(1_000_000), values, 500)
    assert {0, 123_457, 654_321, 999_999} <= set(kept)
    assert len(kept) <= 2000
    assert (np.diff(kept) > 0).all()


def test_each_column_keeps_its_extremes():
    steps, values = np.arange(1000), np.random.default_rng(1).normal(size=1000)
    kept = set(thin(steps, values, 10))
    for column in range(10):
        part = np.flatnonzero(np.minimum(steps / 999 * 10, 9).astype(int) == column)
        assert part[values[part].argmin()] in kept
        assert part[values[part].argmax()] in kept


def test_nan_hides_no_extreme_and_a_column_of_nan_is_kept():
    values = np.zeros(1000)
    values[:100], values[150], values[160] = np.nan, 9.0, np.nan
    kept = thin(np.arange(1000), values, 10)
    assert 150 in kept
    assert np.isnan(values[kept[0]])


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
