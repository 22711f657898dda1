"""Accuracies that part, with and without a rising validation loss."""

import numpy as np
import pytest

from convviz_widgets.diagnosis import Metric, RunCurves
from convviz_widgets.diagnosis.rules.overfit import overfit


def curve(name, values, every=10):
    values = np.asarray(values, np.float64)
    return Metric(name, every * np.arange(1, len(values) + 1), values)


def run(train, held, train_loss, held_loss):
    return RunCurves(
        loss=curve("loss/train", train_loss),
        validation_loss=curve("loss/val", held_loss),
        accuracy=curve("acc/train", train),
        validation_accuracy=curve("acc/val", held),
    )


GAP = {"train": [0.5, 0.6, 0.8, 0.8, 0.8], "held": [0.5, 0.6, 0.65, 0.65, 0.65]}

FALLING = [2.0, 1.0, 0.9, 0.5, 0.3]


def test_a_gap_with_a_rising_validation_loss_is_overfitting():
    # 3-point means of the validation loss: 1, 1.1, 1.2: 20 % above its minimum
    curves = run(**GAP, train_loss=FALLING, held_loss=[1, 1, 1, 1.3, 1.3])
    (found,) = overfit(curves, 1000)
    assert (found.severity, found.step) == ("warning", 50)
    assert (found.value, found.n) == (pytest.approx(0.15), 1000)


@pytest.mark.parametrize(
    ("train_loss", "held_loss"),
    [
        (FALLING, [1, 1, 1, 1.2, 1.2]),  # means up to 1.133: 13 %
        ([2.0, 1.0, 0.3, 0.4, 0.5], [1, 1, 1, 1.3, 1.3]),  # training got worse as well
    ],
)
def test_a_gap_alone_is_a_remark(train_loss, held_loss):
    (found,) = overfit(run(**GAP, train_loss=train_loss, held_loss=held_loss), 1000)
    assert found.severity == "remark"
    assert "cannot tell" in found.message


def test_three_standard_errors_may_be_more_than_a_tenth():
    curves = run(**GAP, train_loss=FALLING, held_loss=[1, 1, 1, 1.3, 1.3])
    assert overfit(curves, 80) == []  # 3·√(0.65·0.35/80) is 0.16, the gap 0.15
    assert overfit(curves, 100)


def test_overfitting_that_was_seen_stays_seen():
    train_loss, held_loss = [*FALLING, 0.2, 0.2, 0.2], [1, 1, 1, 1.3, 1.3, 0.5, 0.5, 0.5]
    train, held = [*GAP["train"], 0.9, 0.9, 0.9], [*GAP["held"], 0.9, 0.9, 0.9]
    (found,) = overfit(run(train, held, train_loss, held_loss), 1000)
    assert (found.severity, found.step) == ("warning", 50)
