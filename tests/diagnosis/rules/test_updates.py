"""Updates that are too large or too small: the smallest input that fires."""

import numpy as np
import pytest

from convviz_widgets.diagnosis import Metric
from convviz_widgets.diagnosis.rules.updates import update_ratio


def curve(values):
    values = np.asarray(values, np.float64)
    return Metric("update_ratio/conv.weight", np.arange(1, len(values) + 1), values)


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


def test_the_tail_begins_where_the_rate_has_decayed_as_far_as_is_said():
    falling = curve([*np.full(40, 1e-3), *np.full(60, 1e-8)])
    rate = Metric("learning_rate", falling.steps, np.where(falling.steps <= 40, 0.1, 1e-6))
    assert update_ratio({"conv.weight": falling}, rate, decayed=1e-4) == []
    (found,) = update_ratio({"conv.weight": falling}, rate, decayed=1e-6)
    assert found.value == pytest.approx(1e-8)
