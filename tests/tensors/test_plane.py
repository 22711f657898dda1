import sys

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from convviz_widgets.errors import InputError
from convviz_widgets.tensors import plane
from convviz_widgets.tensors.plane import align, neighbour_map, principal_plane


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


@pytest.fixture
def codes():
    """Three far groups of 20 codes."""
    centres = np.repeat(np.eye(3) * 50, 20, axis=0)
    return (centres + np.random.default_rng(0).normal(size=(60, 3))).astype(np.float32)


def test_groups_come_out_as_groups_like_scikit_learns_own(codes):
    start = codes[:, :2].astype(np.float64)
    found = neighbour_map(codes, start, 10)
    begin = start / start[:, 0].std() * 1e-4
    oracle = TSNE(perplexity=10, init=begin.astype(np.float32), random_state=0)
    np.testing.assert_array_equal(found.positions, oracle.fit_transform(codes))
    assert found.divergence == pytest.approx(oracle.kl_divergence_)
    groups = found.positions.reshape(3, 20, 2)
    within = np.linalg.norm(groups - groups.mean(axis=1, keepdims=True), axis=2).max()
    centres = groups.mean(axis=1)
    assert min(np.linalg.norm(centres[i] - centres[i - 1]) for i in range(3)) > 2 * within


def drawn_so_far():
    return np.random.get_state()[1].copy()  # noqa: NPY002, the global one is meant


def test_the_global_generator_stays_where_it_was(codes):
    before = drawn_so_far()
    first, second = (neighbour_map(codes[::4], codes[::4, :2], 3).positions for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(drawn_so_far(), before)


def test_few_codes_get_a_smaller_perplexity_and_too_few_a_line(codes):
    assert neighbour_map(codes[:7], codes[:7, :2], 30).perplexity == 2
    with pytest.raises(InputError, match="t-SNE needs 4 images or more, got 3; take PCA"):
        neighbour_map(codes[:3], codes[:3, :2], 30)


def test_a_missing_scikit_learn_is_one_line(codes, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(InputError, match=r"pip install 'convviz_widgets\[embedding\]'"):
        neighbour_map(codes, codes[:, :2], 30)


@pytest.fixture
def blobs():
    generator = np.random.default_rng(0)
    return generator.normal(size=(60, 5)) + 4 * generator.integers(0, 3, size=(60, 1))


@pytest.fixture
def no_interval(monkeypatch):
    monkeypatch.setattr(plane, "INTERVAL", 0)


@pytest.mark.usefixtures("no_interval")
def test_calls_between_the_steps_of_t_sne_change_nothing_to_the_last_bit(blobs):
    calls = []
    alone = neighbour_map(blobs, blobs[:, :2], 10)
    called = neighbour_map(blobs, blobs[:, :2], 10, between=lambda: calls.append(1))
    np.testing.assert_array_equal(called.positions, alone.positions)
    assert len(calls) > 250  # steps, of which t-SNE takes 250 at least
    assert sys.getprofile() is None


@pytest.mark.usefixtures("no_interval")
def test_what_is_raised_between_two_steps_ends_t_sne_and_the_next_is_as_ever(blobs):
    calls = []

    def between():
        calls.append(1)
        if len(calls) == 20:
            raise KeyError("enough")

    before = neighbour_map(blobs, blobs[:, :2], 10)
    with pytest.raises(KeyError, match="enough"):
        neighbour_map(blobs, blobs[:, :2], 10, between=between)
    assert len(calls) == 20
    assert sys.getprofile() is None
    after = neighbour_map(blobs, blobs[:, :2], 10)
    np.testing.assert_array_equal(after.positions, before.positions)


@pytest.mark.usefixtures("no_interval")
def test_who_profiles_the_thread_goes_on_to_do_so(blobs):
    entered, calls = set(), []

    def profile(frame, _event, _arg):
        entered.add(frame.f_code.co_name)

    sys.setprofile(profile)
    try:
        neighbour_map(blobs, blobs[:, :2], 10, between=lambda: calls.append(1))
        kept = sys.getprofile()
    finally:
        sys.setprofile(None)
    assert kept is profile
    assert "fit_transform" in entered
    assert calls == []
