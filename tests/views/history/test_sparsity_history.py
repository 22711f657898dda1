import math

import numpy as np
import pytest
import torch
from torch import nn

from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState
from convviz_widgets.tensors import concentration, sparsity
from convviz_widgets.views import SparsityHistory

PATIENCE = 60


def shown(state, **options):
    view = SparsityHistory(state, **options)
    assert state.history.wait(PATIENCE)
    return view


def picture(view):
    return view.compute(view.state.selection).picture


def test_curves_are_the_means_over_all_probe_images(state, images):
    found = picture(shown(state))
    for index in range(3):
        maps = []
        for image in range(len(images)):
            state.select(checkpoint=index, image=image)
            maps.append(state.activation("1").numpy())
        zeros = np.mean([sparsity(each) for each in maps])
        local = np.nanmean([concentration(each) for each in maps])
        assert found.sparsity.values[0, index] == pytest.approx(zeros)
        assert found.concentration.values[0, index] == pytest.approx(local)


def two_relus(second=nn.ReLU):
    """A first ReLU with 1 of 2 channels dead, and a second activation after a 1×1 convolution."""
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1), second())
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([1.0, 1.0]).reshape(2, 1, 1, 1))
        net[0].bias.copy_(torch.tensor([0.0, -9.0]))
        net[2].weight.fill_(1.0)
        net[2].bias.zero_()
    return ModelState(net, ImageSet(torch.rand(4, 1, 3, 3) + 0.1))


def test_dead_channels_are_counted_with_n_and_bound_beside():
    state = two_relus()
    view = shown(state)
    first, second = picture(view).rows
    assert "dead 1 of 2" in first
    assert "sparsity 0.500" in first
    assert "dead 0 of 2" in second
    assert "n = 4 images" in view.caption
    assert "75.0%" in view.caption
    state.close()


def test_dead_does_not_apply_to_what_is_hardly_ever_zero():
    state = two_relus(nn.GELU)
    assert "dead does not apply" in picture(shown(state)).rows[1]
    state.close()


def test_a_layer_in_the_list_is_selected(state):
    view = shown(state)
    view.control("Activation layers at the clock's step").value = "1"
    assert state.selection.layer == "1"


def test_the_next_activation_stands_for_a_layer_that_is_none(state):
    view = shown(state)
    assert picture(view).layer == "1"
    assert "the next activation after 0" in view.caption


def test_a_click_on_a_curve_moves_clock_and_layer(state):
    view = shown(state)
    plot, curves = view.curves[0].plot, view.curves[0].curves
    top, bottom = plot.top_and_bottom
    share = curves.values[0, 0] / plot.y.max
    view.curves[0].click(int(plot.to_pixel(0)), int(bottom - share * (bottom - top)))
    assert (state.selection.checkpoint, state.selection.layer) == (0, "1")
    view.curves[0].click(int(plot.to_pixel(2)), bottom - 1)  # far below the curve
    assert (state.selection.checkpoint, state.selection.layer) == (2, "1")


def test_a_model_without_activations_says_so(images):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    state = ModelState(net, images)
    view = shown(state)
    assert "no layer of this model has pre-activations" in view.problem
    state.close()


def test_an_activation_of_features_has_a_sparsity_and_no_concentration():
    net = nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.ReLU())
    state = ModelState(net, ImageSet(torch.rand(4, 1, 3, 3)))
    found = picture(shown(state))
    assert 0 <= found.sparsity.values[0, 0] <= 1
    assert math.isnan(found.concentration.values[0, 0])
    assert "concentration -" in found.rows[0]
    state.close()
