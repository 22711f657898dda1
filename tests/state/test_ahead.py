"""Frames are made next to the clock, through the background's copy, while nothing else is done."""

import threading
from contextlib import contextmanager
from time import perf_counter, sleep

import pytest
import torch
from torch import nn

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.errors import InputError
from convviz_widgets.state import ModelState, ahead
from convviz_widgets.state.background import Client
from convviz_widgets.state.frame_budget import FrameBudget
from convviz_widgets.state.model_copy import Stopped
from convviz_widgets.state.task import Priority, Task

PATIENCE = 60

COUNT = 6


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Begin after a tenth of the usual time, on a page of one's own."""
    monkeypatch.setattr(ahead, "STILL", 0.01)
    monkeypatch.setattr(ahead, "PAGE", FrameBudget())


@pytest.fixture
def state(images, make_net):
    """A state of six checkpoints, with a budget of its own."""
    weights = [(step, make_net(step).state_dict()) for step in range(COUNT)]
    series = CheckpointSeries.from_state_dicts(weights)
    made = ModelState(make_net(9), images, checkpoints=series)
    yield made
    made.close()


class Owner:
    """Asks for frames, and writes down what was made and dropped."""

    def __init__(self, state, fields=("layer", "image"), nbytes=100):
        self.state, self.fields, self.nbytes = state, fields, nbytes
        self.made, self.dropped, self.before, self.after = [], [], [], []

    def look(self, selection):
        self.state.recorded(selection=selection)

    def make(self, selection):
        for action in self.before:
            action()
        self.look(selection)
        for action in self.after:
            action()
        self.made.append(selection.checkpoint)
        return self.nbytes

    def ask(self):
        self.state.ahead.ask(self, self.make, self.dropped.append, self.fields)
        return self

    def rest(self):
        assert self.state.ahead.wait(PATIENCE)
        made, self.made = self.made, []
        return made

    def frames(self):
        return self.state.ahead._plan.shelves[id(self)].frames


# -- what is made ---------------------------------------------------------------------------------


def test_the_next_checkpoints_come_first_in_the_direction_of_travel(state):
    state.select(checkpoint=1)
    state.select(checkpoint=2)
    owner = Owner(state).ask()
    assert owner.rest() == [3, 4, 5, 1, 0]
    assert owner.frames().keys() == {0, 1, 3, 4, 5}  # their numbers, here their indices
    state.select(checkpoint=4)
    assert owner.rest() == [2]
    state.select(checkpoint=3)
    assert owner.rest() == []


def test_all_owners_share_one_pass_a_checkpoint_and_none_of_it_is_the_users(state):
    owners = [Owner(state), Owner(state), Owner(state)]
    owners[1].look = lambda selection: state.probabilities(selection=selection)
    owners[2].look = lambda selection: state.weight(selection=selection)
    before, ready = state.forward_count, state.is_ready()
    for owner in owners:
        owner.ask()
    assert [sorted(owner.rest()) for owner in owners] == [[0, 1, 2, 3, 4]] * 3
    assert state.ahead.forward_count == COUNT - 1
    assert (state.forward_count, state.is_ready()) == (before, ready)
    assert state._recordings.nbytes == 0  # nor is anything in its memory
    assert not state._recordings.probe.key


def test_a_second_layer_costs_a_second_pass_once(state):
    owner = Owner(state)
    owner.look = lambda selection: [
        state.recorded(layer, selection=selection) for layer in ("0", "1", "3")
    ]
    owner.ask().rest()
    assert state.ahead.forward_count == (COUNT - 1) + 2


def test_weights_alone_cost_no_pass(state):
    owner = Owner(state, fields=("layer",))
    owner.look = lambda selection: state.weight(selection=selection)
    owner.ask().rest()
    assert state.ahead.forward_count == 0


def test_a_recording_that_is_there_is_used(state):
    for checkpoint in range(COUNT):
        state.select(checkpoint=checkpoint)
        state.activation()
    Owner(state).ask().rest()
    assert state.ahead.forward_count == 0


def test_the_numbers_are_those_of_the_foreground_bit_for_bit(state):
    def everything(selection):
        at = {"selection": selection}
        return [
            state.activation("0", **at),
            state.activation("1", "in", **at),
            state.tokens("1", **at),
            state.logits(**at),
            state.probabilities(**at),
            state.output(**at),
            state.weight("3", **at),
            state.bias("3", **at),
        ]

    state.select(drawing=torch.rand(1, 6, 6))
    seen, owner = {}, Owner(state)
    owner.look = lambda selection: seen.update({selection: everything(selection)})
    owner.ask().rest()
    assert len(seen) == COUNT - 1
    assert state.forward_count == 0
    for selection, values in seen.items():
        shown = state.select(checkpoint=selection.checkpoint)
        assert shown == selection
        assert all(map(torch.equal, values, everything(shown)))


def test_what_lies_elsewhere_is_read_as_ever(state):
    """A look is of one image at one checkpoint; gradients are the foreground's in any case."""
    owner, found = Owner(state), []
    here = state.select(checkpoint=0)
    owner.look = lambda selection: found.append(state.activation(selection=here))
    owner.ask().rest()
    assert torch.equal(found[0], state.activation())
    assert state.forward_count == 1
    assert state.ahead.forward_count == 0


