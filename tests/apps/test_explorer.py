from dataclasses import replace

from ipywidgets.widgets.widget import _instances

from convviz_widgets.apps import Explorer
from convviz_widgets.apps.pages import CHAPTERS, EVIDENCE, PAGES
from convviz_widgets.diagnosis import RULES, Finding
from convviz_widgets.views import Live


def test_hidden_tabs_compute_nothing(state):
    explorer = Explorer(state)
    hidden = [
        view for title in ("Filters", "Outputs") for row in explorer.pages[title] for view in row
    ]
    state.select(checkpoint=0, layer="3", channel=1)
    assert [view.draw_count for view in hidden] == [0] * 5
    explorer.tabs.selected_index = 1
    assert [view.draw_count for view in hidden] == [1, 1, 0, 0, 0]


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


def test_every_rule_has_a_page_for_its_evidence():
    assert {rule.name for rule in RULES} - set(EVIDENCE) == {"non-finite"}
    for title, chapter in EVIDENCE.values():
        assert title in PAGES
        assert chapter in CHAPTERS.get(title, ("",))


def test_show_me_turns_to_the_page_of_the_evidence(state):
    explorer = Explorer(state)
    finding = Finding("dead-layer", "error", "all of it", layer="conv", select={"layer": "conv"})
    explorer._turn_to_evidence(finding)
    assert list(explorer.pages)[explorer.tabs.selected_index] == "Units"
    assert explorer.chapters["Units"].value == "Dead filters"
    explorer._turn_to_evidence(replace(finding, rule="non-finite"))
    assert list(explorer.pages)[explorer.tabs.selected_index] == "Units"
