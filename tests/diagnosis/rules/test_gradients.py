"""Gradients that vanish or explode: the smallest input that fires."""

import math

import numpy as np
import pytest

from convviz_widgets.diagnosis import GradientDepth, Metric
from convviz_widgets.diagnosis.rules.gradients import exploding_gradient, vanishing_gradient


def depth(decades, step=100):
    """Return the norms of layers whose logarithms are ``decades``, input first."""
    names = tuple(f"conv{i}" for i in range(len(decades)))
    return GradientDepth(step, names, tuple(10.0**d for d in decades), 64)


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
