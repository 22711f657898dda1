"""Channels that never fire, or hardly ever: the smallest input that fires."""

import numpy as np
import pytest

from convviz_widgets.diagnosis import Firing
from convviz_widgets.diagnosis.rules.firing import dead_filter, dead_layer, dying_filter


def firing(counts, images=256, step=100, layer="relu"):
    return Firing(layer, step, np.array(counts), images)


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
