import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState
from convviz_widgets.views import GradientFlow

PATIENCE = 60


def shown(state, **options):
    view = GradientFlow(state, **options)
    assert state.history.wait(PATIENCE)
    return view


def picture(view):
    return view.compute(view.state.selection).picture


def test_norms_and_means_are_those_of_autograd(state):
    view = shown(state)
    state.select(checkpoint=1)
    profile = picture(view).profile
    assert profile.layers == ("0", "1", "2", "3")
    for layer, norm, mean in zip(profile.layers, profile.norms, profile.means, strict=True):
        expected = state.gradient(layer, batch=True)
        assert norm == pytest.approx(expected.norm().item(), rel=1e-5)
        assert mean == pytest.approx(expected.abs().mean().item(), rel=1e-5)


def test_gradients_by_the_weights_are_those_of_autograd(state):
    profile = picture(shown(state, of="weight gradients")).profile
    assert profile.layers == ("0", "3")
    for layer, norm in zip(profile.layers, profile.norms, strict=True):
        expected = state.gradient(layer, of="weight", batch=True)
        assert norm == pytest.approx(expected.norm().item(), rel=1e-5)


def chain(*factors):
    """Convolutions of one channel that multiply by factors: so do the gradients, backwards."""
    layers = [nn.Conv2d(1, 1, 1, bias=False) for _ in factors]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    weights = {f"{i}.weight": torch.full((1, 1, 1, 1), each) for i, each in enumerate(factors)}
    images = ImageSet(torch.rand(6, 1, 4, 4) + 0.5)
    series = CheckpointSeries.from_state_dicts([(5, weights)])
    return ModelState(net, images, checkpoints=series, loss=lambda output, target: output.sum())


@pytest.mark.parametrize("factor", [0.1, 1.0, 10.0])
def test_the_slope_is_what_each_layer_multiplies_by(factor):
    state = chain(*[factor] * 4)
    view = shown(state)
    slope = picture(view).slope
    assert slope.slope == pytest.approx(-math.log10(factor), abs=1e-5)
    assert slope.total == pytest.approx(-3 * math.log10(factor), abs=1e-4)
    assert f"slope {slope.slope:.2f} decades a layer" in view.caption
    places, heights = picture(view).profile.fit
    np.testing.assert_array_equal(places, [0, 1, 2, 3])
    np.testing.assert_allclose(heights, np.log10(picture(view).profile.norms[:4]), atol=1e-4)
    state.close()


def test_layers_without_a_gradient_are_left_out_and_named():
    state = chain(0.1, 0.1, 0.0, 0.1)
    view = shown(state)
    found = picture(view)
    assert found.profile.norms[:2] == (0.0, 0.0)
    assert (found.slope.used, found.slope.layers) == (2, 4)
    assert found.slope.slope == pytest.approx(
        math.log10(found.profile.norms[3] / found.profile.norms[2])
    )
    assert "exactly zero, left out: 0, 1" in view.caption
    state.close()


def test_values_that_are_not_finite_are_told_apart():
    state = chain(1.0, 1.0, float("nan"), 1.0)
    view = shown(state)
    assert [math.isinf(norm) for norm in picture(view).profile.norms[:4]] == [1, 1, 0, 0]
    assert "not finite in 2 layers" in view.caption
    state.close()


def test_without_a_slope_it_says_so_and_whether_the_weights_are_why():
    nan = float("nan")
    state = chain(1.0, nan, nan, nan)
    caption = shown(state).caption
    assert "nan" not in caption
    assert caption.startswith("no slope: finite and above zero in 1 of 4 layers with weights")
    assert "3 of 4 weights are NaN or infinite" in caption
    state.close()


def test_no_slope_is_below_zero_by_less_than_is_shown():
    state = chain(*[1.0001] * 4)
    assert shown(state).caption.startswith("slope 0.00 decades a layer, 0.0 in all")
    state.close()


def test_update_ratios_are_those_of_neighbouring_checkpoints(state):
    view = shown(state, over="update ratios")
    curves = picture(view).curves
    assert curves.layers == ("0", "3")
    weights = []
    for index in range(3):
        state.select(checkpoint=index)
        weights.append(state.weight("3"))
    ratios = [((b - a).norm() / a.norm()).item() for a, b in itertools.pairwise(weights)]
    assert math.isnan(curves.values[1, 0])
    np.testing.assert_allclose(10 ** curves.values[1, 1:], ratios, rtol=1e-5)
    assert "between neighbouring checkpoints, here 100 steps apart" in view.caption


def test_the_slope_over_training_is_one_curve(state):
    curves = picture(shown(state, over="slope over depth")).curves
    slopes = []
    for index in range(3):
        state.select(checkpoint=index)
        norms = [state.gradient(layer, batch=True).norm().item() for layer in ("0", "3")]
        slopes.append(math.log10(norms[1] / norms[0]))
    np.testing.assert_allclose(curves.values[0], slopes, rtol=1e-4)


def test_a_click_on_a_layer_selects_it(state):
    view = shown(state)
    view.depth.click(int(view.depth.plot.to_pixel(2)), 50)
    assert state.selection.layer == "2"


def test_a_click_on_a_curve_moves_the_clock_and_selects_the_layer(state):
    view = shown(state)
    curves, plot = picture(view).curves, view.curves.plot
    top, bottom = plot.top_and_bottom
    height = (curves.values[3, 0] - plot.y.min) / (plot.y.max - plot.y.min)
    view.curves.click(int(plot.to_pixel(0)), int(bottom - height * (bottom - top)))
    assert (state.selection.checkpoint, state.selection.layer) == (0, "3")


def test_a_click_far_from_any_curve_moves_the_clock_alone(state):
    view = shown(state)
    curves = view.curves.curves
    view.curves.show(type(curves)(curves.layers, curves.steps, curves.values - 50), "1", 2)
    view.curves.plot.y.min, view.curves.plot.y.max = 0.0, 1.0
    view.curves.click(int(view.curves.plot.to_pixel(1)), 100)
    assert (state.selection.checkpoint, state.selection.layer) == (1, "0")


def test_one_checkpoint_has_no_updates(images, make_net):
    series = CheckpointSeries.from_state_dicts([(5, make_net(0).state_dict())])
    state = ModelState(make_net(1), images, checkpoints=series)
    view = shown(state, over="update ratios")
    assert view.problem == ""
    assert picture(view).curves.layers == ()
    state.close()
