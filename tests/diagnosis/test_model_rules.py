"""Rules for gradients, updates, channels, weights and answers: the smallest input that fires."""

import math

import numpy as np
import pytest

from convviz_widgets.diagnosis import AnswersAt, FiltersAt, Firing, GradientDepth, Metric
from convviz_widgets.diagnosis import TensorFacts as Facts
from convviz_widgets.diagnosis.rules.firing import dead_filter, dead_layer, dying_filter
from convviz_widgets.diagnosis.rules.gradients import (
    exploding_gradient,
    update_ratio,
    vanishing_gradient,
)
from convviz_widgets.diagnosis.rules.outputs import stuck_output, washed_out_output
from convviz_widgets.diagnosis.rules.values import (
    abnormal_bias,
    abnormal_weight,
    noisy_filter,
    skewed_pre_activation,
)
from convviz_widgets.measure import AnswerFacts, FilterFacts


def depth(decades, step=100):
    """Return the norms of layers whose logarithms are ``decades``, input first."""
    names = tuple(f"conv{i}" for i in range(len(decades)))
    return GradientDepth(step, names, tuple(10.0**d for d in decades), 64)


def curve(values):
    values = np.asarray(values, np.float64)
    return Metric("update_ratio/conv.weight", np.arange(1, len(values) + 1), values)


def firing(counts, images=256, step=100, layer="relu"):
    return Firing(layer, step, np.array(counts), images)


def noise(*numbers, step=100, **given):
    return FiltersAt("conv1", step, FilterFacts(*numbers, **given))


def answered(*numbers, **given):
    return AnswersAt(100, AnswerFacts(*numbers, **given))


def facts(**given):
    plain = {"mean": 0.0, "std": 1.0, "skew": 0.0, "median": 0.0, "low": -1.0, "high": 1.0}
    return Facts("conv", "weights", given.pop("step", 100), 1000, 0, **{**plain, **given})


# -- gradients --------------------------------------------------------------------------------


def test_three_decades_over_four_layers_vanish():
    (found,) = vanishing_gradient([depth([-3, -2, -1, 0])])
    assert (found.value, found.layer, found.step) == (pytest.approx(1), "conv0", 100)


@pytest.mark.parametrize(
    "profile",
    [
        depth([-2.9, -2.9 * 2 / 3, -2.9 / 3, 0]),  # too few decades
        depth(np.linspace(-3.01, 0, 17)),  # 0.188 a layer
        depth([-3, -2, -1, 0], step=0),  # not trained yet
    ],
)
def test_less_does_not_vanish(profile):
    assert vanishing_gradient([profile]) == []


def test_gradients_that_grow_towards_the_input_explode():
    (found,) = exploding_gradient([depth([1.5, 1, 0.5, 0])])
    assert found.value == pytest.approx(-0.5)
    assert exploding_gradient([depth([1.4, 1.4 * 2 / 3, 1.4 / 3, 0])]) == []
    assert exploding_gradient([depth([1.5, 1, 0.5, 0], step=0), depth([0, 0, 0, 0])]) == []


def test_step_0_counts_where_nothing_later_is_finite():
    gone = GradientDepth(10, ("conv0", "conv1"), (math.inf, math.inf), 64)
    (found,) = exploding_gradient([depth([1.5, 1, 0.5, 0], step=0), gone])
    assert found.step == 0


def test_a_norm_101_times_its_running_median_explodes():
    def norm(last):
        return Metric("gradient_norm/", np.arange(4), np.array([1.0, 1.0, 1.0, last]))

    (found,) = exploding_gradient((), norm(101.0))
    assert (found.step, found.value) == (3, 101)
    assert exploding_gradient((), norm(99.0)) == []


# -- updates ----------------------------------------------------------------------------------


def test_two_large_updates_in_eighty_are_too_many():
    ratios = np.full(80, 1e-3)
    ratios[[40, 79]] = 0.11
    (found,) = update_ratio({"conv.weight": curve(ratios)})
    assert (found.layer, found.step, found.threshold) == ("conv", 80, 0.1)
    ratios = np.full(81, 1e-3)
    ratios[[40, 80]] = 0.11
    assert update_ratio({"conv.weight": curve(ratios)}) == []


def test_weights_that_hardly_move_are_found_and_a_decayed_tail_is_not():
    (found,) = update_ratio({"conv.weight": curve(np.full(100, 9e-7))})
    assert found.value == pytest.approx(9e-7)
    assert update_ratio({"conv.weight": curve(np.full(100, 1.1e-6))}) == []
    decayed = curve([*np.full(40, 1e-3), *np.full(60, 1e-8)])
    rate = Metric("learning_rate", decayed.steps, np.where(decayed.steps <= 40, 0.1, 1e-6))
    assert update_ratio({"conv.weight": decayed}, rate) == []
    steady = Metric("learning_rate", decayed.steps, np.full(100, 0.1))
    assert update_ratio({"conv.weight": decayed}, steady)


# -- channels ---------------------------------------------------------------------------------