def test_what_fails_is_not_tried_again_and_leaves_the_others(images, make_net):
    weights = [(0, {"other": torch.zeros(1)}), (1, make_net(1).state_dict())]
    weights.append((2, make_net(2).state_dict()))
    series = CheckpointSeries.from_state_dicts(weights)
    with closing(ModelState(make_net(), images, checkpoints=series)) as state:
        owner = Owner(state).ask()
        assert owner.rest() == [1]
        state.ahead.renew(owner)
        assert owner.rest() == [1]
        owner.nbytes = 0  # nothing to send
        state.ahead.renew(owner)
        assert owner.rest() == [1]


@contextmanager
def closing(state):
    try:
        yield state
    finally:
        state.close()


def test_what_an_owner_has_sent_itself_is_not_made(state):
    owner = Owner(state).ask()
    owner.rest()
    state.ahead.renew(owner)
    state.ahead.hold(owner, state.frame_key(state.elsewhere(state.selection, 3)), 100)
    assert sorted(owner.rest()) == [0, 1, 2, 4]


# -- what stops it --------------------------------------------------------------------------------


def test_another_layer_gives_up_the_frames_of_those_who_depend_on_it(state):
    of_layer, of_image = Owner(state), Owner(state, fields=("image",))
    for owner in (of_layer, of_image):
        owner.ask()
        owner.rest()
    of_image.made = []
    state.select(layer="2")
    assert sorted(of_layer.rest()) == [0, 1, 2, 3, 4]
    assert of_image.rest() == []
    state.select(channel=3)
    assert of_layer.rest() == []


def test_frames_are_given_up_before_anybody_draws(state):
    owner = Owner(state).ask()
    owner.rest()
    seen = []
    state.observe(lambda _: seen.append(dict(owner.frames())), names="selection")
    state.select(layer="2")
    assert seen == [{}]


def blocked(owner):
    """Let an owner wait amid its next frame; return what tells that it is there, and a gate."""
    there, gate = threading.Event(), threading.Event()
    owner.before = [there.set, lambda: gate.wait(PATIENCE)]
    return there, gate


def test_a_selection_does_not_wait_for_a_frame_and_stops_it(state):
    owner, other = Owner(state), Owner(state)
    there, gate = blocked(owner)
    owner.ask()
    other.ask()
    assert there.wait(PATIENCE)
    began = perf_counter()
    state.select(layer="2", image=1)
    state.activation()
    assert perf_counter() - began < 1  # less than any patience
    assert owner.made == other.made == []
    gate.set()
    owner.rest()
    assert state.ahead.forward_count == COUNT - 1  # the frame under way got no pass


def test_a_frame_that_was_sent_too_late_does_not_count(state):
    owner = Owner(state)
    owner.after = [lambda: len(owner.made) or state.ahead.renew(owner)]
    owner.ask()
    assert owner.rest() == [4, 4, 3, 2, 1, 0]
    assert len(owner.frames()) == 5


def test_a_publication_ends_a_pass_at_the_next_layer(images):
    """The net has two halves, and a select comes between them: the second half never runs."""
    ran = []

    class Half(nn.Conv2d):
        def forward(self, maps):
            ran.append(self.kernel_size[0])
            if threading.current_thread() is not threading.main_thread() and gates:
                gates[0].set()
                gates[1].wait(PATIENCE)
            return super().forward(maps)

    gates = []
    net = nn.Sequential(Half(1, 1, 1), Half(1, 1, 3))
    series = CheckpointSeries.from_state_dicts([(step, net.state_dict()) for step in (0, 1)])
    with closing(ModelState(net, images, checkpoints=series)) as state:
        state.background.model.probe()  # learns its layers
        gates[:] = there, gate = threading.Event(), threading.Event()
        owner = Owner(state).ask()
        assert there.wait(PATIENCE)
        ran.clear()
        gates.clear()
        state.select(image=1)
        state.ahead.leave(owner)
        gate.set()
        owner.rest()
        assert ran == []
        assert owner.made == []
        assert state.ahead.forward_count == 0


def test_to_ask_the_same_again_stops_nothing_and_to_ask_for_something_else_does(state):
    owner = Owner(state)
    owner.after = [lambda: len(owner.made) or owner.ask()]
    owner.ask()
    assert owner.rest() == [4, 3, 2, 1, 0]
    assert state.ahead.forward_count == COUNT - 1
    owner.after, owner.fields = [], ("layer",)
    owner.ask()
    assert owner.rest() == []


def test_it_waits_until_nothing_has_been_published_for_a_while(state, monkeypatch):
    monkeypatch.setattr(ahead, "STILL", 0.3)
    owner, times = Owner(state), []
    owner.before = [lambda: times.append(perf_counter())]
    owner.ask()
    for channel in (1, 2, 3):
        sleep(0.1)
        state.select(channel=channel)
    with state.hold():
        sleep(0.1)
        last = perf_counter()
    owner.rest()
    assert times[0] - last >= 0.3


