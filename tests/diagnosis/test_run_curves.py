"""The metrics of a run are read as its loss and accuracies."""

import numpy as np
import pytest

from convviz_widgets.diagnosis import run_curves
from convviz_widgets.record import Series

GAP = {"train": [0.5, 0.6, 0.8, 0.8, 0.8], "held": [0.5, 0.6, 0.65, 0.65, 0.65]}


def test_accuracy_in_percent_is_the_same():
    def series(values):
        steps = np.arange(1, 6)
        return Series(steps, np.asarray(values, float), steps.astype(float))

    percent = {"acc/train": [100 * a for a in GAP["train"]], "acc/val": [50, 60, 65, 65, 65]}
    read = run_curves({name: series(values) for name, values in percent.items()})
    assert read.accuracy.values.tolist() == pytest.approx(GAP["train"])
    assert read.validation_accuracy.values[-1] == pytest.approx(0.65)
