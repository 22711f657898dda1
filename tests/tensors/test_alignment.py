import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes

from convviz_widgets.tensors.plane import align


@pytest.fixture
def points():
    return np.random.default_rng(0).normal(size=(40, 2)) * [3.0, 1.0] + [5.0, -2.0]


def turned(points, degrees, mirrored):
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points @ rotation.T * ([1, -1] if mirrored else [1, 1])


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 30, 90, 180, 275])
def test_a_planted_turn_shift_and_scale_is_undone(points, degrees, mirrored):
    moved = turned(points, degrees, mirrored) * 0.3 + [100.0, 7.0]
    found, own = align(moved, points), align(points, points)
    np.testing.assert_allclose(found.positions, own.positions, atol=1e-10)
    assert found.agreement == pytest.approx(1)
    assert found.spread == pytest.approx(0.3 * own.spread)


def test_scipy_finds_the_same_turn_and_disparity(points):
    other = points + np.random.default_rng(1).normal(size=points.shape)
    found, target = align(other, points), align(points, points).positions
    centred = other - other.mean(axis=0)
    turn, _ = orthogonal_procrustes(centred, points - points.mean(axis=0))
    np.testing.assert_allclose(found.positions, centred @ turn / found.spread)
    assert 1 - found.agreement**2 == pytest.approx(procrustes(points, other)[2])
    ours = ((found.positions - target) ** 2).mean()
    for degrees in range(5, 360, 5):  # no other turn leaves less
        assert ((turned(found.positions, degrees, False) - target) ** 2).mean() > ours


def test_lengths_are_in_units_of_the_spread(points):
    found = align(points, points).positions
    assert (found**2).sum(axis=1).mean() == pytest.approx(1)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-12)


def test_points_that_are_not_there_take_no_part(points):
    moved = turned(points, 60, False)
    moved[3] = np.nan
    found = align(moved, points).positions
    assert np.isnan(found[3]).all()
    expected = align(np.delete(moved, 3, 0), np.delete(points, 3, 0)).positions
    np.testing.assert_allclose(np.delete(found, 3, 0), expected)


def test_points_without_spread_are_left_in_the_centre(points):
    found = align(np.full((40, 2), 0.1), points)
    np.testing.assert_allclose(found.positions, 0, atol=1e-12)
    assert found.spread == 0
    assert np.isnan(found.agreement)
    onto = align(points, np.zeros((40, 2)))
    assert np.isnan(onto.agreement)
    assert (onto.positions**2).sum(axis=1).mean() == pytest.approx(1)
