from convviz_widgets.state import ModelState
from convviz_widgets.views import CheckpointClock, Live


class Log:
    """Something that has grown twice."""

    def __init__(self):
        self.grown = [1, 1]

    def refresh(self):
        return self.grown.pop() if self.grown else 0


def tick(live):
    live.rested = 0.0
    live.ticks.value += 1


def test_a_tick_shows_what_was_captured(images, make_net):
    net = make_net()
    state = ModelState(net, images)
    clock, live = CheckpointClock(state), Live(state)
    state.capture(10)
    assert clock.control("Checkpoint").max == 0
    tick(live)
    assert clock.control("Checkpoint").max == 1
    assert state.selection.step == 0


def test_following_selects_the_newest(images, make_net):
    state = ModelState(make_net(), images)
    live = Live(state)
    live.control("follow newest").value = True
    for step in (10, 20):
        state.capture(step)
        tick(live)
        assert state.selection.step == step


def test_following_stays_where_the_user_goes_until_something_new_comes(images, make_net):
    state = ModelState(make_net(), images)
    live = Live(state)
    state.follow = True
    assert live.control("follow newest").value is True
    state.capture(10)
    tick(live)
    state.checkpoint = 0
    tick(live)
    assert state.selection.step == 0


def test_metrics_that_grow_are_a_new_revision(state):
    state.attach(Log())
    before = state.selection.revision
    state.refresh()
    state.refresh()
    state.refresh()
    assert state.selection.revision == before + 2


def test_a_slow_refresh_rests(images, make_net):
    state = ModelState(make_net(), images)
    live = Live(state)
    state.capture(10)
    live.rested = float("inf")
    live.ticks.value += 1
    assert state.steps == (0,)


def test_a_switch_that_is_off_lets_the_page_rest(state):
    live = Live(state, ticking=False)
    assert live.ticks.playing is False
    live.control("follow newest").value = True
    assert live.ticks.playing is True
