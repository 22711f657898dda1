import io

import numpy as np
import pytest
import torch
from ipywidgets.widgets.widget import _instances
from PIL import Image
from torch import nn

from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState
from convviz_widgets.tensors import PERCENTILES
from convviz_widgets.views import DistributionHistory
from convviz_widgets.views.history.distribution_plots import (
    COLUMNS,
    ROWS,
    layer_with,
    percent,
    separated,
)

PATIENCE = 60


def shown(state, **options):
    """Return the view when everything has been measured."""
    view = DistributionHistory(state, **options)
    assert state.history.wait(PATIENCE)
    return view


def picture(view):
    return view.compute(view.state.selection).picture


def pixels(view):
    image = Image.open(io.BytesIO(view.plots.heat_map))
    return np.asarray(image.convert("RGBA"))


def on_weights(values):
    """Return a state of one convolution with these weights."""
    net = nn.Sequential(nn.Conv2d(1, len(values), 1, bias=False))
    net[0].weight.data = values.reshape(-1, 1, 1, 1)
    return ModelState(net, torch.rand(2, 1, 4, 4))


@pytest.mark.parametrize("values", [1, 2, 50])
def test_the_ticks_of_counts_are_whole_numbers(values):
    view = shown(on_weights(torch.linspace(-1, 1, values)))
    beside = view.plots.beside
    ticks = np.linspace(beside.x.min, beside.x.max, beside.figure.axes[0].num_ticks)
    assert [tick % 1 for tick in ticks] == [0, 0, 0]
    assert beside.x.max > beside.lines[0].x.max()


def test_the_histogram_is_that_of_the_weights_at_the_clock(state):
    view = shown(state)
    state.select(checkpoint=1)
    weights = state.weight("0").numpy().ravel()
    found = picture(view)
    assert (found.here.n, found.here.low, found.here.high) == (36, weights.min(), weights.max())
    expected = np.histogram(weights.astype(np.float64), found.edges)[0]
    np.testing.assert_array_equal(found.here.counted(found.edges), expected)
    assert f"n = {weights.size} values" in view.caption
    assert f"mean {weights.astype(np.float64).mean():.3g}" in view.caption
    assert "step 100" in view.caption


def test_percentiles_of_all_checkpoints_are_those_of_numpy(state):
    view = shown(state)
    found = picture(view)
    for index in range(3):
        state.select(checkpoint=index)
        values = state.weight("0").numpy().ravel()
        expected = np.quantile(values, np.array(PERCENTILES) / 100, method="inverted_cdf")
        width = found.data.columns[index].width
        np.testing.assert_allclose(found.levels[index], expected, rtol=0, atol=width)


@pytest.mark.parametrize(
    ("quantity", "n"),
    [
        ("weights", 36),
        ("biases", 4),
        ("pre-activations", 5 * 144),
        ("outputs", 5 * 144),
        ("output gradients", 5 * 144),
        ("weight gradients", 36),
    ],
)
def test_every_quantity_is_measured_and_drawn(state, quantity, n):
    view = shown(state, quantity=quantity)
    assert picture(view).here.n == n
    assert view.problem == ""
    assert f"{quantity} of" in view.caption
    assert pixels(view).shape == (ROWS, COLUMNS, 4)


def test_zeros_are_counted_in_words_and_not_drawn(state):
    view = shown(state, quantity="outputs")
    state.select(layer="1")
    here = picture(view).here
    assert here.zeros > 100
    assert here.counted(here.edges).sum() == here.n - here.zeros
    assert f"exact zeros {here.zeros:,}" in view.caption


def test_a_layer_without_the_quantity_shows_a_neighbour_and_says_so(state):
    view = shown(state)
    state.select(layer="2")
    assert "weights of 0 (2 has none)" in view.caption
    view.quantity = "pre-activations"
    state.history.wait(PATIENCE)
    assert "pre-activations of 1 (2 has none)" in view.caption


def test_neighbours_are_the_next_activation_and_the_last_weights():
    layers = ["conv1", "relu1", "pool", "conv2", "relu2", "fc"]
    assert layer_with("pre-activations", "pool", layers, {"relu1", "relu2"}) == "relu2"
    assert layer_with("pre-activations", "fc", layers, {"relu1", "relu2"}) == "relu2"
    assert layer_with("weights", "relu2", layers, {"conv1", "conv2", "fc"}) == "conv2"
    assert layer_with("biases", "conv1", layers, {"fc"}) == "fc"


def test_a_click_on_a_column_moves_the_clock(state):
    view = shown(state)
    for index in range(3):
        x = int(view.plots.plot.to_pixel(index))
        view.plots.overlay.click(x, 100)
        assert state.selection.checkpoint == index


def test_arrow_keys_step_and_stop_at_the_ends(state):
    view = shown(state)
    view.step_by(-1)
    view.step_by(1)
    view.step_by(1)
    assert state.selection.checkpoint == 2


def test_scrubbing_measures_nothing_and_runs_no_forward(state):
    view = shown(state, quantity="outputs")
    before = state.history.all("activations")
    for index in (0, 1, 2):
        state.select(checkpoint=index)
    assert state.history.all("activations") == before
    assert state.forward_count == 0
    assert view.problem == ""


