"""Views whose frames are in the page: for whom frames are made ahead, and of what."""

import threading

import pytest

from convviz_widgets.views import ActivationMosaic

PATIENCE = 20


@pytest.fixture
def view(state):
    made = ActivationMosaic(state)
    yield made
    made.close()


def held(view):
    return len(view.raster._held)


def test_no_frame_is_made_ahead_for_a_script(view, state):
    state.select(layer="1")
    state.select(checkpoint=0)
    assert state.ahead.wait(0.3)
    assert state.ahead.forward_count == 0
    assert "convviz-background" not in [each.name for each in threading.enumerate()]


def test_frames_are_made_ahead_once_a_page_shows_the_view(view, state, page):
    page.says(view.raster, {"ready": True})
    assert state.ahead.wait(PATIENCE)
    assert (state.ahead.forward_count, held(view)) == (2, 3)


def test_a_page_that_shows_a_hidden_view_again_gets_all_frames(view, state, page):
    page.says(view.raster, {"ready": True})
    assert state.ahead.wait(PATIENCE)
    view.visible = False
    page.says(view.raster, {"ready": True})
    assert state.ahead.wait(0.3)
    assert held(view) == 1
    view.visible = True
    assert state.ahead.wait(PATIENCE)
    assert held(view) == 3


def test_a_frame_of_what_was_selected_before_is_never_sent_as_one_of_now(view, state, sent_by):
    before = state.elsewhere(state.selection, 0)
    state.select(layer="1")
    sent = sent_by(view.raster)
    assert view._make(before) == 0
    assert sent == []


def test_a_page_may_come_when_the_state_is_closed(view, state, page):
    state.close()
    page.says(view.raster, {"ready": True})
    view.visible = False
    view.visible = True
    assert view.raster.frame["picture"]
