"""Weights, biases and pre-activations: the smallest input that fires."""

import numpy as np
import pytest

from convviz_widgets.diagnosis import Firing
from convviz_widgets.diagnosis import TensorFacts as Facts
from convviz_widgets.diagnosis.rules.firing import dead_layer
from convviz_widgets.diagnosis.rules.values import (
    abnormal_bias,
    abnormal_weight,
    skewed_pre_activation,
)


def firing(counts, images=256, step=100, layer="relu"):
    return Firing(layer, step, np.array(counts), images)


def facts(**given):
    plain = {"mean": 0.0, "std": 1.0, "skew": 0.0, "median": 0.0, "low": -1.0, "high": 1.0}
    return Facts("conv", "weights", given.pop("step", 100), 1000, 0, **{**plain, **given})


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
