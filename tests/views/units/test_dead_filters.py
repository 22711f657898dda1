"""DeadFilters: pixels, counts and clicks, on filters whose fate is written in their biases."""

import numpy as np
import pytest
import torch
from torch import nn

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState
from convviz_widgets.sweeps import Lifecycle, sweep
from convviz_widgets.tensors import BACKGROUND, HATCH_DARK, HATCH_LIGHT
from convviz_widgets.views import DeadFilters
from convviz_widgets.views.units.firing_picture import (
    BORN,
    COLOURS,
    DEAD,
    DIED,
    DYING,
    GREYS,
    MARGIN,
    REVIVED,
    Grid,
    paint_firing,
)

IMAGES = torch.zeros(200, 1, 4, 4)
IMAGES[:, 0, 0, 0] = torch.arange(1, 201) / 200  # the brightest pixel, from 0.005 to 1

ALWAYS, ONCE, NEVER = 0.0, -0.9975, -2.0
"""Biases with which a unit fires on every image, on the brightest, on none."""

FATES = (
    (ALWAYS, ALWAYS, ALWAYS, ALWAYS),
    (ALWAYS, NEVER, NEVER, NEVER),
    (NEVER, NEVER, ALWAYS, ALWAYS),
    (ALWAYS, NEVER, NEVER, ONCE),
)
"""Biases of the four channels at the four checkpoints: healthy, dies, is born, dies and revives."""

STEPS = (0, 10, 20, 30)


def net(activation=nn.ReLU):
    return nn.Sequential(
        nn.Conv2d(1, 4, 1), activation(), nn.MaxPool2d(2), nn.Conv2d(4, 2, 1), nn.GELU()
    )


def weights(step):
    values = {name: torch.ones_like(value) for name, value in net().state_dict().items()}
    return values | {"0.bias": torch.tensor([fate[STEPS.index(step)] for fate in FATES])}


def series():
    return CheckpointSeries.from_state_dicts([(step, weights(step)) for step in STEPS])


@pytest.fixture
def state():
    made = ModelState(net(), ImageSet(IMAGES), checkpoints=series(), layer="1", checkpoint=0)
    yield made
    made.close()


@pytest.fixture
def result():
    return sweep(net(), ImageSet(IMAGES), checkpoints=series(), progress=False)


def pixels(view):
    return view.raster.pixels


def layers(view):
    return view.control("layers at the clock's step")


def changes(view):
    return view.control("deaths, births and revivals in this layer")


def centre(view, checkpoint, channel):
    """Return the pixel in the middle of a cell, as (x, y)."""
    grid, row = view.painted.grid, list(view.painted.order).index(channel)
    x = MARGIN + checkpoint * grid.width + grid.width // 2
    return x, MARGIN + row * grid.height + grid.height // 2


