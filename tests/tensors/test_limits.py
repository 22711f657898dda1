import numpy as np
import pytest
import torch

from convviz_widgets.errors import InputError
from convviz_widgets.tensors import (
    Limits,
    channel_limits,
    full_limits,
    normalize,
    symmetric_limits,
    zero_anchored_limits,
)

NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("values", "anchored", "full", "bound"),
    [
        ([1, 4], (0, 4), (1, 4), 4),
        ([-3, 2], (-3, 2), (-3, 2), 3),
        ([-3, -1], (-3, 0), (-3, -1), 3),
        ([NAN, 2, INF, -INF], (0, 2), (2, 2), 2),
        ([0, 0], (0, 0), (0, 0), 0),
        ([NAN, INF], (0, 0), (0, 0), 0),
        ([], (0, 0), (0, 0), 0),
        (7, (0, 7), (7, 7), 7),
    ],
    ids=["positive", "mixed", "negative", "non_finite", "zero", "none_finite", "empty", "0-d"],
)
def test_limits_are_those_of_the_finite_values(values, anchored, full, bound):
    array = np.array(values, np.float32)
    assert zero_anchored_limits(array) == Limits(*anchored)
    assert full_limits(array) == Limits(*full)
    assert symmetric_limits(array) == Limits(-bound, bound, signed=True)


def test_limits_of_tensors_are_those_of_their_values():
    assert full_limits(torch.tensor([[1, -2]], dtype=torch.bfloat16)) == Limits(-2, 1)


def test_a_percentile_leaves_outliers_out():
    values = np.append(np.arange(-50.0, 51), 1e6)
    exact = np.percentile(np.abs(values), 99)
    assert symmetric_limits(values, 99).high == exact == 50


def test_a_percentile_that_falls_on_zeros_is_not_taken():
    assert symmetric_limits(np.array([0.0] * 99 + [-5.0]), 50).high == 5


def test_channel_limits_apply_the_rule_to_each_channel():
    maps = np.array([[[0.0, 2.0]], [[-1.0, 4.0]]])
    assert channel_limits(maps, zero_anchored_limits) == (Limits(0, 2), Limits(-1, 4))


def test_values_lie_between_their_limits():
    shown = normalize(np.array([-1.0, 0, 1, 2, 3, INF, -INF, NAN], np.float32), Limits(0, 2))
    assert shown.dtype == np.float32
    np.testing.assert_array_equal(shown, [0, 0, 0.5, 1, 1, 1, 0, NAN])


def test_limits_per_channel():
    maps = np.array([[[0, 1], [2, NAN]], [[0, 10], [20, 5]], [[3, 3], [NAN, INF]]], np.float32)
    shown = normalize(maps, channel_limits(maps, full_limits))
    np.testing.assert_array_equal(
        shown, [[[0, 0.5], [1, NAN]], [[0, 0.5], [1, 0.25]], [[0, 0], [NAN, 0]]]
    )


@pytest.mark.parametrize("values", [[], [0.0], [-0.0], [float("nan")]])
def test_no_end_of_a_symmetric_scale_is_minus_zero(values):
    found = symmetric_limits(np.array(values))
    assert [f"{end:g}" for end in (found.low, found.high)] == ["0", "0"]


@pytest.mark.parametrize("bound", [1e-45, 1e-38, 1e-30, 0.1, 1 / 3, 7, 1e30, 3.4e38])
def test_zero_is_exactly_the_middle_of_a_signed_scale(bound):
    values = np.array([-bound, 0, bound], np.float32)
    assert normalize(values, symmetric_limits(values)).tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_largest_numbers_do_not_overflow(kind):
    top = np.finfo(kind).max
    values = np.array([-top, -top / 2, 0, top / 2, top], kind)
    assert normalize(values, full_limits(values)).tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_a_constant_is_lowest_and_in_the_middle_of_a_signed_scale():
    values = np.array([5, 5, NAN], np.float32)
    np.testing.assert_array_equal(normalize(values, Limits(5, 5)), [0, 0, NAN])
    np.testing.assert_array_equal(normalize(np.zeros(2), symmetric_limits(np.zeros(2))), [0.5, 0.5])


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1, 1, 1)])
def test_the_shape_is_kept(shape):
    assert normalize(np.zeros(shape, np.float32), Limits(0, 1)).shape == shape


def test_the_values_are_left_as_they_were():
    values = np.array([1.0, 2.0], np.float32)
    normalize(values, Limits(0, 4))
    assert values.tolist() == [1, 2]


@pytest.mark.parametrize(
    "call",
    [
        lambda: Limits(2, 1),
        lambda: Limits(NAN, 1),
        lambda: Limits(0, INF),
        lambda: symmetric_limits([1.0], 101),
        lambda: normalize(np.zeros((3, 2)), (Limits(0, 1),) * 2),
        lambda: channel_limits(np.float32(1), full_limits),
    ],
)
def test_what_does_not_fit_is_refused(call):
    with pytest.raises(InputError, match="expected"):
        call()
