import math
from pathlib import Path

import numpy as np
import pytest
import torch

from convviz_widgets.errors import InputError
from convviz_widgets.tensors import (
    filter_quality,
    noisiness,
    noisy_share,
    variance_entropy,
)
from convviz_widgets.tensors.filter_quality import random_entropy


def random_filters(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def demonstration():
    """First filters (32, 3, 7, 7) of the demonstration's runs: as drawn, and after training."""
    with np.load(Path(__file__).with_name("demo_filters.npz")) as file:
        return {name: file[name].astype(np.float32) for name in file.files}


def ramp(outputs=2, size=5):
    """Filters that grow from left to right, alike in three input channels."""
    return np.broadcast_to(np.arange(size, dtype=float), (outputs, 3, size, size)).copy()


def chequerboard(size=5):
    return np.indices((size, size)).sum(axis=0) % 2 * 2.0 - 1


# -- noisiness


def test_a_ramp_is_smoother_than_every_shuffled_one_and_a_chequerboard_than_none():
    both = np.stack([ramp(1)[0, 0], chequerboard()])[:, None]
    np.testing.assert_array_equal(noisiness(both), [0.0, 1.0])


def test_the_percentile_of_a_kernel_of_three_is_that_of_its_six_orders():
    # |differences| of neighbours: 0,1,3 → 3; 1,0,3 and 3,0,1 → 4; 0,3,1 → 5, each order twice.
    smooth, middle, rough = noisiness(
        np.array([[[[0.0, 1, 3]]], [[[1.0, 0, 3]]], [[[0.0, 3, 1]]]]), permutations=20_000
    )
    assert smooth == pytest.approx(1 / 3, abs=0.01)
    assert middle == pytest.approx(2 / 3, abs=0.01)
    assert rough == 1.0


def test_independent_values_are_noisy_in_95_of_100_filters():
    share = noisy_share(noisiness(random_filters(1000, 3, 7, 7)))
    assert share == pytest.approx(0.95, abs=0.03)


def test_noise_that_is_alike_in_all_colours_is_still_noise():
    grey_noise = np.repeat(random_filters(400, 1, 7, 7), 3, axis=1)
    assert noisy_share(noisiness(grey_noise)) == pytest.approx(0.95, abs=0.04)


def test_shuffling_by_hand_gives_the_same_percentile():
    weight = random_filters(4, 3, 5, 5)
    generator = np.random.default_rng(0)
    orders = [generator.permutation(25) for _ in range(200)]

    def variation(one):  # (3, 5, 5)
        return np.abs(np.diff(one, axis=1)).sum() + np.abs(np.diff(one, axis=2)).sum()

    by_hand = [
        np.mean(
            [
                variation(one.reshape(3, 25)[:, order].reshape(3, 5, 5)) <= variation(one)
                for order in orders
            ]
        )
        for one in weight
    ]
    np.testing.assert_allclose(noisiness(weight), by_hand)


def test_permuted_and_scaled_filters_keep_their_percentiles():
    weight = random_filters(8, 3, 5, 5)
    ranks, order = noisiness(weight), np.random.default_rng(1).permutation(8)
    np.testing.assert_array_equal(noisiness(weight[order]), ranks[order])
    np.testing.assert_array_equal(noisiness(-64 * weight), ranks)


def test_measuring_repeats_and_draws_no_random_number_of_others():
    weight = random_filters(4, 3, 5, 5)
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    np.testing.assert_array_equal(noisiness(weight), noisiness(weight))
    variance_entropy(weight)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)


@pytest.mark.parametrize(
    ("shape", "groups"), [((4, 3, 1, 1), 1), ((8, 16), 1), ((6, 1, 7, 7), 6), ((16,), 1)]
)
def test_kernels_without_extent_and_depthwise_ones_have_no_noisiness(shape, groups):
    assert noisiness(random_filters(*shape), groups=groups) is None
    assert filter_quality(random_filters(*shape), groups=groups) is None


def test_filters_that_are_flat_or_broken_have_no_percentile():
    weight = ramp(3)
    weight[1] = 0.3
    weight[2, 0, 0, 0] = math.nan
    np.testing.assert_array_equal(noisiness(weight), [0.0, math.nan, math.nan])
    assert noisy_share(noisiness(weight)) == 0.0
    assert math.isnan(noisy_share(noisiness(weight[1:])))


