import math

import numpy as np
import torch
from torch import nn

from convviz_widgets.measure import measure_filters, weights_of
from convviz_widgets.probe import Probe


def network():
    """A convolution of 5×5, a pointwise one, a depthwise one and a linear layer."""
    torch.manual_seed(0)
    layers = {
        "first": nn.Conv2d(3, 8, 5),
        "pointwise": nn.Conv2d(8, 6, 1),
        "depthwise": nn.Conv2d(6, 6, 5, groups=6),
        "flatten": nn.Flatten(),
        "linear": nn.Linear(6 * 8 * 8, 2),
    }
    model = nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    return model


def test_only_kernels_with_extent_over_several_inputs_are_measured():
    probe = Probe(network(), torch.zeros(1, 3, 16, 16))
    filters = measure_filters(probe).filters
    assert set(filters) == {"first"}
    assert filters["first"].count == 8
    assert math.isnan(filters["first"].cosine)


def test_against_itself_nothing_has_changed_and_against_smaller_weights_only_the_size():
    probe = Probe(network(), torch.zeros(1, 3, 16, 16))
    start = weights_of(probe)
    same = measure_filters(probe, start).filters["first"]
    np.testing.assert_allclose(same.cosine, 1.0)
    assert math.isnan(same.update_share)
    halved = measure_filters(probe, {"first": start["first"] / 2}).filters["first"]
    np.testing.assert_allclose(halved.cosine, 1.0)
    assert halved.update_share == same.share
