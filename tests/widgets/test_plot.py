"""The axes of plots: what is written at them, and where."""

import pytest

from convviz_widgets.checkpoints import Steps
from convviz_widgets.checkpoints.training_time import UNKNOWN, TrainingTime
from convviz_widgets.widgets.plot import (
    axis_label,
    make_plot,
    mark_steps,
    round_numbers,
    whole_numbers,
)


@pytest.mark.parametrize("steps", [[0], [0, 7], [0, 100, 200], [50, 100, 150, 170]])
def test_checkpoints_at_even_steps_are_to_scale(steps):
    assert axis_label(steps) == "step"


@pytest.mark.parametrize("steps", [[0, 100, 200, 400], [0, 1, 10, 100], [0, 50, 200, 250]])
def test_an_axis_with_one_place_a_checkpoint_says_so_when_their_steps_are_uneven(steps):
    assert axis_label(steps) == "step (not to scale)"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.5, 1.0]),
        (-0.18, 0.16, [-0.1, 0, 0.1]),
        (0.97, 1.03, [0.98, 1.0, 1.02]),
        (-3e-6, 2e-6, [-2e-6, 0, 2e-6]),
        (1200, 98000, [20000, 40000, 60000, 80000]),
    ],
)
def test_round_numbers_lie_within_the_axis(low, high, expected):
    assert round_numbers(low, high) == pytest.approx(expected, abs=1e-12)


def test_an_axis_without_ends_has_no_ticks():
    assert round_numbers(1.0, 1.0) == []
    assert round_numbers(float("nan"), 1.0) == []


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 30, [0, 10, 20, 30]),
        (0, 0, [0]),
        (0, 3, [0, 1, 2, 3]),
        (-7, 0, [-6, -4, -2, 0]),
        (-1.2, 0.9, [-1, 0]),
        (0, 12345, [0, 5000, 10000]),
    ],
)
def test_whole_numbers_are_spread_over_from_zero(low, high, expected):
    assert whole_numbers(low, high) == expected


def test_ticks_are_numbers_where_there_are_some_and_long_names_are_cut():
    names = ("model_4.pt", "model_9.pt", "the_best_of_all_models.pt")
    times = (TrainingTime(number=4), TrainingTime(number=9), TrainingTime())
    plot = make_plot(258, 100, "", "")  # 57 pixels a tick
    mark_steps(plot, Steps((4, 9, 10), UNKNOWN, names, times))
    axis = plot.figure.axes[0]
    assert axis.tick_labels == {"0": "4", "1": "9", "2": "the….pt"}
    assert axis.label == "checkpoint"
