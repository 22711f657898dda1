"""What a page that is loaded again is told; tests/browser/test_reload.py loads it."""

import threading
from time import monotonic

import ipywidgets as widgets
import pytest

from convviz_widgets.widgets.page_reload import AT_ONCE, PAUSE, AnswerRate, state_of, states_of_all


def test_every_widget_is_told_as_ipywidgets_would():
    label = widgets.Label("here")
    told = states_of_all()[label.model_id]
    assert told == {
        "model_name": "LabelModel",
        "model_module": "@jupyter-widgets/controls",
        "model_module_version": "2.0.0",
        "state": label.get_state(),
    }
    label.close()


def test_a_closed_widget_is_not_told():
    label = widgets.Label()
    model_id = label.model_id
    label.close()
    assert model_id not in states_of_all()


def test_what_refers_to_a_closed_widget_is_left_out_and_the_rest_is_told():
    gone = widgets.Label()
    box = widgets.Box([gone])
    gone.close()
    with pytest.raises(AttributeError):
        box.get_state()
    assert "children" not in state_of(box)
    assert state_of(box)["_model_name"] == "BoxModel"
    assert "children" not in states_of_all()[box.model_id]["state"]
    box.close()


def test_widgets_that_come_and_go_meanwhile_do_not_keep_the_others_from_being_told(monkeypatch):
    # Those that other tests have left would take minutes.
    monkeypatch.setattr("ipywidgets.widgets.widget._instances", {})
    others = [widgets.Label() for _ in range(6)]
    label, ended = widgets.Label("here"), threading.Event()

    def come_and_go():
        while not ended.is_set():
            widgets.Label().close()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        assert all(label.model_id in states_of_all() for _ in range(2))
    finally:
        ended.set()
        thread.join()
        for each in (label, *others):
            each.close()


def test_many_answers_are_given_one_after_the_other():
    rate, started = AnswerRate(), monotonic()
    for _ in range(AT_ONCE + 20):
        rate.wait()
    assert monotonic() - started >= 20 * PAUSE


def test_no_answer_waits_as_long_as_they_fit_in_the_sockets(monkeypatch):
    monkeypatch.setattr("convviz_widgets.widgets.page_reload.sleep", pytest.fail)
    rate = AnswerRate()
    for _ in range(AT_ONCE):
        rate.wait()
