from convviz_widgets.state import ModelState
from convviz_widgets.views import CheckpointClock, Live


def test_the_clock_moves_the_state_and_the_state_the_clock(state):
    clock = CheckpointClock(state)
    clock.control("Checkpoint").value = 1
    assert state.checkpoint == 1
    state.checkpoint = 0
    assert clock.control("Checkpoint").value == clock.play.value == 0
    assert clock.place == "step 0 · 1 of 3"
    clock.control("next checkpoint").click()
    assert state.checkpoint == 1


def test_playing_starts_over_at_the_end_and_says_what_the_button_does(state):
    clock = CheckpointClock(state)
    assert state.checkpoint == 2
    start = clock.control("play the checkpoints")
    start.click()
    assert (state.checkpoint, clock.play.playing) == (0, True)
    clock.play.set_state({"player": "a page"})  # as the page says
    assert clock.play.player == "a page"
    assert (start.icon, start.tooltip) == ("pause", "stop playing")
    clock.play.playing = False  # as the page says at the last checkpoint
    assert (start.icon, start.tooltip) == ("play", "play the checkpoints")
    assert clock.play.player == ""  # whichever page begins moves it next time
    state.checkpoint = 2
    clock.control("first checkpoint").click()
    assert (state.checkpoint, clock.control("first checkpoint").disabled) == (0, True)


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
