"""Points that have no place on the axis of steps are told of; the other axes keep them."""

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from convviz_widgets.errors import InputError
from convviz_widgets.record import Run

from .test_restarts import points, write

KEPT = "; Run(..., axis='order') or axis='wall-time' keeps all"


def logged(directory, *points):
    """Write one event file: tag, step, value, and seconds since 1970 if they matter."""
    with SummaryWriter(directory) as writer:
        for tag, step, value, *seconds in points:
            writer.add_scalar(tag, value, step, *seconds)
    return Run(directory)


@pytest.mark.parametrize(
    ("steps", "values", "line"),
    [
        (
            [0, 1, 2] * 3,
            range(9),
            "6 of 9 points left out: the step begins again 2 times, at 0, as a count of an epoch's "
            "batches does",
        ),
        (
            [None] * 4,
            range(4),
            "3 of 4 points left out: all are logged at step 0, as they are without a step",
        ),
        (
            [0, 0, 1, 1],
            range(4),
            "2 of 4 points left out: several are logged at one step, as if each batch were given "
            "its epoch's number",
        ),
        ([0, 1, 2, 3, 2, 3, 4], range(7), "2 of 7 points left out: the step goes back once"),
        ([0, 5, 6, 2, 7, 1, 8], range(7), "4 of 7 points left out: the step goes back 2 times"),
    ],
)
def test_points_without_a_place_are_counted_with_the_reason(tmp_path, steps, values, line):
    run = logged(tmp_path, *(("loss", *pair) for pair in zip(steps, values, strict=True)))
    assert run.problems == run.left_out == {"loss": f"loss: {line}{KEPT}"}
    assert line in repr(run)
    kept = Run(tmp_path, axis="order")
    assert points(kept, "loss") == list(enumerate(values))
    assert kept.problems == {}


@pytest.mark.parametrize(
    "steps",
    [[0, 1, 2], [0, 2, 2, 4], [0, 1, 1, 2, 2]],
    ids=["once each", "twice, one value", "all twice, one value"],
)
def test_what_is_written_twice_with_one_value_is_not_lost(tmp_path, steps):
    run = logged(tmp_path, *(("epoch", step, step // 2) for step in steps))
    assert run.problems == {}


def test_a_nan_written_twice_is_not_lost(tmp_path):
    run = logged(tmp_path, ("loss", 0, 1), ("loss", 1, float("nan")), ("loss", 1, float("nan")))
    assert run.problems == {}


def test_a_training_that_is_resumed_is_no_problem_however_often(tmp_path):
    write(tmp_path, [("a", s, s) for s in range(10)], 1)
    write(tmp_path, [("a", s, s) for s in range(5, 8)], 2)
    write(tmp_path, [("a", s, s) for s in range(7, 12)], 3)
    assert Run(tmp_path).problems == {}
    write(tmp_path, [("a", 0, 1)], 4, purge_step=0)
    assert (points(Run(tmp_path), "a"), Run(tmp_path).problems) == ([(0, 1)], {})


def test_files_that_begin_again_without_a_word_are_told_of(tmp_path):
    for number in range(3):
        write(tmp_path, [("a", s, number) for s in range(4)], number)
    assert Run(tmp_path).left_out == {
        "a": f"a: 8 of 12 points left out: 2 later event files begin again at step 0{KEPT}"
    }
    assert points(Run(tmp_path, axis="order"), "a") == [(i, i // 4) for i in range(12)]


def test_files_of_several_processes_are_told_from_a_resumed_training(tmp_path):
    for number in range(2):
        with SummaryWriter(tmp_path, filename_suffix=f".{number}") as writer:
            for step in range(number, 6, 2):
                writer.add_scalar("a", step, step, 100.0 + step)
    run = Run(tmp_path)
    assert points(run, "a") == [(0, 0), (1, 1), (3, 3), (5, 5)]
    assert run.left_out["a"] == (
        f"a: 2 of 6 points left out: event files written at the same time share their steps{KEPT}"
    )
    assert points(Run(tmp_path, axis="order"), "a") == [(i, i) for i in range(6)]


def test_two_metrics_of_one_name_are_told_of(tmp_path):
    logged(tmp_path, ("train/loss", 0, 1))
    run = logged(tmp_path / "train", ("loss", 0, 2), ("loss", 1, 3))
    run = Run(tmp_path)
    assert points(run, "train/loss") == [(0, 1)]
    assert run.problems == {
        "train/loss": "train/loss: 2 points of the same name in train/ left out"
    }


def test_in_the_order_of_writing_what_is_written_together_has_one_number(tmp_path):
    log = [(tag, 0, 10 * i + j) for i in range(3) for j, tag in enumerate(("loss", "lr"))]
    logged(tmp_path, *log, ("val", 0, 7), ("loss", 0, 30), ("val", 0, 8))
    run = Run(tmp_path, axis="order")
    assert points(run, "loss") == [(0, 0), (1, 10), (2, 20), (3, 30)]
    assert points(run, "lr") == [(0, 1), (1, 11), (2, 21)]
    assert points(run, "val") == [(2, 7), (3, 8)]
    assert repr(run.metrics["loss"]) == "<Series of 4 points: order of writing 0 to 3>"


def test_on_the_axis_of_wall_times_points_stand_in_seconds(tmp_path):
    logged(tmp_path, ("a", 0, 1, 50.0), ("b", 0, 2, 50.5), ("a", 0, 3, 62.25), ("a", 0, 4, 60.0))
    run = Run(tmp_path, axis="wall-time")
    assert points(run, "a") == [(0, 1), (12.25, 3), (12.25, 4)]
    assert points(run, "b") == [(0.5, 2)]
    assert repr(run.metrics["a"]) == "<Series of 3 points: seconds 0 to 12.25>"


def test_points_are_kept_on_their_axis_as_a_log_grows(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", 1.0, 5)
        writer.flush()
        run = Run(tmp_path, axis="order")
        before = run.metrics["a"]
        writer.add_scalar("a", 2.0, 5)
        writer.flush()
        assert run.refresh() == 1
    assert (len(before), points(run, "a")) == (1, [(0, 1), (1, 2)])
    with pytest.raises(ValueError, match="read-only"):
        run.metrics["a"].steps[0] = 1
    assert run.verify() == {}


def test_an_axis_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(InputError, match="unknown axis 'epoch'; a run has step, order, wall-time"):
        Run(tmp_path, axis="epoch")


def test_many_points_are_put_in_order_at_once(tmp_path):
    log = [(tag, i % 50, i) for i in range(2000) for tag in ("a", "b")]
    run = logged(tmp_path, *log)
    assert run.left_out["a"].startswith("a: 1,950 of 2,000 points left out")
    np.testing.assert_array_equal(Run(tmp_path, axis="order").metrics["b"].steps, range(2000))
