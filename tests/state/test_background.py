"""One thread and one more copy of the model do everything; what somebody looks at goes first."""

import gc
import sys
import threading
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch import nn

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.state import (
    ACTIVATIONS,
    GRADIENTS,
    IMAGE_SET,
    PARAMETERS,
    UPDATES,
    Background,
    Examination,
    ModelState,
    background,
    model_copy,
)
from convviz_widgets.state.background import Client
from convviz_widgets.state.embeddings import EmbeddingJob
from convviz_widgets.state.model_copy import Stopped
from convviz_widgets.state.task import Priority, Task

PATIENCE = 60

BEFORE = set()


@pytest.fixture(autouse=True)
def threads_before():
    """Note what threads there are: any other is the background's, whatever its name."""
    BEFORE.clear()
    BEFORE.update(threading.enumerate())


def working_threads():
    return [each for each in threading.enumerate() if each not in BEFORE]


class Worklist(Client):
    """Has numbered tasks, and writes down in a list of all worklists what is done."""

    def __init__(self, shared, name, log, count, priority=Priority.ASKED, batches=1, is_long=False):
        super().__init__(shared)
        self.name, self.log, self.left = name, log, list(range(count))
        self.priority, self.batches, self.is_long = priority, batches, is_long
        self.between = lambda: None

    def next_task(self):
        if not self.left:
            return None
        return Task(self.do, self.fail, lambda: bool(self.left), self.priority, self.is_long)

    def do(self):
        number = self.left[0]
        for _ in range(self.batches):
            self.between()
            self._background.pause()
        self.left.pop(0)
        self.log.append(f"{self.name}{number}")

    def fail(self, error):
        self.log.append(f"{self.name}: {error}")
        self.left.pop(0)


@pytest.fixture
def shared():
    made = Background()
    yield made
    made.close()


def held_up(shared, *clients):
    """Let clients ask while a first one is under way, so that all of them are there at once."""
    gate = threading.Event()
    first = Worklist(shared, "first", [], 1)
    first.between = lambda: gate.wait(PATIENCE)
    shared.wake(first)
    for client in clients:
        shared.wake(client)
    gate.set()
    assert all(client.wait(PATIENCE) for client in (first, *clients))


def test_of_equally_urgent_clients_each_is_served_in_turn(shared):
    log = []
    held_up(shared, *(Worklist(shared, name, log, 3) for name in "ab"))
    assert log == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_what_is_shown_goes_before_what_was_asked_for_before_what_lies_ahead(shared):
    log = []
    ahead, asked, shown = Priority.AHEAD, Priority.ASKED, Priority.SHOWN
    clients = [Worklist(shared, each.name[:2], log, 2, each) for each in (ahead, asked, shown)]
    held_up(shared, *clients)
    assert log == ["SH0", "SH1", "AS0", "AS1", "AH0", "AH1"]


def test_what_is_shown_is_done_between_two_batches_of_something_else(shared):
    log = []
    long = Worklist(shared, "long", log, 1, batches=3)
    shown = Worklist(shared, "shown", log, 2, Priority.SHOWN)
    long.between = lambda: (log.append("batch"), len(log) == 2 and shared.wake(shown))
    shared.wake(long)
    assert long.wait(PATIENCE)
    assert log == ["batch", "batch", "shown0", "shown1", "batch", "long0"]


def test_what_is_shown_by_two_clients_takes_turns_a_batch_here_and_a_task_there(shared):
    log = []
    long = Worklist(shared, "long", log, 1, Priority.SHOWN, batches=3)
    other = Worklist(shared, "other", log, 2, Priority.SHOWN)
    long.between = lambda: (log.append("batch"), len(log) == 1 and shared.wake(other))
    shared.wake(long)
    assert long.wait(PATIENCE)
    assert log == ["batch", "other0", "batch", "other1", "batch", "long0"]


def test_what_is_shown_interrupts_once_and_no_deeper(shared):
    """A third client waits for the second, which has interrupted the first; none comes too late."""
    log = []
    first, second, third = (
        Worklist(shared, name, log, 1, Priority.SHOWN, batches=3) for name in "abc"
    )
    first.between = lambda: (log.append("a"), shared.wake(second))
    second.between = lambda: (log.append("b"), shared.wake(third))
    third.between = lambda: log.append("c")
    shared.wake(first)
    assert all(client.wait(PATIENCE) for client in (first, second, third))
    assert log == [*"abbb", "b0", *"accc", "c0", "a", "a0"]


