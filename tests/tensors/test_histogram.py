import numpy as np
import pytest
import torch

from convviz_widgets.errors import InputError
from convviz_widgets.tensors import Limits, histogram


def test_a_histogram_that_can_be_counted_by_hand():
    found = histogram(np.array([0, 0, 1, 1.5, 2, 4], np.float32), bins=2)
    assert found.edges.tolist() == [0, 2, 4]
    assert found.counts.tolist() == [4, 2]  # 2 lies on an edge and counts above it, 4 on the last
    assert found.centers.tolist() == [1, 3]
    assert (found.n, found.zeros) == (6, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_counts_agree_with_comparing_every_value(dtype):
    values = torch.randn(5000, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = histogram(values.reshape(50, 100), bins=37)
    exact = values.double().numpy()[:, np.newaxis]
    inside = (exact >= found.edges[:-1]) & (exact < found.edges[1:])
    expected = inside.sum(axis=0)
    expected[-1] += (exact == found.edges[-1]).sum()
    np.testing.assert_array_equal(found.counts, expected)
    assert found.counts.sum() == 5000


def test_default_edges_are_those_of_numpy():
    values = np.random.default_rng(0).standard_normal(1000)
    counts, edges = np.histogram(values, 64)
    found = histogram(values)
    np.testing.assert_allclose(found.edges, edges, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(found.counts, counts)
    assert found.counts.dtype == np.int64


def test_what_is_in_no_bin_is_counted_apart():
    nan, inf = np.nan, np.inf
    values = np.array([nan, nan, inf, -inf, -inf, -inf, -5, 0, -0.0, 0.5, 1, 9, 9], np.float32)
    found = histogram(values, bins=2, limits=Limits(0, 1))
    assert found.counts.tolist() == [2, 2]
    assert (found.nan, found.positive_inf, found.negative_inf) == (2, 1, 3)
    assert (found.below, found.above, found.zeros) == (1, 2, 2)
    apart = found.below + found.above + found.nan + found.positive_inf + found.negative_inf
    assert found.counts.sum() + apart == found.n == 13


@pytest.mark.parametrize("value", [0, 3, -1e30, 1e-40, 1e300, 1.7e308, 2**53])
def test_a_constant_lies_in_one_bin(value):
    found = histogram(np.full(4, value, np.float64))
    assert (np.diff(found.edges) > 0).all()
    assert np.isfinite(found.edges).all()
    assert sorted(found.counts)[-2:] == [0, 4]


@pytest.mark.parametrize(
    "ends", [(1, 1 + 1e-15), (-1.7e308, 1.7e308), (1e16, 1e16 + 2), (0, 1e-300), (-3e38, 3e38)]
)
def test_edges_increase_and_hold_all_values_of_any_range(ends):
    found = histogram(np.array(ends), bins=4096)
    assert (np.diff(found.edges) > 0).all()
    assert found.counts.sum() == 2


@pytest.mark.parametrize("values", [np.zeros((0, 3), np.float32), np.array([np.nan])])
def test_without_finite_values_all_bins_are_empty(values):
    found = histogram(values, bins=3)
    assert found.counts.tolist() == [0, 0, 0]
    assert found.edges.tolist() == pytest.approx([-0.5, -1 / 6, 1 / 6, 0.5])


def test_edges_may_be_given():
    found = histogram([1.0, 5, 50], bins=[0, 1, 10])
    assert found.counts.tolist() == [0, 2]
    assert found.above == 1


@pytest.mark.parametrize(
    "options",
    [
        {"bins": 0},
        {"bins": [1.0]},
        {"bins": [0.0, 0.0, 1.0]},
        {"bins": [0.0, np.nan]},
        {"bins": [0.0, 1.0], "limits": Limits(0, 1)},
    ],
)
def test_what_makes_no_bins_is_refused(options):
    with pytest.raises(InputError, match="expected"):
        histogram(np.zeros(3), **options)
