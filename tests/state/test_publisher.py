import threading
from time import sleep

import pytest

from convviz_widgets.errors import InputError, UnknownLayerError
from convviz_widgets.state.publisher import Publisher


class Counter:
    """A selection that is a number, and a log of what was published."""

    def __init__(self):
        self.value, self.log, self.then = 0, [], {}
        self.publisher = Publisher(self._publish)

    def _publish(self, value):
        self.value = value
        self.log.append(value)
        self.then.get(value, lambda: None)()

    def add(self, amount):
        return self.publisher.submit(lambda: self.value, lambda current: current + amount)


def test_a_change_made_while_publishing_waits_for_its_end():
    counter = Counter()
    order = []

    def observer():
        counter.add(10)
        order.append(list(counter.log))

    counter.then[1] = observer
    counter.add(1)
    assert order == [[1]]
    assert counter.log == [1, 11]


def test_a_change_that_raises_writes_nothing_and_frees_the_lock():
    counter = Counter()

    def broken(current):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        counter.publisher.submit(lambda: counter.value, broken)
    assert counter.log == []
    assert not counter.publisher.here()
    assert counter.add(1) == 1


def test_an_observer_that_raises_does_not_leave_the_publisher_stuck():
    counter = Counter()
    counter.then[1] = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        counter.add(1)
    assert not counter.publisher.here()
    assert counter.add(1) == 2


def test_what_is_queued_while_a_view_draws_is_published_after():
    counter = Counter()
    with counter.publisher.hold(lambda: counter.value):
        assert counter.publisher.here()
        counter.add(5)
        assert counter.log == []
    assert counter.log == [5]


def test_two_threads_lose_no_change():
    counter = Counter()
    threads = [
        threading.Thread(target=lambda: [counter.add(1) for _ in range(2000)]) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.log == list(range(1, 4001))


def test_a_queued_change_that_no_longer_fits_is_dropped_and_the_others_are_published(caplog):
    counter = Counter()

    def at_most_five(current):
        if current > 5:
            raise InputError("more than five")
        return current + 1

    def observer():
        counter.add(10)
        counter.publisher.submit(lambda: counter.value, at_most_five)
        counter.add(100)

    counter.then[1] = observer
    assert counter.add(1) == 111
    assert counter.log == [1, 11, 111]
    assert "no longer fits: more than five" in caplog.text


def test_what_was_queued_is_published_although_an_observer_raises_after():
    counter = Counter()

    def observer():
        counter.add(10)
        raise ZeroDivisionError

    counter.then[1] = observer
    with pytest.raises(ZeroDivisionError):
        counter.add(1)
    assert counter.log == [1, 11]


def test_an_interrupt_forgets_what_was_queued():
    counter = Counter()

    def observer():
        counter.add(10)
        raise KeyboardInterrupt

    counter.then[1] = observer
    with pytest.raises(KeyboardInterrupt):
        counter.add(1)
    assert counter.add(1) == 2


# -- announcements ---------------------------------------------------------------------------------


def test_a_selection_is_announced_once_it_is_checked_and_before_it_is_written(state):
    heard = []
    state.announcements.observe(lambda coming: heard.append((coming.layer, state.layer)))
    state.observe(lambda change: heard.append(change.new), names="layer")
    state.select(layer="1")
    with pytest.raises(UnknownLayerError):
        state.select(layer="nine")
    state.select(layer="1")
    assert heard == [("1", "0"), "1"]


def test_what_an_observer_selects_is_announced_too(state):
    heard = []
    state.announcements.observe(lambda coming: heard.append(coming.channel))
    state.observe(lambda _: state.select(channel=2), names="selection")
    state.select(channel=1)
    assert heard == [1, 2]


def test_who_fails_to_hear_an_announcement_stops_nothing(state, caplog):
    heard = []
    state.announcements.observe(lambda _: 1 / 0)
    state.announcements.observe(heard.append)
    assert state.select(channel=1) == heard[0]
    assert "an observer of announcements failed" in caplog.text
    state.announcements.unobserve(heard.append)
    state.select(channel=2)
    assert len(heard) == 1


def test_a_publisher_knows_whether_anybody_draws_and_since_when_nobody_does(state):
    publisher = state._publisher
    with state.hold():
        assert (publisher.is_busy, publisher.still_for) == (True, 0)
    sleep(0.02)
    assert not publisher.is_busy
    assert 0.02 <= publisher.still_for < 10