def test_two_that_are_shown_go_in_between_one_that_is_not(shared):
    log = []
    asked = Worklist(shared, "asked", log, 1, batches=2)
    shown, other = (Worklist(shared, name, log, 1, Priority.SHOWN, batches=2) for name in "st")
    asked.between = lambda: shared.wake(shown)
    shown.between = lambda: shared.wake(other)
    shared.wake(asked)
    assert all(client.wait(PATIENCE) for client in (asked, shown, other))
    assert log == ["t0", "s0", "asked0"]


def test_what_takes_long_lets_others_go_in_between_and_keeps_none_of_them_waiting(shared):
    log = []
    short = Worklist(shared, "short", log, 2, batches=2)
    long = Worklist(shared, "long", log, 1, Priority.SHOWN, batches=2, is_long=True)
    shown = Worklist(shared, "shown", log, 1, Priority.SHOWN)
    short.between = lambda: shared.wake(long)
    long.between = lambda: shared.wake(shown)
    shared.wake(short)
    assert all(client.wait(PATIENCE) for client in (short, long, shown))
    assert log == ["short0", "shown0", "long0", "short1"]


def test_what_nobody_wants_any_more_is_left_at_the_next_batch(shared):
    log = []
    client = Worklist(shared, "a", log, 1, batches=5)
    client.between = lambda: (log.append("batch"), client.left.clear())
    shared.wake(client)
    assert client.wait(PATIENCE)
    assert log == ["batch"]


def test_a_task_that_raises_is_noted_and_the_next_one_is_done(shared):
    log = []
    client = Worklist(shared, "a", log, 2)
    client.between = lambda: log or 1 / 0
    shared.wake(client)
    assert client.wait(PATIENCE)
    assert log == ["a: division by zero", "a1"]


def test_no_thread_is_left_when_there_is_nothing_to_do(shared):
    client = Worklist(shared, "a", [], 1)
    for _ in range(2):
        client.left.append(0)
        shared.wake(client)
        assert client.wait(PATIENCE)
        assert len(working_threads()) <= 1  # which is just ending
    for thread in working_threads():
        thread.join(PATIENCE)
    assert working_threads() == []


def test_a_closed_background_does_nothing_and_frees_who_waits(shared):
    log = []
    client = Worklist(shared, "a", log, 3)
    client.between = shared.close
    shared.wake(client)
    assert client.wait(PATIENCE)
    shared.wake(client)
    assert log == []
    with pytest.raises(Stopped):
        shared.model.probe()


# -- a client that breaks its own rules: it stands back, and the others go on ----------------------


class Broken(Worklist):
    """Raises wherever the background calls one of these."""

    def __init__(self, shared, log, *raising):
        super().__init__(shared, "broken", log, 1, batches=2)
        self.raising = raising
        if "do" in raising:
            self.between = self._raise

    def _raise(self, *_error):
        raise RuntimeError("broken")

    def next_task(self):
        if "next_task" in self.raising:
            self._raise()
        task = super().next_task()
        fail = self._raise if "fail" in self.raising else self.fail
        is_wanted = self._raise if "is_wanted" in self.raising else task and task.is_wanted
        return task and replace(task, fail=fail, is_wanted=is_wanted)

    def rest(self):
        if "rest" in self.raising:
            self._raise()


WAYS = [
    ("next_task",),
    ("rest",),
    ("is_wanted",),
    ("do",),
    ("do", "fail"),
    ("is_wanted", "fail"),
]


@pytest.mark.parametrize("raising", WAYS, ids="+".join)
def test_a_client_that_raises_stops_no_other_and_nobody_waits_for_it_in_vain(shared, raising):
    log = []
    broken, other = Broken(shared, log, *raising), Worklist(shared, "other", log, 3)
    held_up(shared, broken, other)
    assert [line for line in log if line.startswith("other")] == ["other0", "other1", "other2"]
    for thread in working_threads():
        thread.join(PATIENCE)
    other.left.append(3)
    shared.wake(other)
    assert other.wait(PATIENCE)
    assert log[-1] == "other3"


def test_a_client_whose_task_cannot_even_fail_is_not_waited_for_while_others_go_on(shared):
    broken, other = Broken(shared, [], "do", "fail"), Worklist(shared, "other", [], 1)
    begun, gate = threading.Event(), threading.Event()
    other.between = lambda: (begun.set(), gate.wait(PATIENCE))
    gate_first = Worklist(shared, "first", [], 1)
    gate_first.between = lambda: (shared.wake(broken), shared.wake(other))
    shared.wake(gate_first)
    assert begun.wait(PATIENCE)
    assert broken.wait(PATIENCE)
    assert broken.left == [0]
    gate.set()


def test_a_client_that_was_dropped_is_served_when_it_asks_again(shared, caplog):
    log = []
    broken = Broken(shared, log, "next_task")
    shared.wake(broken)
    assert broken.wait(PATIENCE)
    assert log == []
    assert "Broken" in caplog.text
    broken.raising = ()
    shared.wake(broken)
    assert broken.wait(PATIENCE)
    assert log == ["broken0"]


