"""The first step, and the first layer, at which something is not finite."""

import numpy as np
import pytest

from convviz_widgets.diagnosis import Metric
from convviz_widgets.diagnosis.rules.non_finite import non_finite


def curve(values, name="loss/train"):
    values = np.asarray(values, np.float64)
    return Metric(name, np.arange(1, len(values) + 1), values)


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_one_point_that_is_no_number_is_an_error(odd):
    (found,) = non_finite(curve([1.0, 1.0, odd, 1.0]))
    assert (found.severity, found.step) == ("error", 3)
    assert non_finite(curve([1.0, 1.0, 1e30, 1.0])) == []


def test_the_first_layer_that_is_no_number_is_named():
    norms = {"a.weight": curve([1, 1, 1, np.nan]), "b.weight": curve([1, np.inf, np.nan, np.nan])}
    (found,) = non_finite(curve([1.0, 1.0, np.nan, np.nan]), norms)
    assert (found.layer, found.step) == ("b", 2)
