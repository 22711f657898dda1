"""FilterMosaic and WeightHistogram: which weights they show; FilterNoise: how noisy they are."""

import numpy as np
import pytest
import torch
from torch import nn

import convviz_widgets as cvw
from convviz_widgets.images import ImageSet
from convviz_widgets.state import FILTERS, ModelState
from convviz_widgets.views import FilterMosaic, WeightHistogram


def on(net: nn.Module, *shape: int) -> ModelState:
    """Return a state on two images of this shape, with values that rise from 0 to 1."""
    values = torch.linspace(0, 1, 2 * int(np.prod(shape))).reshape(2, *shape)
    return ModelState(net, ImageSet(values, mean=0.0, std=1.0))


def test_a_layer_fed_by_another_fully_connected_one_is_drawn_as_rows():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    state = on(net, 3, 6, 6)
    view = FilterMosaic(state)
    state.select(layer="2")
    assert view.painted.tiles.values.shape == (4, 4, 4)
    state.select(layer="4")
    assert view.painted.tiles.values.shape == (1, 10, 64)


def test_only_the_layer_that_the_image_feeds_is_in_colour():
    state = on(nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 5, 3)), 3, 8, 8)
    view = FilterMosaic(state, slices="input")
    assert view.painted.tiles.colouring is None
    state.select(layer="1")
    assert view.painted.tiles.values.shape == (5, 3, 3)
    assert view.painted.tiles.channels == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("layer", "tiles"),
    [
        (nn.ConvTranspose2d(4, 3, 3), 3),
        (nn.ConvTranspose2d(4, 8, 3, groups=2), 4),
        (nn.Conv2d(4, 8, 3, groups=2), 4),
        (nn.Conv2d(4, 8, 3, groups=4), 8),
    ],
)
def test_the_readers_of_one_input_are_counted_within_its_group(layer, tiles):
    state = on(nn.Sequential(layer), 4, 6, 6)
    view = FilterMosaic(state, slices="input", input_channel=1)
    assert view.problem == ""
    assert len(view.painted.tiles.values) == tiles


def test_an_input_channel_beyond_the_last_is_the_last():
    view = FilterMosaic(on(nn.Sequential(nn.Conv2d(4, 2, 3)), 4, 6, 6), slices="input")
    view.input_channel = 9
    assert "read input 3, the last one (9 asked)" in view.caption


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(2), nn.LayerNorm([6, 6]), nn.LayerNorm([2, 6, 6])])
def test_the_scales_of_a_normalisation_are_no_filters(norm):
    state = on(nn.Sequential(nn.Conv2d(3, 2, 3), norm), 3, 8, 8)
    state.select(layer="1")
    for view in (FilterMosaic(state), WeightHistogram(state)):
        assert "0 (feeds 1, which has no filters)" in view.caption
        assert "n = 54 weights" in view.caption


def test_the_one_weight_of_an_activation_is_no_filter():
    state = on(nn.Sequential(nn.Conv2d(3, 4, 3), nn.PReLU()), 3, 8, 8)
    state.select(layer="1", channel=2)
    view = WeightHistogram(state, scope="filter")
    assert "0 (feeds 1, which has no filters), filter 2" in view.caption
    assert "n = 27 weights" in view.caption


def test_a_pixel_of_reduced_colours_is_called_their_mean():
    net = nn.Sequential(nn.Conv2d(3, 2, 600))
    view = FilterMosaic(on(net, 3, 600, 600))
    assert view.painted.mosaic.reduce > 1
    assert "each pixel the mean of" in view.caption


def test_weights_that_are_no_numbers_are_counted_in_words():
    net = nn.Sequential(nn.Conv2d(1, 3, 1))
    nn.init.constant_(net[0].weight, float("nan"))
    state = on(net, 1, 2, 2)
    assert "3 NaN or infinite" in FilterMosaic(state).caption
    caption = WeightHistogram(state).caption
    assert "3 NaN or infinite, not drawn · no finite value" in caption
    assert "nan " not in caption


def ramps():
    """Weights (8, 3, 5, 5) that grow evenly from left to right: as smooth as can be."""
    return torch.arange(5.0).expand(8, 3, 5, 5).clone()


def noise(seed):
    return torch.randn(8, 3, 5, 5, generator=torch.Generator().manual_seed(seed))