def test_a_task_that_calls_exit_has_failed_and_the_others_go_on(shared):
    log = []
    client, other = Worklist(shared, "a", log, 2), Worklist(shared, "b", log, 1)
    client.between = lambda: sys.exit(3) if len(client.left) == 2 else None
    held_up(shared, client, other)
    assert sorted(log) == ["a1", "a: SystemExit: 3", "b0"]


def test_an_observer_that_calls_exit_stops_nothing(shared, caplog):
    log = []
    client = Worklist(shared, "a", log, 2)
    client.observe(sys.exit)
    shared.wake(client)
    assert client.wait(PATIENCE)
    assert log == ["a0", "a1"]
    assert "an observer of the Worklist failed" in caplog.text


def test_a_thread_that_cannot_be_started_is_started_when_asked_again(shared, monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    log = []
    client = Worklist(shared, "a", log, 1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="start new thread"):
            shared.wake(client)
    assert not client.wait(0)
    shared.wake(client)
    assert client.wait(PATIENCE)
    assert log == ["a0"]


# -- the clients of a state -----------------------------------------------------------------------


@pytest.fixture
def long_run(images, make_net):
    """A state with two hundred checkpoints."""
    weights = make_net(0).state_dict()
    series = CheckpointSeries.from_state_dicts([(step, weights) for step in range(200)])
    made = ModelState(make_net(9), images, checkpoints=series)
    yield made
    made.close()


def test_an_embedding_asked_for_while_200_checkpoints_are_measured_comes_next(long_run):
    """By the order of what is done: at most the measurement under way comes before it."""
    state, seen = long_run, []
    keys = state.embeddings.keys
    job = EmbeddingJob(keys[7], keys[7], "1", 500)
    parts = PARAMETERS, ACTIVATIONS, GRADIENTS, UPDATES
    done = lambda: state.history.progress(*parts).done  # noqa: E731
    asked_at = []

    def ask_once():
        if done() == 20:
            asked_at.append(done())
            state.embeddings.ask("test", job)

    state.history.observe(ask_once)
    state.embeddings.observe(lambda: seen.append(done()))
    state.history.ask("test", *parts)
    assert state.history.wait(PATIENCE)
    assert asked_at == [20]
    assert seen[0] == 20
    assert state.embeddings.get(job) is not None
    assert done() == 4 * 200 - 1  # no update leads to the first


class Passes(nn.Identity):
    """Writes down how many images pass, and does something at the first pass of so many."""

    sizes, at, act = None, 0, None

    def forward(self, images):
        Passes.sizes.append(len(images))
        if len(images) == Passes.at:
            Passes.at = 0
            Passes.act()
        return images


@pytest.mark.parametrize("size", [1, 16], ids=["fingerprint", "measurement"])
@pytest.mark.parametrize("part", [ACTIVATIONS, GRADIENTS, IMAGE_SET])
def test_an_embedding_asked_for_while_the_selected_checkpoint_is_measured_comes_next(
    make_net, monkeypatch, part, size
):
    """By the passes of the model: the next one is the embedding's, however slow each of them is."""
    monkeypatch.setattr(Passes, "sizes", [])
    monkeypatch.setattr(model_copy, "BATCH", 16)
    images = ImageSet(torch.rand(40, 1, 6, 6), labels=[0, 1] * 20)
    state = ModelState(nn.Sequential(Passes(), *make_net(1)), images, probe=range(40))
    (key,) = state.embeddings.keys
    job = EmbeddingJob(key, key, "2", 7)
    state.output_history.ask("first", state.output_history.question(0, (0, 1)))
    assert state.output_history.wait(PATIENCE)  # so that the copy of the model is there
    Passes.sizes.clear()
    monkeypatch.setattr(Passes, "act", lambda: state.embeddings.ask("test", job))
    monkeypatch.setattr(Passes, "at", size)
    state.history.ask("test", part)
    assert state.history.wait(PATIENCE)
    assert state.embeddings.get(job) is not None
    asked = Passes.sizes.index(size)
    assert Passes.sizes[asked + 1] == 7
    assert max(Passes.sizes) == 16
    state.close()


def test_a_sweep_and_a_history_share_the_time(long_run, monkeypatch):
    monkeypatch.setattr(background, "TURN", 0)
    monkeypatch.setattr(background, "LOADS", 0)
    state, swept = long_run, []
    state.sweeps.observe(lambda: swept.append(state.history.progress(PARAMETERS).done))
    state.history.ask("test", PARAMETERS)
    state.sweeps.ask(*range(20))
    assert state.history.wait(PATIENCE)
    assert state.sweeps.wait(PATIENCE)
    # One checkpoint is swept for each that is measured, but for those before it was asked for.
    assert swept[-1] - swept[0] == len(swept) - 1 or swept[0] == 200


class Net(nn.Sequential):
    """Counts itself, through the garbage collector."""


def test_however_much_is_under_way_there_are_two_copies_of_the_model(images):
    net = Net(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    state, copies = ModelState(net, images), []

    def count():
        copies.append(sum(type(each) is Net for each in gc.get_objects()) - 1)

    examination = Examination(state)
    clients = [state.history, state.sweeps, state.output_history, state.embeddings, examination]
    for client in clients:
        client.observe(count)
    examination.start()
    state.sweeps.ask(0)
    state.output_history.ask("test", state.output_history.question(0, (0, 1, 2, 3, 4)))
    (key,) = state.embeddings.keys
    state.embeddings.ask("test", EmbeddingJob(key, key, "1", 5))
    assert all(client.wait(PATIENCE) for client in clients)
    assert max(copies) == 2
    state.close()
    gc.collect()
    count()
    assert copies[-1] == 0


def test_all_clients_of_a_closed_state_refuse_in_one_line(state):
    clients = state.history, state.sweeps, state.output_history, state.embeddings
    examination = Examination(state)
    question = state.output_history.question(0, (0,))
    state.close()
    examination.start()
    assert examination.wait(1)
    assert "closed" in examination.problem
    for client, wanted in zip(clients, (PARAMETERS, 0, question, None), strict=True):
        with pytest.raises(InputError, match="closed"):
            client.ask(*([wanted] if client is state.sweeps else ["test", wanted]))
        assert client.wait(1)


def test_the_thread_does_not_outlive_a_closed_state(images, make_net):
    state = ModelState(make_net(1), ImageSet(torch.rand(500, 1, 6, 6)))
    state.sweeps.ask(0)
    state.close()
    assert state.sweeps.wait(PATIENCE)


# -- the end: whatever is running, a closed state leaves no thread ------------------------------


def begin_history(state):
    state.history.ask("test", PARAMETERS, ACTIVATIONS, GRADIENTS, UPDATES)
    return state.history


def begin_sweeps(state):
    state.sweeps.ask(*range(len(state.steps)))
    return state.sweeps


def begin_outputs(state):
    history = state.output_history
    history.ask("test", *(history.question(i, (0, 1, 2, 3, 4)) for i in range(len(state.steps))))
    return history


def begin_embeddings(state):
    keys = state.embeddings.keys
    state.embeddings.ask("test", *(EmbeddingJob(key, keys[0], "1", 500) for key in keys))
    return state.embeddings


def begin_examination(state):
    examination = Examination(state)
    examination.start()
    return examination


BEGIN = (begin_history, begin_sweeps, begin_outputs, begin_embeddings, begin_examination)
MIXES = [mix for count in range(1, 6) for mix in combinations(BEGIN, count)]


def named(mix):
    return "+".join(begin.__name__.removeprefix("begin_") for begin in mix)


@pytest.mark.parametrize("amid", [False, True], ids=["at once", "amid"])
@pytest.mark.parametrize("mix", MIXES, ids=named)
def test_closing_during_any_mix_of_work_ends_its_one_thread(long_run, mix, amid, caplog):
    assert working_threads() == []
    something, seen = threading.Event(), []

    def look():
        seen.append(working_threads())
        something.set()

    clients = [begin(long_run) for begin in mix]
    for client in clients:
        client.observe(look)
    (thread,) = working_threads()
    assert not amid or something.wait(PATIENCE)
    long_run.close()
    thread.join(PATIENCE)
    assert working_threads() == []
    assert all(threads == [thread] for threads in seen)
    assert all(client.wait(0) for client in clients)
    assert caplog.records == []


@pytest.mark.parametrize("mix", [MIXES[i] for i in (0, 1, 2, 3, 4, -1)], ids=named)
def test_closing_from_the_thread_itself_ends_it(long_run, mix, caplog):
    clients = [begin(long_run) for begin in mix]
    clients[0].observe(long_run.close)
    assert clients[0].wait(PATIENCE)
    for thread in working_threads():
        thread.join(PATIENCE)
    assert working_threads() == []
    assert all(client.wait(0) for client in clients)
    assert caplog.records == []


def test_closing_twice_and_from_two_threads_is_closing_once(long_run):
    clients = [begin(long_run) for begin in BEGIN]
    closers = [threading.Thread(target=long_run.close) for _ in range(2)]
    for each in closers:
        each.start()
    for each in (*closers, *working_threads()):
        each.join(PATIENCE)
    long_run.close()
    assert working_threads() == []
    assert all(client.wait(0) for client in clients)
