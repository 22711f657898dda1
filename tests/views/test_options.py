"""The options of views: what editors and notebooks complete by is what the views take."""

from inspect import Parameter, signature
from typing import Literal, Unpack, get_args, get_origin, get_type_hints

import pytest
from traitlets import Enum

import convviz_widgets as cvw
from convviz_widgets.widgets import View
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


def test_a_default_that_is_a_tuple_is_stated():
    assert signature(cvw.TrainingCurves).parameters["tags"].default == ()


def test_a_default_that_depends_on_the_state_is_not_stated():
    assert signature(cvw.Sketchpad).parameters["size"].default is None


def test_a_view_of_ones_own_needs_no_types():
    class Own(View):
        """Takes what the traits say."""

    class Odd(View):
        def __init__(self, state, more: "NowhereDefined" = 1):  # noqa: F821
            super().__init__(state)

    assert list(signature(Own).parameters) == ["state", "layout", "visible"]
    assert list(signature(Odd).parameters) == ["state", "more"]