def test_the_pointer_tells_the_values_of_a_row(state):
    view = shown(state)
    edges, here = picture(view).edges, picture(view).here
    row = int(np.argmax(here.counted(edges)))
    y = int(view.plots.plot.top_and_bottom[1] - (row + 0.5) / (len(edges) - 1) * ROWS)
    view.plots.overlay.point_at(int(view.plots.plot.to_pixel(2)), y)
    assert f"{here.counted(edges)[row]:.0f} of 36 values" in view.pointed


def test_the_axis_may_be_that_of_one_step(state):
    view = shown(state, values="this step")
    state.select(checkpoint=0)
    found = picture(view)
    assert found.edges[0] <= found.here.low
    assert found.edges[-1] > found.here.high
    assert found.here.counted(found.edges).sum() == found.here.finite


def test_the_middle_of_the_run_says_what_is_off_the_axis(state):
    view = shown(state, values="middle 99 %", quantity="outputs")
    columns, edges = picture(view).data.columns, picture(view).edges
    outside = [each.finite - each.zeros - each.counted(edges).sum() for each in columns]
    state.select(checkpoint=int(np.argmax(outside)))
    assert max(outside) >= 1
    assert f"{max(outside):,.0f} off the axis" in view.caption


def test_the_normal_has_the_same_area_as_the_histogram(state):
    view = shown(state, normal=True, values="whole run")
    curve = view.plots.normal
    assert curve.visible
    rows = picture(view).edges
    area = np.trapezoid(curve.x, curve.y) / (rows[1] - rows[0])
    assert area == pytest.approx(36, rel=0.1)


def test_a_hidden_view_measures_nothing(state):
    view = DistributionHistory(state, visible=False)
    assert state.history.progress("parameters").done == 0
    view.visible = True
    state.history.wait(PATIENCE)
    assert state.history.progress("parameters").complete


def test_hiding_the_view_stops_the_measuring(state):
    view = DistributionHistory(state, stopped=True)
    state.history.observe(lambda: setattr(view, "visible", False))
    view.stopped = False
    assert state.history.wait(PATIENCE)
    assert state.history.progress("parameters").done < 3


def test_cancel_stops_and_continue_goes_on(state):
    view = DistributionHistory(state, quantity="outputs", stopped=True)
    assert state.history.progress("activations").done == 0
    assert "cancelled: 0 of 3" in view.progress.words
    assert view.progress.button.description == "Continue"
    view.control("Continue").click()
    assert state.history.wait(PATIENCE)
    assert view.progress.button.layout.display == "none"
    assert "3 of 3 measured" in view.progress.words


def test_checkpoints_that_are_not_measured_are_hatched(state):
    view = DistributionHistory(state, stopped=True)
    cancel = lambda: view.set_trait("stopped", True)  # noqa: E731
    state.history.observe(cancel)
    view.stopped = False
    assert state.history.wait(PATIENCE)
    found = picture(view)
    missing = [i for i, each in enumerate(found.data.columns) if each is None]
    assert missing
    x = int((missing[0] + 0.5) / 3 * COLUMNS)
    assert {tuple(pixel) for pixel in pixels(view)[:, x]} <= {
        (64, 64, 64, 255),
        (190, 190, 190, 255),
        (0, 0, 0, 0),
    }


def test_gradients_without_labels_are_refused_in_place(images, series, make_net):
    state = ModelState(make_net(9), ImageSet(images.batch(range(5))), checkpoints=series)
    view = shown(state, quantity="output gradients")
    assert "labels" in view.problem
    assert view.progress.bar.layout.display == "none"  # there is nothing to wait for
    view.quantity = "weights"
    state.history.wait(PATIENCE)
    assert view.problem == ""
    state.close()


def test_new_checkpoints_are_measured_when_they_are_taken_up(images, make_net):
    net = make_net(0)
    state = ModelState(net, images)
    view = shown(state)
    state.capture(10)
    state.refresh()
    assert state.history.wait(PATIENCE)
    assert len(picture(view).data.columns) == 2
    assert state.history.progress("parameters").complete
    state.close()


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0 %"), (1.0, "100 %"), (0.31, "31 %"), (0.00021, "0.021 %"), (4.8e-7, "5e-5 %")],
)
def test_shares_are_written_in_few_letters(share, words):
    assert percent(share) == words


def test_labels_of_percentiles_do_not_cover_one_another():
    placed = separated([100.0, 99, 98, 60, 59, 20, 5, 4, 3], 0, 246)
    assert (np.diff(placed) <= -11 + 1e-9).all()
    assert placed[-1] >= 0
    low = separated([246.0] * 9, 0, 246)
    assert (np.diff(low) <= -11).all()


def test_closing_leaves_no_widget_behind(state):
    shown(state).close()
    before = set(_instances)
    view = shown(state, quantity="biases", show="percentile bands")
    state.select(checkpoint=0)
    view.close()
    assert set(_instances) == before


class Interrupted(DistributionHistory):
    """A view in the middle of whose making another one's checkpoint has been measured."""

    def figures(self):
        self.state.history.notify()
        return super().figures()


def test_what_is_measured_while_a_view_is_made_waits_until_it_is_whole(state, caplog):
    shown(state)
    view = Interrupted(state)
    assert caplog.records == []
    assert "3 of 3 measured" in view.progress.words
    assert view.draw_count == 1
