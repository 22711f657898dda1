import numpy as np
import torch
from torch import nn

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState
from convviz_widgets.views import Predictions
from convviz_widgets.views.outputs.predictions import Ribbons, chosen_classes

PATIENCE = 60


def shown(state, **options):
    view = Predictions(state, **options)
    assert state.output_history.wait(PATIENCE)
    return view


def ribbons(view):
    return view.compute(view.state.selection).picture


def test_ribbons_are_the_softmax_at_every_checkpoint(state):
    found = ribbons(shown(state))
    expected = []
    for index in range(3):
        state.select(checkpoint=index)
        expected.append(state.logits().softmax(0).numpy())
    order = [int(name.removeprefix("class ")) for name in found.names]
    np.testing.assert_allclose(found.shares, np.stack(expected, axis=1)[order], rtol=1e-5)


def test_the_true_class_has_a_ribbon_however_small(images):
    scores = nn.Sequential(nn.Flatten(), nn.Linear(36, 20))
    with torch.no_grad():
        scores[1].weight.zero_()
        scores[1].bias.copy_(torch.arange(20.0))  # class 0 is the least probable
    state = ModelState(scores, images)
    found = ribbons(shown(state))
    assert found.truth == 0
    assert found.names == ("class 0", *(f"class {i}" for i in (19, 18, 17, 16, 15)))
    state.close()


def test_ribbons_are_sent_once_while_the_image_is_drawn_on(state):
    view = shown(state)
    sent = view.ribbons.plot.lines[0].y
    state.select(drawing=state.image_set.input(0)[0] + 1)
    assert "painted over" in view.caption
    assert view.ribbons.plot.lines[0].y is sent
    state.select(image=1)
    assert state.output_history.wait(PATIENCE)
    assert view.ribbons.plot.lines[0].y is not sent


def test_going_through_the_images_costs_one_pass_for_each_checkpoint_once(state):
    view = shown(state)
    passes = state.output_history.forward_count
    assert passes == 3
    for image in (1, 0, 1):
        state.select(image=image)
        assert state.output_history.wait(PATIENCE)
    assert state.output_history.forward_count == passes + 3
    assert view.progress.words == "3 of 3 measured"


def test_a_click_moves_the_clock_and_moving_it_asks_nothing_new(state):
    view = shown(state)
    passes = state.output_history.forward_count
    left, right = view.ribbons.plot.to_pixel(0), view.ribbons.plot.to_pixel(1)
    view.ribbons.click(int(left), 50)
    assert state.selection.checkpoint == 0
    view.ribbons.click(int(right), 50)
    assert state.selection.checkpoint == 1
    assert state.output_history.forward_count == passes


def test_what_lies_under_the_pointer_is_named():
    shares = np.array([[0.5, np.nan], [0.25, np.nan]])
    found = Ribbons((0, 100), ("cat", "dog"), shares, 0, 0)
    assert found.at(0, 0.4) == "step 0 · cat 50.0%"
    assert found.at(0, 0.6) == "step 0 · dog 25.0%"
    assert found.at(0, 0.8) == "step 0 · all other classes 25.0%"
    assert found.at(1, 0.4) == "step 100: not known"


def test_the_edges_are_stacked_from_zero_where_they_are_known():
    shares = np.array([[0.5, np.nan, 0.1], [0.25, np.nan, 0.2]])
    x, edges = Ribbons((0, 1, 2), ("cat", "dog"), shares, None, 0).edges
    assert x.tolist() == [0, 2]
    np.testing.assert_allclose(edges, [[0.75, 0.3], [0.5, 0.1], [0, 0]])


def test_the_classes_are_those_most_probable_on_average():
    assert chosen_classes(np.array([[0.1, 0.2], [0.5, 0.1], [0.4, 0.7]]), [0]) == [0, 2, 1]
    assert chosen_classes(np.full((9, 2), np.nan), [8]) == [8, 0, 1, 2, 3, 4]


def test_a_label_beyond_the_scores_is_said_to_have_none(make_net):
    state = ModelState(make_net(), ImageSet(torch.rand(1, 1, 6, 6), labels=[7]))
    view = shown(state)
    assert "class 7, WHICH HAS NO SCORE AMONG 3" in view.caption
    assert "✓" not in view.names.value
    state.close()


def test_a_long_name_of_a_class_is_cut_off_before_its_mark(make_net):
    names = ['a long "name" of a class', "dog", "owl"]
    state = ModelState(make_net(), ImageSet(torch.rand(1, 1, 6, 6), [0], class_names=names))
    name, mark = shown(state).table.value.split("✓")[0].rsplit("</span>", 1)
    assert 'title="a long &quot;name&quot; of a class"' in name
    assert "text-overflow:ellipsis" in name
    assert "flex:none" in mark
    state.close()


def test_names_of_classes_are_escaped(make_net):
    names = ["<b>cat</b>", "dog", "owl"]
    state = ModelState(make_net(), ImageSet(torch.rand(1, 1, 6, 6), [0], class_names=names))
    view = shown(state)
    assert "<b>" not in view.names.value + view.table.value
    assert "&lt;b&gt;cat" in view.names.value
    state.close()


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1)

    def forward(self, images):
        scores = self.conv(images).mean((2, 3))
        return {"first": scores, "second": 2 * self.conv(images).mean((2, 3))}


def test_a_model_that_puts_out_a_dict_says_so_in_one_line():
    state = ModelState(Named(), torch.rand(2, 1, 6, 6))
    view = Predictions(state)
    said = "the model puts out a dict of 'first', 'second'; expected class scores (N, K)"
    assert said in view.problem
    assert "output=" in view.problem
    assert state.output_history.forward_count == 0
    state.close()


def test_a_checkpoint_that_puts_out_nan_leaves_a_gap(images, make_net):
    weights = [make_net(seed).state_dict() for seed in range(3)]
    weights[1]["3.bias"][:] = torch.nan
    series = CheckpointSeries.from_state_dicts(list(enumerate(weights)))
    state = ModelState(make_net(), images, checkpoints=series)
    found = ribbons(shown(state))
    assert np.isfinite(found.shares).all(axis=0).tolist() == [True, False, True]
    state.close()


def test_a_new_checkpoint_grows_the_ribbons(images, make_net):
    net = make_net(3)
    state = ModelState(net, images)
    view = shown(state)
    state.capture(10)
    state.refresh()
    assert state.output_history.wait(PATIENCE)
    assert ribbons(view).shares.shape == (3, 2)
    state.close()
