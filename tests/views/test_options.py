"""The options of views: what editors and notebooks complete by is what the views take."""

import re
from contextlib import closing
from inspect import Parameter, signature
from typing import Literal, Unpack, get_args, get_origin, get_type_hints

import pytest
from traitlets import Enum, Int

import convviz_widgets as cvw
from convviz_widgets.errors import InputError
from convviz_widgets.widgets import View, widget_tree
from convviz_widgets.widgets.controls import line, number
from convviz_widgets.widgets.view import ViewOptions

VIEWS = [each for each in vars(cvw).values() if isinstance(each, type) and issubclass(each, View)]


def typed(view):
    """Return the options that the constructor names for editors, each with its type."""
    unpacked = get_type_hints(view.__init__)["options"]
    assert get_origin(unpacked) is Unpack
    (options,) = get_args(unpacked)
    return get_type_hints(options)


@pytest.mark.parametrize("view", VIEWS)
def test_every_option_is_typed_and_no_other(view):
    traits = set(view.class_trait_names(option=True))
    assert set(typed(view)) == traits | set(ViewOptions.__annotations__)


@pytest.mark.parametrize("view", VIEWS)
def test_an_option_with_choices_is_typed_by_them(view):
    for name, type_ in typed(view).items():
        trait = view.class_traits().get(name)
        assert (get_origin(type_) is Literal) == isinstance(trait, Enum)
        if isinstance(trait, Enum):
            assert set(get_args(type_)) == set(trait.values)


@pytest.mark.parametrize("view", VIEWS)
def test_a_notebook_sees_every_option_with_its_default(view):
    seen = signature(view).parameters
    assert set(typed(view)) < set(seen)
    assert all(each.kind != Parameter.VAR_KEYWORD for each in seen.values())
    for name in view.class_trait_names(option=True):
        assert seen[name].annotation == typed(view)[name]


def test_the_default_that_is_seen_is_the_one_that_is_taken(state):
    for view in (
        cvw.ActivationMosaic,
        cvw.ConfusionMatrix,
        cvw.DeadFilters,
        cvw.DistributionHistory,
        cvw.FilterMosaic,
        cvw.GradientFlow,
        cvw.InputGallery,
        cvw.InputHistogram,
        cvw.Predictions,
        cvw.TopImages,
    ):
        made = view(state)
        for name in view.class_trait_names(option=True):
            assert signature(view).parameters[name].default == getattr(made, name)
        made.close()


UNLISTED = [
    (cvw.TrainingCurves, "smoothing", "Smoothing", 0.5, "0.5"),
    (cvw.TrainingCurves, "smoothing", "Smoothing", 0.123, "0.123"),
    (cvw.DiagnosisPanel, "rule", "Rule", "overfit", "overfit (0)"),
    (cvw.ConfusionMatrix, "most", "Of", 3, "3 images"),
    (cvw.Sketchpad, "size", "Size", 77, None),
    (cvw.FilterMosaic, "input_channel", "input", 2_000_000, None),
]


def option_and_control(view, name, control):
    """Return the value of an option and its label, if it has one; its control has that value."""
    view.redraw()
    (found,) = [each for each in widget_tree(view) if getattr(each, "description", "") == control]
    assert found.value == getattr(view, name)
    return found.value, getattr(found, "label", None)


@pytest.mark.parametrize(("kind", "name", "control", "value", "label"), UNLISTED)
def test_a_control_shows_a_value_that_it_does_not_list(state, kind, name, control, value, label):
    if name == "most":  # else there is nothing to choose from, and no control
        with closing(kind(state, most=2)) as view:
            view.most = value
            assert option_and_control(view, name, control) == (value, label)
        return
    with closing(kind(state, **{name: value})) as view:
        assert option_and_control(view, name, control) == (value, label)
    with closing(kind(state)) as view:
        usual = option_and_control(view, name, control)
        setattr(view, name, value)
        assert option_and_control(view, name, control) == (value, label)
        setattr(view, name, usual[0])
        assert option_and_control(view, name, control) == usual


REFUSED = [
    (cvw.TrainingCurves, "smoothing", 1.0, "smoothing 1.0 is out of range"),
    (cvw.TrainingCurves, "smoothing", -0.1, "smoothing -0.1 is out of range"),
    (cvw.DiagnosisPanel, "rule", "overfitting", "did you mean 'overfit'? the rules are "),
    (cvw.InputHistogram, "channel", "channel 7", "the images have all channels, channel 0"),
    (cvw.Sketchpad, "size", 0, "size"),
]


@pytest.mark.parametrize(("kind", "name", "value", "said"), REFUSED)
def test_a_value_that_does_not_fit_is_refused_and_nothing_changes(state, kind, name, value, said):
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        kind(state, **{name: value})
    assert "\n" not in str(caught.value)
    with closing(kind(state)) as view:
        usual, problem = getattr(view, name), view.problem
        with pytest.raises(InputError, match=re.escape(said)):
            setattr(view, name, value)
        assert getattr(view, name) == usual
        assert view.problem == problem


def test_a_control_goes_back_where_the_option_refuses(state):
    class Counted(View):
        count = Int(5, min=5).tag(option=True)

        def build(self):
            return [line(number(self, "count", "Count"))]

    with closing(Counted(state)) as view:
        control = view.control("Count")
        with pytest.raises(InputError):
            control.value = 4
        assert control.value == view.count == 5


def test_a_drop_down_keeps_at_most_one_value_that_it_does_not_list(state):
    with closing(cvw.TrainingCurves(state)) as view:
        count = len(view.control("Smoothing").options)
        for view.smoothing in (0.1, 0.2, 0.3):
            assert len(view.control("Smoothing").options) == count + 1
        view.control("Smoothing").value = 0.6
        view.control("Smoothing").value = 0.3
        assert view.smoothing == 0.3


def test_a_rule_is_chosen_once_however_the_drop_down_is_filled(state):
    with closing(cvw.DiagnosisPanel(state, rule="overfit")) as view:
        seen = []
        view.observe(lambda change: seen.append(change.new), names="rule")
        assert view.examination.wait(60)
        view.redraw()
        view.rule = "dead-layer"
        view.redraw()
        assert seen == ["dead-layer"]


def test_a_default_that_is_a_tuple_is_stated():
    assert signature(cvw.TrainingCurves).parameters["tags"].default == ()


def test_a_default_that_depends_on_the_state_is_not_stated():
    assert signature(cvw.Sketchpad).parameters["size"].default is None


def test_a_default_of_none_is_typed_as_one_and_taken(state):
    for view in VIEWS:
        for name in view.class_trait_names(option=True):
            seen = signature(view).parameters[name]
            assert seen.default is not None or type(None) in get_args(seen.annotation)
    with closing(cvw.Sketchpad(state)) as usual, closing(cvw.Sketchpad(state, size=None)) as same:
        assert usual.size == same.size


def test_a_view_of_ones_own_needs_no_types():
    class Own(View):
        """Takes what the traits say."""

    class Odd(View):
        def __init__(self, state, more: "NowhereDefined" = 1):  # noqa: F821
            super().__init__(state)

    assert list(signature(Own).parameters) == ["state", "layout", "visible"]
    assert list(signature(Odd).parameters) == ["state", "more"]
