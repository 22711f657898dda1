import sys

import numpy as np
import pytest
from sklearn.manifold import TSNE

from convviz_widgets.errors import InputError
from convviz_widgets.tensors.plane import neighbour_map


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