def state_of(*weights, steps=None):
    """A convolution of 5×5, a ReLU and one of 1×1, at as many checkpoints as there are weights."""
    model = nn.Sequential(nn.Conv2d(3, 8, 5), nn.ReLU(), nn.Conv2d(8, 2, 1))
    rest = {k: v for k, v in model.state_dict().items() if k != "0.weight"}
    dicts = [(step, {**rest, "0.weight": w}) for step, w in zip(steps, weights, strict=True)]
    checkpoints = cvw.CheckpointSeries.from_state_dicts(dicts)
    return cvw.ModelState(model, torch.rand(1, 3, 9, 9), checkpoints=checkpoints)


@pytest.fixture
def shown():
    """Return a function that shows weights of steps in a mosaic, once they are measured."""
    made = []

    def show(*weights, steps, **options):
        state = state_of(*weights, steps=steps)
        view = FilterMosaic(state, **options)
        made.extend([view, state])
        assert state.history.wait(30)
        return state, view

    yield show
    for each in made:
        each.close()


def said(view):
    return view.noise.caption


def test_noise_that_was_there_at_the_start_is_told_from_learned_noise(shown):
    state, view = shown(noise(0), noise(0) + 0.1 * noise(1), noise(2), steps=(0, 10, 20))
    assert "of n = 8 filters are noisy" in said(view)
    assert "learned noise: regularise" in said(view)
    state.select(checkpoint=1)
    assert "step 10" in said(view)
    assert "mostly still its initial noise" in said(view)
    assert "cosine 1.00" in said(view)  # 1 / √(1 + 0.1²)


def test_smooth_filters_need_no_cause(shown):
    _, view = shown(noise(0), ramps(), steps=(0, 10))
    assert "0% of n = 8 filters are noisy" in said(view)
    assert "noise:" not in said(view)


def test_without_step_0_the_cause_is_unknown(shown):
    _, view = shown(noise(0), noise(1), steps=(10, 20))
    assert "cannot be told without the checkpoint of step 0" in said(view)


def test_kernels_of_one_position_have_no_noisiness(shown):
    state, view = shown(noise(0), noise(1), steps=(0, 10))
    state.select(layer="2")
    assert "noisiness means nothing for 1×1" in said(view)


def test_scrubbing_measures_nothing(shown):
    state, view = shown(noise(0), noise(1), noise(2), steps=(0, 10, 20))
    measured = state.history.measured_count
    lines = view.noise.plot.lines
    curves = [line.y for line in lines]
    for checkpoint in (0, 1, 2, 0):
        state.select(checkpoint=checkpoint)
    assert state.history.measured_count == measured == 3
    assert state.history.progress(FILTERS).complete
    assert view.noise.problem == ""
    # Only the cursor has moved: no curve was sent again.
    assert all(line.y is before for line, before in zip(lines, curves, strict=True))


def test_a_hidden_mosaic_measures_nothing_until_it_is_seen():
    state = state_of(noise(0), steps=(0,))
    view = FilterMosaic(state, visible=False)
    assert state.history.wait(30)
    assert not state.history.progress(FILTERS).complete
    view.visible = True
    assert state.history.wait(30)
    assert state.history.progress(FILTERS).complete
    view.close()
    state.close()


def test_coloured_slow_filters_come_before_grey_fast_ones(shown):
    fast = torch.from_numpy(np.indices((5, 5)).sum(axis=0) % 2 * 2.0 - 1).float()
    weights = fast.expand(8, 3, 5, 5).clone()
    weights[5] = torch.tensor([1.0, -1.0, 0.0])[:, None, None]
    _, view = shown(weights, steps=(0,), order="look")
    picture = view.painted
    assert picture.tiles.channels[0] == 5
    assert picture.tiles.labels[0] == "filter 5"
    assert "ordered by colour and frequency" in picture.tiles.caption
    view.order = "number"
    assert view.painted.tiles.channels == tuple(range(8))


def test_weights_that_are_not_finite_are_why_nothing_is_ranked(shown):
    _, view = shown(noise(0), torch.full((8, 3, 5, 5), torch.nan), steps=(0, 10))
    assert said(view) == (
        "0 · step 10 · no filter can be ranked: 600 of 600 weights are NaN or infinite"
    )
    assert "n = 600 weights, 600 NaN or infinite · scale 0 to 0," in view.caption
