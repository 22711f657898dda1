import numpy as np
import pytest
from sklearn.decomposition import PCA

from convviz_widgets.tensors.plane import principal_plane


@pytest.mark.parametrize("shape", [(50, 8), (20, 64), (500, 2), (6, 6)])
def test_scikit_learn_finds_the_same_plane_up_to_the_sign_of_each_axis(shape):
    codes = np.random.default_rng(0).normal(size=shape) * np.linspace(3, 1, shape[1])
    found = principal_plane(codes)
    oracle = PCA(2)
    expected = oracle.fit_transform(codes)
    signs = np.sign((found.positions * expected).sum(axis=0))
    np.testing.assert_allclose(found.positions, expected * signs, atol=1e-9 * np.abs(codes).max())
    np.testing.assert_allclose(found.shares, oracle.explained_variance_ratio_)


def test_points_along_a_diagonal_keep_their_distances():
    found = principal_plane(np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]))
    np.testing.assert_allclose(found.positions, [[-5, 0], [0, 0], [5, 0]], atol=1e-7)
    np.testing.assert_allclose(found.shares, (1, 0), atol=1e-12)


def test_a_single_channel_has_no_second_axis():
    found = principal_plane(np.array([[1.0], [2.0], [6.0]]))
    np.testing.assert_allclose(found.positions, [[-2, 0], [-1, 0], [3, 0]])


@pytest.mark.parametrize("codes", [np.full((4, 3), 7.0), np.ones((1, 5))])
def test_equal_codes_lie_in_one_point_and_explain_nothing(codes):
    found = principal_plane(codes)
    assert not found.positions.any()
    assert np.isnan(found.shares).all()


def test_large_codes_do_not_overflow():
    codes = np.random.default_rng(1).normal(size=(9, 4))
    found = principal_plane(codes * 1e200)
    np.testing.assert_allclose(found.shares, principal_plane(codes).shares)
    np.testing.assert_allclose(found.positions / 1e200, principal_plane(codes).positions)
