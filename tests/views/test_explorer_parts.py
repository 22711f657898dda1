"""Each part draws what the selection says, exactly once, and its control selects."""

from dataclasses import fields, is_dataclass

import numpy as np
import pytest
import torch
from ipywidgets.widgets.widget import _instances
from torch import nn

from convviz_widgets.state import ModelState
from convviz_widgets.views import (
    ActivationHistogram,
    ActivationMap,
    ActivationMosaic,
    ChannelStepper,
    CheckpointClock,
    FilterMosaic,
    ImageStrip,
    LayerList,
    Predictions,
    StatusLine,
    WeightHistogram,
)
from convviz_widgets.widgets import widget_tree

ALL = [
    ActivationHistogram,
    ActivationMap,
    ActivationMosaic,
    ChannelStepper,
    CheckpointClock,
    FilterMosaic,
    ImageStrip,
    LayerList,
    Predictions,
    StatusLine,
    WeightHistogram,
]


def pixels(view):
    return view.raster.pixels


@pytest.mark.parametrize("kind", ALL)
def test_a_view_draws_once_when_everything_changes(state, kind):
    view = kind(state)
    assert view.problem == ""
    state.select(checkpoint=0, image=3, layer="3", channel=2)
    # What is measured meanwhile, in a thread of its own, is redrawn beside it.
    assert view.draw_count - view.redrawn == 1


@pytest.mark.parametrize("kind", ALL)
def test_a_closed_view_leaves_no_widget_behind(state, kind):
    kind(state).close()  # the first canvas of all makes what every canvas shares
    before = set(_instances)
    kind(state).close()
    assert set(_instances) == before


@pytest.mark.parametrize("kind", [ActivationHistogram, WeightHistogram])
def test_a_histogram_has_its_figure_in_the_page_only_while_it_is_visible(state, kind):
    before = set(_instances)
    view = kind(state)
    assert view.figure in set(widget_tree(view))
    view.visible = False
    assert view.figure is None
    view.visible = True
    assert view.figure in set(widget_tree(view))
    view.visible = False
    view.close()
    assert set(_instances) == before


def test_the_mosaic_shows_one_tile_a_channel_and_a_click_picks_it(state):
    view = ActivationMosaic(state)
    mosaic = view.painted.mosaic
    assert mosaic.count == 4
    assert pixels(view).shape[:2] == (mosaic.height, mosaic.width)
    box = mosaic.box(2)
    view.raster.click(box.x + 1, box.y + 1)
    assert state.channel == 2
    assert view.raster.boxes == (box,)


def test_arrow_keys_move_the_selected_tile_and_stop_at_the_ends(state):
    view = ActivationMosaic(state)
    view.raster.press("ArrowRight")
    assert state.channel == 1
    view.raster.press("ArrowLeft")
    view.raster.press("ArrowLeft")
    assert state.channel == 0


def test_another_channel_does_not_paint_the_mosaic_again(state):
    view = ActivationMosaic(state)
    picture = view.painted
    state.channel = 3
    assert view.painted is picture


def test_another_checkpoint_changes_the_pixels(state):
    view = ActivationMosaic(state)
    before = pixels(view)
    state.checkpoint = 0
    assert not np.array_equal(before, pixels(view))


def test_a_channel_that_is_zero_on_this_image_is_hatched_and_counted(state):
    state.select(layer="1")
    view = ActivationMosaic(state)
    dead = [not state.activation()[channel].any() for channel in range(4)]
    assert list(view.painted.tiles.hatched) == dead
    said = f"{sum(dead)} zero everywhere on this image" if any(dead) else "none hatched"
    assert said in view.caption


def test_the_histogram_counts_what_is_not_zero(state):
    state.select(layer="1")
    view = ActivationHistogram(state, scope="layer")
    values = state.activation()
    assert int(view.counts.sum()) == int((values != 0).sum())


def test_a_layer_without_weights_shows_those_that_feed_it(state):
    state.select(layer="1", channel=2)
    histogram, mosaic = WeightHistogram(state), FilterMosaic(state)
    assert int(histogram.counts.sum()) == state.weight("0").numel()
    assert "0 (feeds 1, which has no filters)" in histogram.caption
    assert "0 (feeds 1, which has no filters)" in mosaic.caption
    assert mosaic.highlighted == 2


def test_a_model_without_weights_says_so(images):
    state = ModelState(nn.Sequential(nn.ReLU(), nn.AvgPool2d(2)), images)
    view = WeightHistogram(state)
    assert view.problem == "0 has no filters to show; layers with filters: none"


@pytest.mark.parametrize("kind", ALL)
def test_compute_answers_for_the_selection_that_it_is_given(state, kind):
    view = kind(state)
    asked = state.select(checkpoint=0, image=3, layer="3", channel=2)
    expected = computed(state, view, asked)
    state.select(checkpoint=2, image=0, layer="0", channel=1)
    if kind is not StatusLine:  # which tells of the forward passes, too
        assert computed(state, kind(state), asked) == expected


def computed(state, view, asked):
    """Return what a view computes once everything that it asks for has been answered."""
    view.compute(asked)
    assert state.output_history.wait(30)
    return said_of(view.compute(asked))


def said_of(result):
    """Return everything that is computed, arrays as bytes, in a form that can be compared."""
    if is_dataclass(result) and not isinstance(result, type):
        return {field.name: said_of(getattr(result, field.name)) for field in fields(result)}
    if isinstance(result, (tuple, list)):
        return [said_of(item) for item in result]
    return result.tobytes() if isinstance(result, np.ndarray) else result


def test_computing_for_another_selection_leaves_what_the_pointer_reads(state):
    asked = state.select(layer="2", image=1)
    state.select(layer="0", image=0)
    view = ActivationMap(state)
    view.compute(asked)
    view.raster.point_at(3, 3)
    assert view.pointed == f"row 0, column 0: {float(state.activation()[0, 0, 0]):.4g}"


def test_the_value_under_a_resting_pointer_is_the_new_checkpoints(state):
    view = ActivationMap(state)
    view.raster.point_at(3, 3)
    for checkpoint in (0, 1):
        state.checkpoint = checkpoint
        value = float(state.activation()[0, 0, 0])
        assert view.pointed == f"row 0, column 0: {value:.4g}"
    view.raster.leave()
    state.checkpoint = 2
    assert view.pointed == ""


@pytest.mark.parametrize("kind", [ActivationMap, ActivationMosaic, FilterMosaic])
def test_the_buttons_below_a_picture_step_through_the_channels(state, kind):
    view = kind(state)
    back, onward = view.control("previous channel"), view.control("next channel")
    assert " · previous channel · next channel" in " · ".join(view.control_names)
    onward.click()
    onward.click()
    assert state.channel == 2
    for _ in range(3):
        back.click()
    assert state.channel == 0


def test_predictions_are_the_softmax_best_first(state):
    answer = Predictions(state).compute(state.selection).answer
    expected = torch.softmax(state.logits(), 0).sort(descending=True)
    assert answer.probabilities == pytest.approx(expected.values.tolist())
    assert answer.names == tuple(f"class {i}" for i in expected.indices.tolist())


def test_the_value_under_the_pointer_is_the_maps(state):
    view = ActivationMap(state)
    box = view.painted.mosaic.box(0)
    view.raster.point_at(box.x, box.y)
    value = float(state.activation()[0, 0, 0])
    assert view.pointed == f"row 0, column 0: {value:.4g}"


def test_filters_of_a_layer_fed_by_a_map_take_its_shape(state):
    state.select(layer="3")
    view = FilterMosaic(state)
    assert view.painted.tiles.values.shape == (4, 6, 6)
