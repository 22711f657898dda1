"""Distributions against numpy, scipy and counts made by hand."""

import numpy as np
import pytest
import scipy.stats
import torch

from convviz_widgets.errors import InputError
from convviz_widgets.tensors import PERCENTILES, Distribution, distribution, merged

RNG = np.random.default_rng(0)

SAMPLES = {
    "normal": RNG.normal(size=5000).astype(np.float32),
    "rectified": np.maximum(RNG.normal(size=5000), 0).astype(np.float32),
    "far from zero": (1e6 + RNG.normal(size=500)),
    "one outlier": np.append(RNG.normal(size=999), 27_600).astype(np.float32),
    "tiny": (1e-42 * RNG.normal(size=300)).astype(np.float32),
    "huge": (3e38 * RNG.uniform(-1, 1, size=300)).astype(np.float32),
    "negative": -RNG.exponential(size=700),
    "constant": np.full(9, 0.3, np.float32),
    "zeros": np.zeros(7, np.float32),
    "single": np.array([-2.5]),
}


@pytest.fixture(params=SAMPLES)
def values(request):
    return SAMPLES[request.param]


def test_small_whole_numbers_by_hand():
    counted = distribution(torch.tensor([0.0, 0.0, 1.0, 1.5, -1.0, float("nan"), float("inf")]))
    edges = counted.edges
    assert counted.edges[0] == -1.0
    assert counted.counts.sum() == 3  # zeros stand beside the bins
    assert counted.counts[np.searchsorted(edges, 1.5)] == 1
    assert (counted.n, counted.finite, counted.zeros) == (7, 5, 2)
    assert (counted.nan, counted.positive_inf, counted.negative_inf) == (1, 1, 0)
    assert (counted.low, counted.high) == (-1.0, 1.5)


def test_counts_equal_those_of_numpy_between_the_same_edges(values):
    counted = distribution(values)
    expected = np.histogram(values[values != 0].astype(np.float64), counted.edges)[0]
    np.testing.assert_array_equal(counted.counts, expected)
    assert counted.counts.sum() + counted.zeros == values.size


def test_more_than_half_of_4096_bins_are_used():
    counted = distribution(SAMPLES["normal"])
    assert 2048 < len(counted.counts) <= 4096
    assert counted.width <= np.ptp(SAMPLES["normal"]) / 2047


def test_percentiles_are_within_one_bin_of_the_value_of_that_rank(values):
    counted = distribution(values)
    expected = np.quantile(values, np.array(PERCENTILES) / 100, method="inverted_cdf")
    found = counted.percentiles()
    assert np.abs(found - expected).max() <= counted.width
    assert (found[0], found[-1]) == (values.min(), values.max())
    assert (np.diff(found) >= 0).all()


def test_zeros_are_a_percentile_of_their_own():
    found = distribution(np.array([0.0, 0, 0, 0, 0, 0, 0, 1, 2, 4])).percentiles((10, 50, 70, 80))
    np.testing.assert_allclose(found, [0, 0, 0, 1], atol=0.001)
    assert (found[:3] == 0).all()


def test_levels_of_a_normal_are_its_sigmas():
    counted = distribution(np.random.default_rng(3).normal(2, 0.5, 400_000))
    sigmas = (counted.percentiles()[1:-1] - 2) / 0.5
    np.testing.assert_allclose(sigmas, [-1.5, -1, -0.5, 0, 0.5, 1, 1.5], atol=0.02)


def test_moments_equal_those_of_scipy(values):
    found = distribution(values).moments
    wide = values.astype(np.float64)
    assert found.mean == pytest.approx(wide.mean(), rel=1e-6)
    assert found.std == pytest.approx(wide.std(), rel=1e-6, abs=1e-300)
    assert found.norm == pytest.approx(np.linalg.norm(wide), rel=1e-9)
    if np.ptp(wide) > 1e-5 * np.abs(wide).max() and 1e-30 < np.abs(wide).max() < 1e30:
        assert found.skew == pytest.approx(scipy.stats.skew(wide), rel=1e-6)
        assert found.kurtosis == pytest.approx(scipy.stats.kurtosis(wide), rel=1e-6)


@pytest.mark.parametrize("size", [1, 7, 256])
def test_pieces_add_up_to_the_whole(values, size):
    pieces = [values[i : i + size] for i in range(0, len(values), size)]
    total, whole = merged([distribution(piece) for piece in pieces]), distribution(values)
    assert (total.exponent, total.first) == (whole.exponent, whole.first)
    np.testing.assert_array_equal(total.counts, whole.counts)
    assert (total.zeros, total.low, total.high) == (whole.zeros, whole.low, whole.high)
    assert total.moments.n == whole.moments.n
    assert total.moments.mean == pytest.approx(whole.moments.mean, rel=1e-6)
    assert total.moments.std == pytest.approx(whole.moments.std, rel=1e-5, abs=1e-300)


def test_very_different_ranges_add_up_exactly():
    tiny, large = np.array([1e-9, -1e-9, 0.0]), np.array([4096.0, 5000.0])
    total = distribution(tiny) + distribution(large)
    expected = np.histogram([1e-9, -1e-9, 4096.0, 5000.0], total.edges)[0]
    np.testing.assert_array_equal(total.counts, expected)
    assert total.zeros == 1


def test_bins_are_merged_exactly_where_the_edges_are_some_of_theirs():
    counted = distribution(SAMPLES["normal"])
    coarse = counted.edges[:: len(counted.counts) // 40]
    expected = np.histogram(SAMPLES["normal"].astype(np.float64), coarse)[0]
    inner = SAMPLES["normal"] < coarse[-1]
    np.testing.assert_array_equal(counted.counted(coarse), expected)
    assert counted.counted(coarse).sum() == inner.sum()


def test_a_cut_bin_is_shared_out_evenly():
    counted = distribution(np.full(8, 1.0))
    low, high = counted.edges
    np.testing.assert_array_equal(counted.counted(np.array([low, (low + high) / 2, high])), [4, 4])


@pytest.mark.parametrize("values", [np.array([]), np.array([np.nan, np.inf, -np.inf])])
def test_nothing_finite_has_no_percentiles(values):
    counted = distribution(values)
    assert (counted.finite, counted.n) == (0, values.size)
    assert np.isnan(counted.percentiles()).all()
    assert np.isnan(counted.moments.std)
    again = counted + distribution(np.array([1.0, 2.0])) + counted
    assert (again.n, again.finite, again.high) == (2 + 2 * values.size, 2, 2.0)
    assert again.nan == 2 * counted.nan


def test_merging_nothing_is_refused():
    with pytest.raises(InputError, match="no distributions"):
        merged([])


def test_any_tensor_can_be_counted():
    for values in (torch.tensor([1, 2, 2]), torch.tensor([1, 2, 2], dtype=torch.bfloat16)):
        assert isinstance(distribution(values), Distribution)
        assert distribution(values).counts.sum() == 3