@pytest.mark.parametrize(
    ("run", "share"), [("initial", 0.95), ("undertrained", 0.72), ("smooth", 0.06)]
)
def test_filters_of_real_trainings_are_as_noisy_as_measured(run, share):
    filters = demonstration()[run]
    assert noisy_share(noisiness(filters)) == pytest.approx(share, abs=0.08)  # 1 σ of 32 filters


# -- why


def test_a_real_run_that_stopped_early_shows_its_initial_noise():
    filters = demonstration()
    early = filter_quality(filters["undertrained"], filters["initial"])
    assert early.cosine > 0.8
    assert early.update_share < 0.1  # what it learned is smooth
    assert early.cause.startswith("mostly still its initial noise")
    smooth = filter_quality(filters["smooth"], filters["initial"])
    assert smooth.cosine < 0.2
    assert (smooth.cause, smooth.entropy.value) == ("", pytest.approx(0.56, abs=0.02))


def test_small_kernels_are_marked_as_of_low_power():
    assert filter_quality(random_filters(8, 3, 3, 3)).low_power
    assert not filter_quality(random_filters(8, 3, 4, 4)).low_power


def test_without_step_0_the_cause_cannot_be_told():
    quality = filter_quality(random_filters(64, 3, 7, 7))
    assert quality.share > 0.8
    assert math.isnan(quality.cosine)
    assert "cannot be told without the checkpoint of step 0" in quality.cause


def test_weights_near_the_start_are_initial_noise_and_far_ones_learned_noise():
    start, learned = random_filters(64, 3, 7, 7), random_filters(64, 3, 7, 7, seed=1)
    near = filter_quality(start + 0.1 * learned, start)
    assert near.cosine == pytest.approx(1 / math.hypot(1, 0.1), abs=0.01)
    assert near.cause.startswith("mostly still its initial noise")
    far = filter_quality(0.1 * start + learned, start)
    assert far.cosine == pytest.approx(0.1 / math.hypot(1, 0.1), abs=0.02)
    assert far.update_share > 0.8
    assert far.cause == "learned noise: regularise"


def test_smooth_filters_need_no_cause():
    quality = filter_quality(ramp(), random_filters(2, 3, 5, 5))
    assert (quality.share, quality.cause, quality.count) == (0.0, "", 2)


def test_initial_weights_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"\(2, 3, 5, 5\) do not fit \(4, 3, 5, 5\)"):
        filter_quality(ramp(4), ramp(2))


# -- variance entropy


def test_one_kernel_in_all_sizes_has_no_entropy_and_two_alike_have_log_2():
    ones, two = np.zeros((2, 4, 1, 3, 3))
    ones[:, 0, 0, 0] = 1, -1, 2, -2
    two[:, 0, 0, 0] = 1, -1, 0, 0
    two[:, 0, 2, 2] = 0, 0, 1, -1
    assert variance_entropy(ones).value == 0.0
    assert variance_entropy(two).value == pytest.approx(math.log10(2))
    assert variance_entropy(np.ones((4, 1, 3, 3))) is None


def test_random_3x3_kernels_reach_the_fitted_threshold():
    entropy = variance_entropy(random_filters(64, 48, 3, 3))
    assert entropy.value == pytest.approx(0.954, abs=0.001)  # log10 9 = 0.9542
    assert entropy.relative == pytest.approx(1.0, abs=0.005)
    assert (entropy.kernels, entropy.low_power) == (64 * 48, False)


def test_random_7x7_kernels_reach_what_random_layers_reach():
    entropies = [variance_entropy(random_filters(32, 3, 7, 7, seed=seed)) for seed in range(5)]
    assert entropies[0].low_power  # 96 kernels, fewer than 490
    for entropy in entropies:
        assert entropy.value == pytest.approx(1.576, abs=0.01)
        assert 1.0 <= entropy.relative < 1.01


@pytest.mark.parametrize("kernels", [20, 400])
def test_random_layers_are_as_if_all_their_values_had_been_drawn(kernels):
    generator = np.random.default_rng(7)
    drawn = []
    for _ in range(300):
        rows = generator.standard_normal((kernels, 25))
        squares = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
        shares = squares[squares > 0] / squares.sum()
        drawn.append(-(shares * np.log10(shares)).sum())
    assert random_entropy(kernels, 25) == pytest.approx(np.quantile(drawn, 0.01), abs=0.012)
