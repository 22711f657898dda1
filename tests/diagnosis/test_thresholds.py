"""Each threshold stands once: what views say of it, and what is measured, follow the rule."""

import inspect
from statistics import NormalDist

import numpy as np
import pytest

from convviz_widgets.diagnosis import RULES
from convviz_widgets.diagnosis.rules.data import input_scale
from convviz_widgets.diagnosis.rules.filters import noisy_filter
from convviz_widgets.diagnosis.rules.firing import dead_layer, dying_filter
from convviz_widgets.diagnosis.rules.gradients import exploding_gradient, vanishing_gradient
from convviz_widgets.diagnosis.rules.outputs import washed_out_output
from convviz_widgets.images import input_statistics
from convviz_widgets.state.history import SAMPLE_IMAGES
from convviz_widgets.sweeps import Lifecycle
from convviz_widgets.tensors import PERCENTILES, smooth
from convviz_widgets.tensors.filter_quality import cause_of, has_full_power
from convviz_widgets.views import TrainingCurves
from convviz_widgets.views.history import gradient_flow
from convviz_widgets.views.history.distribution_history import IF_NORMAL
from convviz_widgets.views.outputs import drift as drift_plot
from convviz_widgets.views.units import dead_filters


def thresholds(rule):
    """Return the thresholds of a rule by their names."""
    given = inspect.signature(rule).parameters.values()
    return {each.name: each.default for each in given if each.kind is each.KEYWORD_ONLY}


def names_of(legend):
    return [entry[0] for entry in legend]


def needs(rule):
    return {each.name: each.needs for each in RULES}[rule]


def test_the_gradient_view_says_when_the_rules_raise_an_alarm():
    vanishing, exploding = thresholds(vanishing_gradient), thresholds(exploding_gradient)
    shrinks = f"vanishing: ≥ {vanishing['slope']:g} and ≥ {vanishing['decades']:g}"
    grows = f"exploding: ≤ −{-exploding['slope']:g} and ≤ −{-exploding['decades']:g}"
    assert f"{shrinks}; {grows}" == gradient_flow.ALARMS


def test_the_dashed_lines_lie_where_pictures_are_washed_out():
    for threshold in thresholds(washed_out_output).values():
        assert f"washed out below {threshold:g}" in names_of(drift_plot.LEGEND)


def test_dying_is_the_same_share_in_the_view_the_lifecycle_and_the_rule():
    rate = thresholds(dying_filter)["rate"]
    assert f"dying, < {rate:.0%}".replace("%", " %") in names_of(dead_filters.LEGEND)
    images = 10_000
    edge = int(rate * images)
    fired = np.array([[edge - 1], [edge]])
    found = Lifecycle(fired, np.ones_like(fired, bool), np.array([images])).dying
    assert found.ravel().tolist() == [True, False]


def test_the_view_says_why_filters_are_noisy_where_the_rule_does():
    given = thresholds(noisy_filter)
    above, below = 1.01, 0.99
    assert cause_of(given["share"] * below, 1.0, 0.0) == ""
    assert "initial noise" in cause_of(given["share"] * above, given["cosine"] * above, 0.0)
    learned = given["update_share"]
    assert "learned" in cause_of(1.0, given["cosine"] * below, learned * above)
    assert "cannot tell" in cause_of(1.0, given["cosine"] * below, learned * below)


def test_kernels_are_judged_from_the_size_that_the_report_asks_for():
    sizes = [size for size in range(1, 9) if has_full_power((8, 3, size, size))]
    assert f"{sizes[0]}×{sizes[0]} or more" in needs("noisy-filter")


def test_as_many_images_are_counted_as_the_rules_need():
    assert SAMPLE_IMAGES[0] == thresholds(dead_layer)["images"]
    assert f"{thresholds(dead_layer)['images']} images" in needs("dead-layer")
    assert (
        inspect.signature(input_statistics).parameters["count"].default
        >= (thresholds(input_scale)["images"])
    )


def test_a_loss_is_shown_as_smooth_as_it_is_judged():
    judged = inspect.signature(smooth).parameters["weight"].default
    assert TrainingCurves.smoothing.default_value == judged


def test_the_percentile_bands_are_those_of_the_deviations_that_are_named():
    named = [float(word) for word in IF_NORMAL.split(" σ")[0].lstrip("±").split(", ")]
    both = sorted([-each for each in named] + named + [0.0])
    expected = [0, *(100 * NormalDist().cdf(each) for each in both), 100]
    assert pytest.approx(expected, abs=0.005) == PERCENTILES
