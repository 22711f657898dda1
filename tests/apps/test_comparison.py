"""Two states side by side: linked, labelled, and let go of when closed."""

from inspect import Parameter, signature

import pytest
import torch
from ipywidgets.widgets.widget import _instances
from torch import nn
from traitlets import Bool

import convviz_widgets as cvw
from convviz_widgets.errors import InputError


def state(steps, channels=4):
    model = nn.Sequential(nn.Conv2d(1, channels, 3, padding=1), nn.ReLU())
    series = cvw.CheckpointSeries.from_state_dicts([(step, model.state_dict()) for step in steps])
    return cvw.ModelState(model, torch.rand(3, 1, 8, 8), checkpoints=series)


def test_one_clock_moves_both_views_by_step():
    left, right = state((0, 100)), state((0, 50, 150))
    compared = cvw.Comparison(left, right, cvw.ActivationMosaic, names=("slow", "fast"))
    compared.clock.slider.value = 100
    assert (left.selection.step, right.selection.step) == (100, 50)
    assert "step 100" in compared.pairs[0][0].caption
    assert "step 50" in compared.pairs[0][1].caption
    assert compared.headings == [("slow · step 100", "fast · step 50")]


def test_the_clock_goes_along_though_the_other_stays_where_it_is():
    left, right = state((0, 100, 200)), state((0, 150))
    compared = cvw.Comparison(left, right, cvw.ActivationMosaic)
    left.select(checkpoint=0)
    left.select(checkpoint=1)
    assert (right.selection.step, compared.clock.slider.value) == (0, 100)


def test_a_wide_mosaic_is_made_narrower_and_other_wide_views_lie_below_each_other():
    compared = cvw.Comparison(
        state((0,)), state((0,)), [cvw.FilterMosaic, cvw.WeightHistogram, cvw.SparsityHistory]
    )
    assert [pair[0].width for pair in compared.pairs] == [406, 286, 566]
    directions = [type(row).__name__ for row in compared.children[2:]]
    assert directions == ["HBox", "HBox", "VBox"]


def test_what_the_other_lacks_is_said():
    compared = cvw.Comparison(state((0,), channels=8), state((0,)), cvw.ActivationMosaic)
    compared.link.states[0].select(channel=7)
    assert compared.headings[0][1] == "right · step 0 · has channel 3 instead"


def test_a_pair_of_options_gives_each_side_its_own():
    compared = cvw.Comparison(
        state((0,)), state((0,)), cvw.ActivationMosaic, colormap=("magma", "viridis")
    )
    assert [view.colormap for view in compared.pairs[0]] == ["magma", "viridis"]


def test_closing_parts_the_states_and_leaves_no_widget():
    left, right = state((0, 1)), state((0, 1))
    before = set(_instances)
    compared = cvw.Comparison(left, right, cvw.ActivationMosaic)
    compared.close()
    left.select(checkpoint=0)
    assert right.checkpoint == 1
    assert set(_instances) == before


def test_an_option_that_a_view_lacks_is_refused_by_name_before_anything_is_made():
    before = set(_instances)
    views = [cvw.ActivationMosaic, cvw.FilterMosaic]
    with pytest.raises(InputError, match="'per_chanel'; did you mean 'per_channel'"):
        cvw.Comparison(state((0,)), state((0,)), views[0], per_chanel=True)
    with pytest.raises(InputError, match=r"'per_channel'; .*FilterMosaic takes"):
        cvw.Comparison(state((0,)), state((0,)), views, per_channel=True)
    assert set(_instances) == before


def test_a_notebook_sees_the_options_of_all_views_and_that_there_may_be_others():
    seen = signature(cvw.Comparison).parameters
    assert list(seen)[:4] == ["left", "right", "view", "names"]
    for view in (cvw.ActivationMosaic, cvw.TrainingCurves, cvw.LatentTraversal):
        assert set(list(signature(view).parameters)[1:]) < set(seen)
    assert seen["run"].kind == Parameter.KEYWORD_ONLY
    assert list(seen.values())[-1].kind == Parameter.VAR_KEYWORD


@pytest.mark.parametrize("names", [3, None, "ab", ("one",), {"a": 1}.items])
def test_anything_but_two_names_is_refused(names):
    with pytest.raises(InputError, match="names= takes two names, left and right, got "):
        cvw.Comparison(state((0,)), state((0,)), cvw.FilterMosaic, names=names)


def test_a_view_of_ones_own_may_take_options_that_no_signature_names():
    class Own(cvw.ActivationMosaic):
        loud = Bool(False).tag(option=True)

    compared = cvw.Comparison(state((0,)), state((0,)), Own, loud=(True, False))
    assert [view.loud for view in compared.pairs[0]] == [True, False]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (lambda one, two: (one, one, cvw.FilterMosaic), "the same one"),
        (lambda one, two: (one, 7, cvw.FilterMosaic), "two ModelStates, got int"),
        (lambda one, two: (one, two, "FilterMosaic"), "a view's class"),
        (lambda one, two: (one, two, []), "got none"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(arguments, words):
    with pytest.raises(InputError, match=words):
        cvw.Comparison(*arguments(state((0,)), state((0,))))
