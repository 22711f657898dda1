import math

import numpy as np
import torch
from torch import nn

from convviz_widgets.instrument import (
    INITIAL_COSINE,
    NOISY_FILTERS,
    NOISY_UPDATES,
    RANKED_FILTERS,
    Probe,
    measure_filters,
    weights_of,
)


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
    numbers = measure_filters(probe).numbers
    assert {layer for layer, _ in numbers} == {"first"}
    assert numbers["first", RANKED_FILTERS] == 8
    assert math.isnan(numbers["first", INITIAL_COSINE])


def test_against_itself_nothing_has_changed_and_against_smaller_weights_only_the_size():
    probe = Probe(network(), torch.zeros(1, 3, 16, 16))
    start = weights_of(probe)
    same = measure_filters(probe, start).numbers
    np.testing.assert_allclose(same["first", INITIAL_COSINE], 1.0)
    assert math.isnan(same["first", NOISY_UPDATES])
    halved = measure_filters(probe, {"first": start["first"] / 2}).numbers
    np.testing.assert_allclose(halved["first", INITIAL_COSINE], 1.0)
    assert halved["first", NOISY_UPDATES] == same["first", NOISY_FILTERS]
