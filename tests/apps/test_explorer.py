from ipywidgets.widgets.widget import _instances

from convviz_widgets.apps import Explorer
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
