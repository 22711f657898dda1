"""Where checkpoints stand in the log of a run, whatever the two count."""

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from convviz_widgets.checkpoints import Steps, TrainingTime
from convviz_widgets.record import Run
from convviz_widgets.state import log_steps


@pytest.fixture
def log(tmp_path):
    """Return a function that logs a loss at some steps, and other metrics beside it."""

    def logged(steps, axis="step", **others):
        with SummaryWriter(tmp_path) as writer:
            for step in steps:
                writer.add_scalar("loss", 1.0, step)
                for name, value in others.items():
                    writer.add_scalar(name, value(step), step)
        return Run(tmp_path, axis=axis)

    return logged


def epochs(*numbers, per_epoch=None, **known):
    """Return epochs; of those in ``known`` (e3=400) the step is known too."""
    times = [TrainingTime(step=known.get(f"e{number}"), epoch=number) for number in numbers]
    return Steps(numbers, "epoch", times=times, steps_per_epoch=per_epoch)


def test_steps_in_a_log_of_steps_are_what_they_are(log):
    found = log_steps((0, 100, 200), log(range(0, 200, 10)))
    assert found.places == found.done == (0, 100, 200)
    assert (found.how, found.problem) == ("", "")
    assert (found.nearest(90), found.at_or_before(90), found.at_or_before(-1)) == (1, 0, 0)


def test_what_has_no_number_has_no_place(log):
    steps = Steps(
        (100, 101), labels=("step 100", "best.pt"), times=[TrainingTime(100), TrainingTime()]
    )
    found = log_steps(steps, log(range(150)))
    assert found.places == found.done == (100, None)
    assert found.nearest(1000) == 0


@pytest.mark.parametrize("ends", [range(10), range(1, 11), (4, 9), (5, 10), range(8)])
def test_epochs_in_a_log_of_steps_need_to_be_told_how_long_they_are(log, ends):
    found = log_steps(epochs(*ends), log(range(1000)))
    assert set(found.places) == set(found.done) == {None}
    assert found.problem == (
        f"the checkpoints count epochs ({ends[0]} to {ends[-1]}), the log steps (0 to 999); "
        "steps_per_epoch= maps them"
    )
    assert (found.nearest(5), found.at_or_before(5)) == (None, None)


@pytest.mark.parametrize(
    ("ends", "done", "counted"),
    [
        (range(10), range(100, 1001, 100), "from 0"),
        (range(1, 11), range(100, 1001, 100), "from 1"),
        (range(11), range(0, 1001, 100), "from the untrained model"),
        ((4, 9), (500, 1000), "from 0"),
        ((5, 10), (500, 1000), "from 1"),
        ((0, 5), (100, 600), "from 0"),
        ((2, 5), (200, 500), "from 1"),  # nothing says more
    ],
)
def test_a_number_of_steps_an_epoch_maps_them(log, ends, done, counted):
    found = log_steps(epochs(*ends, per_epoch=100), log(range(1000)))
    assert found.places == found.done == tuple(done)
    assert f"100 steps an epoch, counted {counted}" in found.how
    assert found.problem == ""


def test_epochs_that_end_beyond_the_log_are_told_of(log):
    found = log_steps(epochs(*range(10), per_epoch=500), log(range(1000)))
    assert found.problem == "epoch 9 would end at step 5,000, the log ends at 999"


@pytest.mark.parametrize("first", [0, 1])
def test_the_steps_of_other_epochs_map_them(log, first):
    pair = {f"e{first + 1}": 200, f"e{first + 4}": 500}
    found = log_steps(epochs(*range(first, first + 10), **pair), log(range(1000)))
    assert found.places == tuple(range(100, 1001, 100))
    assert found.how == "by the steps of other epochs, 100 an epoch"


def test_one_pair_is_enough_where_it_comes_out_even():
    assert log_steps(epochs(2, 3, 4, e3=400)).done == (300, 400, 500)  # from 0, as Lightning
    assert log_steps(epochs(2, 3, 4, e3=450)).done == (300, 450, 600)  # from 1


