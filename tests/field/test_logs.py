"""Logs whose points have no place on the axis of steps: what a user of each sees."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

import convviz_widgets as cvw


@pytest.fixture
def state():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    made = cvw.ModelState(model, torch.rand(2, 1, 6, 6))
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path):
    """Return a log that counts the batches of each epoch anew, beside a sound metric."""
    with SummaryWriter(tmp_path) as log:
        for epoch in range(10):
            for batch in range(50):
                log.add_scalar("loss/train", 10 - epoch - batch / 100, batch)
            log.add_scalar("accuracy/val", epoch / 10, epoch)
    return tmp_path


def test_a_step_that_begins_again_in_every_epoch_is_told_of(folder):
    run = cvw.Run(folder)
    assert len(run.metrics["loss/train"]) == 50
    (line,) = run.problems.values()
    assert line.startswith("loss/train: 450 of 500 points left out: the step begins again 9 times")
    assert line.endswith("Run(..., axis='order') or axis='wall-time' keeps all")
    assert "1 problem, the first: loss/train: 450 of 500" in repr(run)


@pytest.mark.parametrize("axis", ["order", "wall-time"])
def test_the_other_axes_keep_all_points(folder, axis):
    run = cvw.Run(folder, axis=axis)
    loss, accuracy = run.metrics["loss/train"], run.metrics["accuracy/val"]
    np.testing.assert_allclose(loss.values[::50], range(10, 0, -1))
    assert (len(loss), len(accuracy), run.problems, run.verify()) == (500, 10, {}, {})
    # An accuracy stands beside the loss that was written before it.
    assert np.searchsorted(loss.steps, accuracy.steps, side="right").tolist() == [
        *range(50, 501, 50)
    ]


def test_the_curves_say_what_is_left_out_and_what_their_axis_is(folder, state):
    view = cvw.TrainingCurves(state, run=cvw.Run(folder))
    assert "loss/train: 450 of 500 points left out" in view.caption
    view.control("Metrics to show").value = ["accuracy/val"]
    assert "left out" not in view.caption
    for axis, label in (("order", "order of writing"), ("wall-time", "seconds")):
        kept = cvw.TrainingCurves(state, run=cvw.Run(folder, axis=axis))
        assert kept.plot.labels == (label, "value")
        assert f"{label} 0 to" in kept.caption
        assert "where checkpoints stand there is not known" in kept.caption
        assert "n = 500" in kept.caption
        assert kept.compute(state.selection).cursor is None


def test_findings_of_points_in_the_order_of_writing_say_so(tmp_path):
    with SummaryWriter(tmp_path) as log:
        for epoch in range(4):
            for batch in range(5):
                log.add_scalar("loss", float("nan") if epoch == 2 and batch == 3 else 1.0, batch)
    assert not [each for each in cvw.diagnose(run=cvw.Run(tmp_path)) if each.rule == "non-finite"]
    run = cvw.Run(tmp_path, axis="order")
    (found,) = [each for each in cvw.diagnose(run=run) if each.rule == "non-finite"]
    assert (found.step, found.when) == (13, "point 13 in the order of writing")
    assert "loss is not finite at point 13 in the order of writing" in found.message
