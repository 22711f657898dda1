"""Rows of a heat map hold exactly the values that lie between their edges."""

import numpy as np
import pytest

from convviz_widgets.errors import InputError
from convviz_widgets.tensors import (
    BACKGROUND,
    COLORS,
    HATCH_DARK,
    HATCH_LIGHT,
    common_edges,
    distribution,
    grouped,
    log_limits,
    paint_shares,
    shares,
)

RNG = np.random.default_rng(1)


@pytest.mark.parametrize("rows", [1, 7, 64, 246])
def test_counts_on_common_edges_are_exact_for_every_checkpoint(rows):
    samples = [RNG.normal(size=3000) * scale for scale in (0.5, 1.0, 1.7)]
    counted = [distribution(sample) for sample in samples]
    edges = common_edges(counted, min(map(np.min, samples)), max(map(np.max, samples)), rows)
    assert len(edges) - 1 <= rows
    for sample, each in zip(samples, counted, strict=True):
        np.testing.assert_array_equal(each.counted(edges), np.histogram(sample, edges)[0])
        assert each.counted(edges).sum() == sample.size


@pytest.mark.parametrize("rows", [24, 100, 246])
def test_at_least_seven_eighths_of_the_rows_are_used(rows):
    for _ in range(20):
        sample = RNG.normal(size=500) * RNG.uniform(0.1, 10) + RNG.uniform(-3, 3)
        edges = common_edges([distribution(sample)], sample.min(), sample.max(), rows)
        assert rows * 7 / 8 - 1 <= len(edges) - 1 <= rows
        assert edges[0] <= sample.min()
        assert sample.max() < edges[-1]


def test_a_distribution_too_coarse_for_the_axis_is_shared_out():
    fine, coarse = distribution(RNG.normal(size=1000) * 1e-3), distribution(RNG.normal(size=9999))
    edges = common_edges([fine, coarse], fine.low, fine.high, 100)
    np.testing.assert_array_equal(fine.counted(edges).sum(), 1000)
    assert 0 < coarse.counted(edges).sum() < 9999


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, 1.0), (0.0, np.nan), (0.0, np.inf)])
def test_ends_that_span_no_axis_are_refused(low, high):
    with pytest.raises(InputError):
        common_edges([], low, high, 10)


def test_shares_are_of_all_values_zeros_not_drawn():
    counted = distribution(np.array([0.0, 0.0, 1.0, 3.0]))
    found = shares([counted, None], np.array([0.0, 2.0, 4.0]))
    np.testing.assert_array_equal(found[:, 0], [0.25, 0.25])
    assert np.isnan(found[:, 1]).all()


def test_the_picture_is_logarithmic_with_the_lowest_row_below():
    found = np.array([[0.01, 0.0, np.nan], [0.1, 1.0, np.nan]])
    limits = log_limits(found)
    picture = paint_shares(found, limits, 4, 6)
    assert limits == (0.01, 1.0)
    middle, top = (COLORS - 1) // 2, COLORS - 1
    np.testing.assert_array_equal(picture[:, 0], [middle, middle, 0, 0])
    np.testing.assert_array_equal(picture[:, 2], [top, top, BACKGROUND, BACKGROUND])
    assert set(picture[:, 4:].ravel()) <= {HATCH_LIGHT, HATCH_DARK, BACKGROUND}
    assert (picture[:, 4:] != BACKGROUND).any()


def test_one_share_alone_has_a_colour():
    picture = paint_shares(np.array([[0.5]]), log_limits(np.array([[0.5]])), 1, 1)
    assert picture[0, 0] == COLORS - 1
    assert log_limits(np.array([[0.0, np.nan]])) == (1.0, 1.0)


def test_more_checkpoints_than_pixels_are_added_up():
    parts = [distribution(np.array([float(i)])) for i in range(1, 8)]
    groups = grouped([*parts, None], 3)
    assert [each.n for each in groups] == [3, 3, 1]
    assert grouped(parts, 7) == parts
    assert grouped([None, None], 1) == [None]
