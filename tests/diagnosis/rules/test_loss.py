"""Loss rules, on curves that can be checked by hand."""

import math

import numpy as np
import pytest

from convviz_widgets.diagnosis import Metric
from convviz_widgets.diagnosis.rules.loss import loss_jump, loss_surge, slow_learning
from convviz_widgets.diagnosis.rules.non_finite import non_finite


def curve(values, name="loss/train"):
    values = np.asarray(values, np.float64)
    return Metric(name, np.arange(1, len(values) + 1), values)


def flat(level, count, wiggle=0.0):
    """Return a level that alternates by ±``wiggle``: its MAD is known."""
    return level + wiggle * np.where(np.arange(count) % 2, -1.0, 1.0)


@pytest.mark.parametrize("rule", [loss_jump, loss_surge])
def test_healthy_steps_behind_take_back_no_finding(rule):
    generator = np.random.default_rng(0)
    noise = np.exp(0.02 * generator.standard_normal(600))
    level = np.where((np.arange(600) > 200) & (np.arange(600) < 330), 3.0, 1.0)
    whole = curve(level * noise, "loss")
    for end in (260, 300, 400, 500):
        early = Metric("loss", whole.steps[:end], whole.values[:end])
        known = {finding.step for finding in rule(early)}
        assert known
        assert known <= {finding.step for finding in rule(whole)}


def test_a_loss_that_steps_up_for_50_points_has_jumped():
    (found,) = loss_jump(curve([*flat(1.0, 100), *flat(2.0, 60)]))
    assert (found.rule, found.severity, found.step) == ("loss-jump", "warning", 101)
    # σ is 1 % of the running minimum 1; 50 points are left from the eleventh on, where the
    # smoothed loss has come up to 2 − 0.9¹¹
    assert found.value == pytest.approx((1 - 0.9**11) / 0.01, rel=1e-3)


def test_a_loss_whose_average_is_back_within_50_points_has_not():
    # after ten points the average is 0.65 above, and 29 later below 3 %
    assert loss_jump(curve([*flat(1.0, 100), *flat(2.0, 10), *flat(1.0, 90)])) == []


def test_a_step_within_three_sigmas_is_no_jump():
    noisy = flat(1.0, 100, 0.1)  # |loss − smoothed| is about 0.1, 3σ about 0.45
    assert loss_jump(curve([*noisy, *flat(1.3, 100, 0.1)])) == []
    assert loss_jump(curve([*noisy, *flat(1.7, 100, 0.1)]))


def test_one_point_ten_sigmas_above_is_a_surge():
    surge = np.exp(10.5 * 0.05)  # the floor of σ is 0.05 of the log
    (found,) = loss_surge(curve([*flat(1.0, 50), surge, *flat(1.0, 30)]))
    assert (found.step, found.value) == (51, pytest.approx(10.5))
    assert loss_surge(curve([*flat(1.0, 50), np.exp(9.5 * 0.05), *flat(1.0, 30)])) == []


def test_ordinary_updates_before_a_surge_point_at_the_batch():
    loss = curve([*flat(1.0, 60), 3.0, *flat(1.0, 30)])
    ratios = {"conv1.weight": curve(flat(1e-3, 91)), "fc.weight": curve(flat(1e-3, 91))}
    (found,) = loss_surge(loss, ratios)
    assert "suspect the batch" in found.message
    assert found.layer is None


def test_the_layer_whose_update_rose_before_a_surge_is_named():
    loss = curve([*flat(1.0, 60), 3.0, *flat(1.0, 30)])
    ratios = {"conv1.weight": curve(flat(1e-3, 91)), "fc.weight": curve(flat(1e-3, 91))}
    ratios["fc.weight"].values[58] = 0.1  # at step 59, two steps before
    (found,) = loss_surge(loss, ratios)
    assert found.layer == "fc"
    assert "step 59" in found.message
    assert "learning rate" in found.message


def test_a_surge_without_update_ratios_says_what_it_cannot_tell():
    (found,) = loss_surge(curve([*flat(1.0, 60), 3.0, *flat(1.0, 30)]))
    assert "cannot be told apart" in found.message


def test_a_loss_that_stays_where_it_began_is_slow_if_weights_hardly_move():
    ratios = {"a.weight": curve(flat(4e-4, 60)), "b.weight": curve(flat(1e-5, 60))}
    (found,) = slow_learning(curve(flat(2.48, 60)), ratios, classes=12)
    assert found.severity == "warning"
    ratios["b.weight"] = curve(flat(6e-4, 60))
    (found,) = slow_learning(curve(flat(2.48, 60)), ratios, classes=12)
    assert found.severity == "remark"
    assert "slow or converged: cannot tell" in found.message


def test_a_surge_is_over_at_the_share_of_its_threshold_that_is_given():
    # of the smallest σ, 0.05 in the log of the loss, the surge is 22 high, what follows 6
    loss = curve([*np.full(60, 1.0), 3.0, *np.full(20, math.exp(0.3))])
    (found,) = loss_surge(loss)
    assert "it did not recover" in found.message
    (found,) = loss_surge(loss, recovered=0.7)
    assert "it was back within 20 recorded steps" in found.message


def test_a_loss_that_fell_by_a_tenth_is_not_called_slow():
    assert slow_learning(curve([*flat(2.0, 20), *flat(1.7, 100)])) == []


@pytest.mark.parametrize("rule", [loss_jump, loss_surge, non_finite, slow_learning])
@pytest.mark.parametrize("values", [[], [1.0], [np.nan], [0.0] * 200, [-1.0] * 200])
def test_short_and_odd_curves_are_no_error(rule, values):
    rule(curve(values))
