import numpy as np
import pytest
import torch
from scipy import stats

from convviz_widgets.errors import InputError
from convviz_widgets.tensors import concentration, constant_maps, sparsity, summary
from convviz_widgets.tensors.maps import energy_box

NAN, INF = np.nan, np.inf


def test_sparsity_is_the_share_of_exact_zeros():
    maps = torch.tensor([[[0.0, 0], [0, 2]], [[1, -0.0], [1e-40, NAN]], [[1, 1], [1, 1]]])
    assert sparsity(maps).tolist() == [0.75, 0.25, 0]


def test_units_of_a_fully_connected_layer_are_sparse_or_not():
    assert sparsity(torch.tensor([0.0, 3])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "share"),
    [
        ([8, 1, 1, 1], 1 / 4),
        ([1, 1, 1, 1], 2 / 4),
        ([-5, 4, 1, 0], 1 / 4),  # |−5| is exactly half of 10
        ([3, 3, 2, 2, 2, 1, 1], 3 / 7),  # 3 + 3 < 7 ≤ 3 + 3 + 2
        ([0, 0, 0, 7], 1 / 4),
        ([0, 0, 0, 0], NAN),
        ([1, NAN, 1, 1], NAN),
        ([1, INF, 1, 1], NAN),
        ([], NAN),
    ],
)
def test_concentration_that_can_be_added_up_by_hand(values, share):
    np.testing.assert_array_equal(concentration(np.array([values], np.float32)), [share])


def smallest_share_with_half(values):
    mass = sorted((abs(float(value)) for value in values), reverse=True)
    for count in range(1, len(mass) + 1):
        if sum(mass[:count]) >= sum(mass) / 2:
            return count / len(mass)
    raise AssertionError("unreachable")


@pytest.mark.parametrize(
    ("kind", "exponent"),
    [
        (np.float32, 0),
        (np.float32, -145),
        (np.float32, 120),
        (np.float64, -1060),
        (np.float64, 1015),
    ],
)
def test_concentration_agrees_with_trying_every_count(kind, exponent):
    whole = np.random.default_rng(0).integers(-9, 10, (20, 5, 6))
    expected = [smallest_share_with_half(values.ravel()) for values in whole]
    maps = np.ldexp(whole.astype(kind), exponent)  # nothing is rounded: ties stay ties
    assert concentration(maps).tolist() == expected


def test_concentration_of_the_largest_numbers_does_not_overflow():
    assert concentration(np.full((1, 8), np.finfo(np.float64).max)).tolist() == [0.5]


def test_constant_maps_are_those_with_nothing_to_see():
    maps = [[[0, 0], [0, 0]], [[5, 5], [5, 5]], [[0, 0], [0, 1e-30]], [[0, 0], [0, NAN]]]
    assert constant_maps(np.array(maps, np.float32)).tolist() == [True, True, False, False]


def test_a_single_position_is_constant_only_at_zero():
    assert constant_maps(torch.tensor([0.0, 2.0])).tolist() == [True, False]
    assert constant_maps(torch.zeros(2, 0, 3)).tolist() == [False, False]


@pytest.mark.parametrize("measure", [sparsity, concentration, constant_maps])
def test_a_number_is_no_map(measure):
    with pytest.raises(InputError, match=r"expected an array of shape \(C, ...\)"):
        measure(3.0)


def test_a_summary_that_can_be_checked_by_hand():
    found = summary(torch.tensor([[0.0, 0, 0, 4], [NAN, INF, -INF, 0]]))
    assert (found.n, found.non_finite, found.zeros) == (8, 3, 4 / 8)
    assert (found.min, found.max, found.mean) == (0, 4, 0.8)
    assert found.std == pytest.approx(1.6)
    assert found.skew == pytest.approx(1.5)  # (4·(−.8)³ + 3.2³) / 5 / 1.6³
    assert found.kurtosis == pytest.approx(0.25)  # (4·.8⁴ + 3.2⁴) / 5 / 1.6⁴ − 3


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1, 1e30, 1e300])
@pytest.mark.parametrize("shift", [0, 100])
def test_moments_agree_with_scipy_at_any_scale(scale, shift):
    plain = np.random.default_rng(0).gamma(2, size=2000) + shift
    found = summary(plain * scale)
    assert found.mean == pytest.approx(plain.mean() * scale)
    assert found.std == pytest.approx(plain.std() * scale)
    assert found.skew == pytest.approx(stats.skew(plain))
    assert found.kurtosis == pytest.approx(stats.kurtosis(plain))


def test_float32_values_are_summed_in_double_precision():
    values = torch.randn(100_000, generator=torch.Generator().manual_seed(0)) + 1000
    assert summary(values).std == pytest.approx(float(values.double().std(correction=0)), rel=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e300])
def test_a_constant_has_no_skew(value):
    found = summary(np.full(10, value))
    assert (found.mean, found.std, found.min, found.max) == (value, 0, value, value)
    assert np.isnan([found.skew, found.kurtosis]).all()


@pytest.mark.parametrize("values", [np.zeros((0, 2)), np.array([NAN, NAN])])
def test_without_finite_values_moments_are_undefined(values):
    found = summary(values)
    assert np.isnan([found.mean, found.std, found.min, found.max, found.skew]).all()
    assert found.n == found.non_finite == values.size


def test_a_single_number_is_its_own_summary():
    found = summary(2.5)
    assert (found.n, found.mean, found.std, found.zeros) == (1, 2.5, 0, 0)


def test_the_box_closes_in_on_a_spot():
    energy = np.zeros((8, 10))
    energy[2:4, 5:9] = 1
    assert energy_box(energy) == (2, 5, 4, 9)


def test_a_tenth_may_lie_outside():
    energy = np.zeros((6, 6))
    energy[1, 1], energy[4, 4] = 0.95, 0.05
    assert energy_box(energy) == (1, 1, 2, 2)
    energy[4, 4] = 0.2
    assert energy_box(energy) == (1, 1, 5, 5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_of_a_constant_the_box_is_large(value):
    top, left, bottom, right = energy_box(np.full((20, 20), value))
    assert (bottom - top) * (right - left) >= 0.9 * 400


def test_what_is_left_holds_the_share():
    energy = np.random.default_rng(0).random((12, 9)) ** 6
    top, left, bottom, right = energy_box(energy, share=0.8)
    assert energy[top:bottom, left:right].sum() >= 0.8 * energy.sum()
    assert (bottom - top) * (right - left) < 108