def test_cells_have_the_colours_of_their_fate_and_changes_an_edge():
    fired = np.array([[200, 0, 1, 200], [0, 50, 0, 0]])
    known = np.array([[True] * 4, [True, True, False, True]])
    grid = Grid.fit(2, 4, 100, 100)
    picture = paint_firing(Lifecycle(fired, known, np.full(4, 200)), np.array([1, 0]), grid)
    assert picture.shape == (2 * 14 + 2 * MARGIN, 4 * 23 + 2 * MARGIN)
    cells = [
        [picture[MARGIN + row * 14 + 4, MARGIN + column * 23 :][:23] for column in range(4)]
        for row in range(2)
    ]
    assert [cell[10] for cell in cells[1]] == [GREYS - 1, DEAD, DYING, GREYS - 1]
    assert [cell[0] for cell in cells[1]] == [GREYS - 1, DIED, REVIVED, GREYS - 1]
    assert [cells[0][column][10] for column in (0, 1, 3)] == [DEAD, round(GREYS / 4 - 0.25), DEAD]
    assert [cells[0][column][0] for column in (0, 1, 3)] == [DEAD, BORN, DIED]
    assert set(cells[0][2]) == {HATCH_DARK, HATCH_LIGHT, BACKGROUND}


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (64, 30), (512, 30), (7, 300)])
def test_every_cell_is_found_by_its_pixels(rows, columns):
    grid = Grid.fit(rows, columns, 256, 550)
    for row, column in ((0, 0), (rows - 1, columns - 1), (rows // 2, columns // 3)):
        outer, inner = grid.row(row), grid.column(column)
        assert grid.cell_at(inner.x + MARGIN, outer.y + MARGIN) == (row, column)
        last = inner.x + inner.width - MARGIN - 1, outer.y + outer.height - MARGIN - 1
        assert grid.cell_at(*last) == (row, column)
    assert grid.cell_at(0, MARGIN) is grid.cell_at(*grid.shape[::-1]) is None


def test_dead_and_dying_are_counted_at_the_step_with_n_and_the_bound(state, result):
    view = DeadFilters(state, sweep=result)
    counts = {}
    for index, step in enumerate(STEPS):
        state.select(checkpoint=index)
        caption = view.caption
        assert f"step {step}" in caption
        assert "n = 200 images" in caption
        assert "1.50%" in caption  # 3/200
        counts[step] = caption.split("dead (never fired): ")[1][:6], view.painted.layers[0][0]
    assert [dead for dead, _ in counts.values()] == ["1 of 4", "3 of 4", "2 of 4", "1 of 4"]
    assert counts[30][1].split(maxsplit=1) == ["1", "dead 1, dying 1 of 4"]
    assert state.forward_count == 0


def test_the_picture_shows_who_died_and_a_click_goes_there(state, result):
    view = DeadFilters(state, sweep=result)
    x, y = centre(view, 1, 1)
    assert tuple(pixels(view)[y, x][:3]) == COLOURS[DEAD]
    view.raster.click(x, y)
    assert (state.selection.checkpoint, state.selection.channel) == (1, 1)
    view.raster.point_at(x, y)
    assert view.pointed == (
        "step 10 (dead 3, dying 0 of 4) · channel 1 fires on 0 of 200 images, 0.0% · died"
    )
    view.raster.click(0, 0)
    assert (state.selection.checkpoint, state.selection.channel) == (1, 1)


def test_clock_and_channel_are_outlined(state, result):
    view = DeadFilters(state, sweep=result)
    state.select(checkpoint=2, channel=3)
    column, row = view.raster.boxes
    x, y = centre(view, 2, 3)
    for box in (column, row):
        assert box.x <= x < box.x + box.width
        assert box.y <= y < box.y + box.height
    assert row.width > column.width
    assert column.height > row.height


def test_arrows_and_controls_do_what_a_click_does(state, result):
    view = DeadFilters(state, sweep=result, order="by channel")
    view.raster.press("ArrowRight")
    view.raster.press("ArrowDown")
    view.raster.press("ArrowLeft")
    assert (state.selection.checkpoint, state.selection.channel) == (0, 1)
    view.raster.press("ArrowLeft")  # before the first checkpoint there is none
    view.raster.press("ArrowRight")
    assert (state.selection.checkpoint, state.selection.channel) == (1, 1)
    view.control("Step").value = 3
    view.control("Channel").value = 2
    assert (state.selection.checkpoint, state.selection.channel) == (3, 2)
    changes(view).value = (1, 3)
    assert (state.selection.checkpoint, state.selection.channel) == (1, 3)
    assert view.draw_count == 1 + 4 + 2 + 1


def test_every_change_is_listed_in_order_of_time(state, result):
    view = DeadFilters(state, sweep=result)
    assert [" ".join(text.split()) for text, _ in changes(view).options] == [
        "step 10 channel 1 died",
        "step 10 channel 3 died",
        "step 20 channel 2 first fired",
        "step 30 channel 3 revived",
    ]


def test_those_that_fire_least_come_first_or_all_by_number(state, result):
    view = DeadFilters(state, sweep=result)
    assert view.painted.order.tolist() == [1, 3, 2, 0]
    view.order = "by channel"
    assert view.painted.order.tolist() == [0, 1, 2, 3]


def test_dead_does_not_apply_to_what_is_hardly_ever_zero(state, result):
    view = DeadFilters(state, sweep=result)
    state.select(layer="4")
    assert "“dead” does not apply to GELU" in view.caption
    assert pixels(view).shape[:2] == (1, 1)
    assert "does not apply" in layers(view).options[1][0]
    layers(view).value = "1"
    assert (state.selection.layer, view.painted.layer) == ("1", "1")


def test_the_activation_of_a_layer_stands_for_it(state, result):
    view = DeadFilters(state, sweep=result)
    state.select(layer="0", channel=3)
    assert view.painted.channel == 3
    assert "1 (the activation of 0)" in view.caption
    view.raster.click(*centre(view, 1, 1))
    assert (state.selection.layer, state.selection.channel) == ("0", 1)


def test_a_checkpoint_that_was_not_swept_is_hatched_and_can_be(state):
    part = sweep(net(), ImageSet(IMAGES), checkpoints=series(), progress=False)
    view = DeadFilters(state, sweep=part.at(1))
    assert "not swept at this step" in view.caption
    assert "1 of 4 checkpoints swept, 200 images" in view.progress.words
    assert view.progress.offers == ("Sweep 3 steps", "Sweep this step")
    view.raster.point_at(*centre(view, 0, 1))
    assert view.pointed == "step 0 · channel 1: not known"


def test_without_a_sweep_a_button_makes_one(state):
    view = DeadFilters(state)
    assert "Not swept yet" in view.caption
    view.control("Sweep 4 steps").click()
    assert state.sweeps.wait(30)
    assert view.painted.life.dead.sum(0).tolist() == [1, 3, 2, 1]


def test_a_sweep_of_something_else_is_refused(state):
    other = sweep(net(), torch.rand(5, 1, 4, 4), progress=False)
    with pytest.raises(InputError, match="5 images, this state has 200"):
        DeadFilters(state, sweep=other)


def test_a_model_without_activations_says_so():
    plain = nn.Sequential(nn.Conv2d(1, 2, 1))
    state = ModelState(plain, ImageSet(IMAGES[:3]))
    view = DeadFilters(state, sweep=sweep(plain, ImageSet(IMAGES[:3]), progress=False))
    assert "no activation layer" in view.problem
    state.close()


def test_tab_leads_from_the_grid_to_the_control_beside_it(beside):
    state = ModelState(net(), ImageSet(IMAGES), checkpoints=series())
    view = DeadFilters(state)
    assert beside(view, view.raster) == (view.control("Sweep this step"), layers(view))