def test_one_dead_channel_in_three_is_a_dead_layer_and_one_in_four_is_not():
    (found,) = dead_layer([firing([0, 5, 9])])
    assert (found.severity, found.value, found.select) == ("warning", 1 / 3, {"channel": 0})
    assert dead_layer([firing([0, 5, 9, 9])]) == []


def test_nine_dead_channels_in_ten_are_an_error():
    assert dead_layer([firing([0] * 9 + [1])])[0].severity == "error"
    assert dead_layer([firing([0] * 8 + [1, 1])])[0].severity == "warning"


def test_255_images_prove_nothing():
    few = firing([0, 0, 0], images=255)
    assert dead_layer([few]) + dead_filter([few]) + dying_filter([few]) == []


def test_fewer_images_tell_since_when_but_not_whether():
    early = firing([0, 0, 9], images=64, step=50)
    (found,) = dead_layer([early, firing([0, 0, 9])])
    assert "first at step 50" in found.message


def test_the_initial_network_is_not_judged_once_there_is_a_trained_one():
    assert dead_layer([firing([0, 0, 9], step=0), firing([9, 9, 9])]) == []
    assert dead_layer([firing([0, 0, 9], step=0)])


def test_a_channel_that_fires_on_less_than_a_percent_is_dying_and_not_dead():
    counts = firing([2, 3, 9, 0], images=256)
    assert [(f.channel, f.value) for f in dying_filter([counts])] == [(0, 2 / 256)]
    assert [(f.channel, f.n) for f in dead_filter([counts])] == [(3, 256)]


@pytest.mark.parametrize("rule", [dead_filter, dying_filter])
def test_permuting_channels_permutes_findings(rule):
    counts, order = np.array([1, 0, 9, 9, 2, 9, 9, 9, 9]), np.array([4, 2, 0, 1, 3, 8, 7, 6, 5])
    before = {finding.channel for finding in rule([firing(counts)])}
    after = {int(order[finding.channel]) for finding in rule([firing(counts[order])])}
    assert before == after != set()


# -- weights and pre-activations ---------------------------------------------------------------


def test_a_weight_of_eleven_is_abnormal_and_one_of_ten_is_not():
    (found,) = abnormal_weight([facts(low=-11.0, std=2.0)])
    assert found.value == 11
    assert abnormal_weight([facts(low=-10.0, std=2.0)]) == []


def test_a_weight_21_deviations_off_is_abnormal_and_one_of_19_is_not():
    (found,) = abnormal_weight([facts(high=2.1, std=0.1)])
    assert found.value == pytest.approx(21)
    assert abnormal_weight([facts(high=1.9, std=0.1)]) == []


def test_a_bias_of_eleven_is_abnormal():
    assert abnormal_bias([facts(high=11.0)])[0].value == 11
    assert abnormal_bias([facts(high=9.0, std=0.1)]) == []


def test_later_checkpoints_take_back_nothing():
    ill, healthy = facts(high=11.0, step=100), facts(step=200)
    assert abnormal_weight([ill]) == abnormal_weight([ill, healthy])
    dead, alive = firing([0, 0, 9]), firing([9, 9, 9], step=200)
    assert dead_layer([dead]) == dead_layer([dead, alive])


def test_pre_activations_off_centre_or_skewed_are_a_remark():
    (off,) = skewed_pre_activation([facts(mean=-1.1)])
    (skewed,) = skewed_pre_activation([facts(skew=2.1)])
    assert (off.severity, off.value, skewed.value) == ("remark", pytest.approx(1.1), 2.1)
    assert skewed_pre_activation([facts(mean=0.9, skew=-1.9)]) == []


# -- filters ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ({"cosine": 0.8, "update_share": 0.0}, "initial noise"),
        ({"cosine": 0.1, "update_share": 0.9}, "regularise"),
        ({}, "cannot tell"),
    ],
)
def test_noisy_filters_are_a_remark_that_says_why(origin, words):
    (found,) = noisy_filter([noise(0.26, 16, **origin)])
    assert found.severity == "remark"
    assert words in found.message
    assert noisy_filter([noise(0.25, 16, **origin)]) == []


def test_filters_are_judged_at_the_latest_checkpoint():
    noisy, smooth = noise(0.9, 16, step=0), noise(0.1, 16)
    assert noisy_filter([noisy, smooth]) == []


# -- answers ----------------------------------------------------------------------------------


def test_one_class_for_95_percent_of_varied_images_is_stuck():
    stuck = answered(40, commonest=3, share=0.95, label_share=0.2)
    assert stuck_output([stuck])[0].value == 0.95
    assert stuck_output([answered(40, 3, 0.94, 0.2)]) == []
    assert stuck_output([answered(40, 3, 0.95, 0.95)]) == []  # so are the labels


def test_pale_or_flat_pictures_are_washed_out():
    def pictures(chroma, contrast):
        return [answered(40, pictures=40, chroma=chroma, contrast=contrast, palest=7)]

    (pale,), (flat,) = washed_out_output(pictures(0.69, 1)), washed_out_output(pictures(1, 0.49))
    assert (pale.value, pale.select, flat.value) == (0.69, {"image": 7}, 0.49)
    assert washed_out_output(pictures(0.7, 0.5)) == []
    assert washed_out_output([answered(40)]) == []