def test_a_metric_of_epochs_maps_them(log):
    run = log(range(0, 1000, 10), epoch=lambda step: step // 100)
    assert log_steps(epochs(*range(10)), run).places == tuple(range(90, 1000, 100))
    assert log_steps(epochs(*range(1, 11)), run).places == tuple(range(90, 1000, 100))


def test_a_metric_of_fractions_of_epochs_says_how_many_are_over(log):
    run = log(range(0, 1001, 10), **{"train/epoch": lambda step: step / 100})
    assert log_steps(epochs(*range(1, 11)), run).places == tuple(range(100, 1001, 100))
    assert log_steps(epochs(*range(10)), run).places == tuple(range(100, 1001, 100))


@pytest.mark.parametrize(
    ("ends", "steps", "places"),
    [
        (range(10), range(10), range(10)),
        (range(1, 11), range(1, 11), range(1, 11)),
        (range(10), range(1, 11), range(1, 11)),
        (range(1, 11), range(10), range(10)),
        ((4, 9), range(12), (4, 9)),
        (range(10), range(12), range(10)),
    ],
)
def test_a_log_of_epochs_has_them_where_they_are(log, ends, steps, places):
    found = log_steps(epochs(*ends), log(steps))
    assert (found.places, found.problem) == (tuple(places), "")
    assert found.how.startswith("the log counts epochs")


def test_steps_that_know_their_epochs_are_found_in_a_log_of_epochs(log):
    times = [TrainingTime(step=100 * e + 100, epoch=e) for e in range(5)]
    found = log_steps(Steps([each.step for each in times], times=times), log(range(5)))
    assert found.places == (0, 1, 2, 3, 4)
    assert found.done == (100, 200, 300, 400, 500)


def test_steps_in_a_log_of_epochs_need_to_be_told(log):
    run = log(range(5))
    steps = range(100, 501, 100)
    found = log_steps(tuple(steps), run)
    assert set(found.places) == {None}
    assert found.problem == (
        "the checkpoints' steps are 100 to 500, those of the log 0 to 4; if those are epochs, "
        "steps_per_epoch= maps them"
    )
    assert log_steps(Steps(steps, steps_per_epoch=100), run).places == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(("last", "log_ends"), [(9, 999), (1500, 999)])
def test_ranges_that_disagree_are_told_of(log, last, log_ends):
    found = log_steps(tuple(range(last - 2, last + 1)), log(range(log_ends + 1)))
    assert found.problem == (
        f"the checkpoints' steps are {last - 2:,} to {last:,}, those of the log 0 to {log_ends}"
    )
    assert found.places[-1] == last


def numbers(*found, **known):
    times = [TrainingTime(number=number) for number in found]
    return Steps(found, "checkpoint", [f"model_{n}.pt" for n in found], times, **known)


def test_numbers_without_a_unit_are_those_of_the_log_where_they_fit(log):
    run = log(range(0, 1000, 10))
    assert log_steps(numbers(*range(100, 1001, 100)), run).places == tuple(range(100, 1001, 100))
    assert log_steps(numbers(500), run).how == "the numbers of the files taken for those of the log"
    assert set(log_steps(numbers(100, 200), run).done) == {None}  # that is not said


def test_numbers_without_a_unit_are_not_guessed(log):
    run = log(range(1000))
    found = log_steps(numbers(*range(10)), run)
    assert set(found.places) == {None}
    assert found.problem == (
        "the files' numbers (0 to 9) have no unit, and the log counts 0 to 999; steps= says what "
        "they count; if it is epochs, steps_per_epoch= maps them"
    )
    told = log_steps(numbers(*range(10), steps_per_epoch=100), run)
    assert told.places == told.done == tuple(range(100, 1001, 100))


def test_numbers_that_agree_with_a_metric_of_epochs_are_taken_for_these(log):
    run = log(range(0, 1000, 10), epoch=lambda step: step // 100)
    found = log_steps(numbers(*range(10)), run)
    assert found.places[-1] == 990
    assert found.how.startswith("the numbers of the files taken for epochs")


@pytest.mark.parametrize("axis", ["order", "wall-time"])
def test_on_another_axis_nothing_has_a_place(log, axis):
    found = log_steps((0, 5), log(range(10), axis))
    assert (found.places, found.done) == ((None, None), (0, 5))
    assert "where checkpoints stand there is not known" in found.problem


def test_without_a_log_only_the_steps_are_known():
    assert log_steps((0, 5)).done == (0, 5)
    assert log_steps(epochs(0, 1)).done == (None, None)
    assert log_steps(epochs(0, 1, per_epoch=50)).done == (50, 100)
    assert log_steps(epochs(1, 2, per_epoch=50)).done == (50, 100)


def test_parts_and_copies_of_steps_keep_their_names():
    import copy

    steps = epochs(1, 2, 3)
    assert copy.deepcopy(steps)[1:].labels == ("epoch 2", "epoch 3")
    assert (steps == (1, 2, 3), np.asarray(steps).tolist()) == (True, [1, 2, 3])
