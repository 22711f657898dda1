"""However often it is asked, it acts once a frame, and after the last time it was asked."""

import threading
from time import perf_counter

from convviz_widgets.state import Ticker


def test_many_calls_are_one_run_a_frame_and_the_last_is_acted_on():
    noted, seen = [], []
    ticker = Ticker(lambda: seen.append(noted[-1]), frame=0.02)
    started = perf_counter()
    for number in range(500):
        noted.append(number)
        ticker.ask()
    assert ticker.wait(10)
    frames = (perf_counter() - started) / 0.02
    assert seen[-1] == 499
    assert ticker.count == len(seen) <= frames + 1


def test_whoever_asks_does_not_wait_for_the_action():
    begun, gate, runs = threading.Event(), threading.Event(), []

    def action():
        begun.set()
        gate.wait(10)
        runs.append(threading.current_thread())

    ticker = Ticker(action, frame=0)
    ticker.ask()
    assert begun.wait(10)
    for _ in range(100):
        ticker.ask()
    assert not runs
    assert not ticker.wait(0.01)
    gate.set()
    assert ticker.wait(10)
    assert len(runs) == 2  # the one that had begun, and one for all that came meanwhile
    assert threading.current_thread() not in runs


def test_no_thread_is_left_and_the_next_call_starts_anew():
    runs = []
    ticker = Ticker(lambda: runs.append(1), frame=0)
    before = threading.enumerate()
    for expected in (1, 2):
        ticker.ask()
        assert ticker.wait(10)
        assert len(runs) == expected
        for thread in threading.enumerate():
            if thread not in before:
                thread.join(10)
        assert threading.enumerate() == before


def test_an_action_that_raises_is_logged_and_can_be_asked_again(caplog):
    runs = []

    def action():
        runs.append(1)
        raise ValueError("odd")

    ticker = Ticker(action, frame=0)
    for expected in (1, 2):
        ticker.ask()
        assert ticker.wait(10)
        assert len(runs) == expected
    assert caplog.text.count("ValueError: odd") == 2
