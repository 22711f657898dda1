from dataclasses import replace

import pytest
import torch
from ipywidgets.widgets.widget import _instances

from convviz_widgets.apps import Explorer
from convviz_widgets.diagnosis import Finding
from convviz_widgets.errors import InputError
from convviz_widgets.views import Live


def test_hidden_tabs_compute_nothing(state):
    explorer = Explorer(state)
    explorer.tabs.selected_index = 1
    hidden = list(explorer.pages["Filters"].views())
    explorer.tabs.selected_index = 0
    state.select(checkpoint=0, layer="3", channel=1)
    assert [view.draw_count for view in hidden] == [1, 1]
    explorer.tabs.selected_index = 1
    assert [view.draw_count for view in hidden] == [2, 2]


def test_a_view_is_made_when_it_is_first_shown(state):
    explorer = Explorer(state)
    made = [list(explorer.pages[title].views()) for title in ("Filters", "Outputs")]
    assert made == [[], []]
    explorer.tabs.selected_index = list(explorer.pages).index("Outputs")
    predictions = list(explorer.pages["Outputs"].views())
    explorer.pages["Outputs"].turn_to("Confusion")
    shown = list(explorer.pages["Outputs"].views())
    assert [type(view).__name__ for view in shown] == ["Predictions", "ConfusionMatrix"]
    assert shown[:1] == predictions
    assert [view.visible for view in shown] == [False, True]


def test_a_page_that_cannot_be_made_says_why_in_its_place(state):
    explorer = Explorer(state, validation=torch.zeros(3))
    explorer.tabs.selected_index = list(explorer.pages).index("Inputs")
    (problem,) = explorer.pages["Inputs"].rows[0].children
    assert "InputError" not in problem.value
    assert "(3,)" in problem.value


@pytest.mark.parametrize("given", ["run", "sweep", "validation", "loader"])
def test_what_is_nothing_to_look_at_is_refused_before_there_is_a_widget(state, given):
    before = set(_instances)
    with pytest.raises(InputError, match=f"{given}: expected"):
        Explorer(state, **{given: object()})
    assert set(_instances) == before


def test_every_visible_view_draws_once_for_one_select(state):
    explorer = Explorer(state)
    shown = [view for view in explorer.views() if view.visible and not isinstance(view, Live)]
    before = [view.draw_count for view in shown]
    state.select(checkpoint=0, image=1, layer="1", channel=2)
    assert [view.draw_count for view in shown] == [count + 1 for count in before]


def test_one_forward_pass_feeds_every_view(state):
    explorer = Explorer(state)
    for tab in range(len(explorer.pages)):
        explorer.tabs.selected_index = tab
    assert state.forward_count == 1


def test_closing_leaves_no_widget_behind(state):
    Explorer(state).close()  # the first canvas of all makes what every canvas shares
    before = set(_instances)
    Explorer(state).close()
    assert set(_instances) == before


def test_show_me_turns_to_the_page_of_the_evidence(state):
    explorer = Explorer(state)
    finding = Finding("dead-layer", "error", "all of it", layer="conv", select={"layer": "conv"})
    explorer.show_evidence(finding)
    assert list(explorer.pages)[explorer.tabs.selected_index] == "Units"
    assert explorer.pages["Units"].chapters.value == "Dead filters"
    explorer.show_evidence(replace(finding, rule="non-finite"))
    assert list(explorer.pages)[explorer.tabs.selected_index] == "History"