def test_amid_a_frame_an_owner_learns_that_it_should_stop(state):
    owner, seen = Owner(state), []

    def pause():
        try:
            state.ahead.pause()
        except Stopped:
            seen.append("stopped")
            raise

    there, gate = blocked(owner)
    owner.look = lambda _: None
    owner.after = [pause]
    owner.ask()
    assert there.wait(PATIENCE)
    with state.hold():
        gate.set()
        while not seen:
            sleep(0.01)
    assert owner.made == []
    assert sorted(owner.rest()) == [0, 1, 2, 3, 4]
    assert seen == ["stopped"]


def test_who_leaves_gets_no_more_and_who_comes_back_the_rest(state):
    owner = Owner(state)
    owner.after = [lambda: len(owner.made) == 1 and state.ahead.leave(owner)]
    owner.ask()
    assert owner.rest() == [4, 3]
    owner.after = []
    owner.ask()
    assert owner.rest() == [2, 1, 0]
    state.ahead.forget(owner)
    assert state.ahead._frames.held == 0


def test_a_closed_state_makes_no_more_and_holds_nothing(state):
    owner = Owner(state)
    there, gate = blocked(owner)
    owner.ask()
    assert there.wait(PATIENCE)
    state.close()
    gate.set()
    owner.rest()
    assert owner.made == []
    with pytest.raises(InputError, match="closed"):
        owner.ask()
    for tell in (state.ahead.leave, state.ahead.renew, state.ahead.forget):
        tell(owner)


class Other(Client):
    """Has one task that was asked for."""

    def __init__(self, background, log):
        super().__init__(background)
        self.log, self.left = log, 1

    def next_task(self):
        return Task(self.do, print, lambda: True, Priority.ASKED) if self.left else None

    def do(self):
        self.left = 0
        self.log.append("asked")


def test_what_was_asked_for_does_not_wait_for_frames_nor_for_their_time_to_come(state, monkeypatch):
    owner = Owner(state)
    owner.before = [lambda: owner.made or state.background.wake(other)]
    other = Other(state.background, owner.made)
    owner.ask()
    assert owner.rest() == ["asked", 4, 3, 2, 1, 0]
    monkeypatch.setattr(ahead, "STILL", PATIENCE)
    state.ahead.renew(owner)
    other.left = 1
    state.background.wake(other)
    assert other.wait(5)


# -- the budget -----------------------------------------------------------------------------------


def test_no_more_is_made_than_fits_and_it_comes_to_rest(state):
    owner = Owner(state)
    state.ahead.budget = 400
    assert owner.ask().rest() == [4, 3, 2, 1]
    assert owner.dropped == []
    state.select(checkpoint=3)
    state.select(checkpoint=2)
    state.select(checkpoint=1)
    assert owner.rest() == [0]  # for checkpoint 4, which is behind
    assert owner.dropped == [(4,)]
    state.ahead.budget = 0
    assert owner.dropped == [(4,), (3, 2, 0)]
    assert owner.rest() == []


def test_a_frame_larger_than_a_quarter_of_the_budget_is_not_made(state):
    large, small = Owner(state, nbytes=300), Owner(state)
    state.ahead.budget = 1000
    large.ask()
    small.ask()
    assert large.rest() == [4]
    assert large.dropped == [(4,)]
    assert small.rest() == [4, 3, 2, 1, 0]


def test_two_states_share_one_budget(state, images, make_net, series):
    with closing(ModelState(make_net(), images, checkpoints=series)) as second:
        state.ahead.budget = 450
        first_owner, second_owner = Owner(state).ask(), Owner(second)
        assert first_owner.rest() == [4, 3, 2, 1]
        second_owner.ask()
        assert second_owner.rest() == [1, 0]
        assert first_owner.dropped == [(1,), (2,)]  # cost 4 and 3, for 1 and 2
        assert first_owner.rest() == []


def test_a_budget_that_is_no_number_of_bytes_is_refused(state):
    with pytest.raises(InputError, match="budget must be a whole number of at least 0, got -1"):
        state.ahead.budget = -1


# -- a model that trains --------------------------------------------------------------------------


def test_while_the_model_trains_frames_are_made_only_when_the_clock_moves(
    images, make_net, monkeypatch
):
    net = make_net()
    with closing(ModelState(net, images)) as state:
        for step in (1, 2, 3):
            state.capture(step)
        state.refresh()
        owner = Owner(state).ask()
        assert not state.ahead.wait(0.2)
        assert owner.made == []
        state.select(checkpoint=2)
        assert sorted(owner.rest()) == [0, 1, 3]
        monkeypatch.setattr(ahead, "MOVING", 0.0)
        monkeypatch.setattr(ahead, "GROWING", 0.3)
        state.capture(4)
        state.refresh()
        grown = perf_counter()
        assert owner.rest() == [4]
        assert perf_counter() - grown > 0.25


def test_while_the_newest_checkpoint_is_followed_none_is_made(state):
    state.follow = True
    owner = Owner(state).ask()
    assert owner.rest() == []
    state.follow = False
    state.select(channel=1)
    assert len(owner.rest()) == COUNT - 1
