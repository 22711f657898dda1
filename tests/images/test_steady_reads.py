"""Reading a data set gives its generators back, to the last bit, but never another thread's."""

import pickle
import random
import secrets
import sys
import threading
from functools import partial

import numpy as np
import pytest
import torch

from convviz_widgets.errors import InputError
from convviz_widgets.images.randomness import RandomState, generators_of
from convviz_widgets.images.steady_reads import SteadyReads


class Counted:
    """Item i is constant i; reading it calls a function, and is counted."""

    def __init__(self, while_read=lambda: None):
        self.while_read, self.reads = while_read, 0

    def __getitem__(self, index):
        self.reads += 1
        self.while_read()
        return torch.full((2, 2), float(index))


@pytest.fixture(autouse=True)
def generators_stay():
    before = random.getstate()
    yield
    random.setstate(before)


def test_what_draws_nothing_is_read_once():
    data = Counted()
    reads = SteadyReads(data)
    assert reads.read(3).eq(3).all()
    assert data.reads == 1
    assert not reads.draws


def test_what_draws_is_known_at_once_and_read_once():
    data = Counted(random.random)
    reads, before = SteadyReads(data), random.getstate()
    assert reads.read(3).eq(3).all()
    assert (reads.draws, data.reads) == (True, 1)
    assert random.getstate() == before
    reads.read(4)
    assert data.reads == 2
    assert random.getstate() == before


def test_what_moves_while_another_thread_works_is_somebody_elses():
    drawn, stop = threading.Event(), threading.Event()

    def train():
        random.random()
        drawn.set()
        while not stop.is_set():
            pass

    other = threading.Thread(target=train)
    reads, before = SteadyReads(Counted(lambda: (other.start(), drawn.wait()))), random.getstate()
    reads.read(0)
    stop.set()
    other.join()
    assert not reads.draws
    assert random.getstate() != before


def seeded():
    def seed():
        random.seed(3)
        np.random.seed(3)  # noqa: NPY002
        torch.manual_seed(3)

    return seed


def once():
    """Draw as a data set does that keeps what it has made."""
    draws = iter([random.random])
    return lambda: next(draws, lambda: None)()


@pytest.mark.parametrize("way", [seeded, once])
@pytest.mark.parametrize("beside", ["nothing", "a thread that waits"])
def test_what_is_seeded_or_drawn_but_once_is_given_back(way, beside):
    data = Counted(way())
    legacy, torch_before = np.random.mtrand._rand, torch.get_rng_state()
    before, numpy_before = random.getstate(), legacy.get_state()
    done = threading.Event()
    waiting = threading.Thread(target=done.wait)
    if beside != "nothing":
        waiting.start()
    try:
        for index in (0, 1, 0):
            SteadyReads(data).read(index)
        assert random.getstate() == before
        assert np.array_equal(legacy.get_state()[1], numpy_before[1])
        assert torch.equal(torch.get_rng_state(), torch_before)
    finally:
        done.set()
        legacy.set_state(numpy_before)
        torch.set_rng_state(torch_before)


def test_in_another_thread_nothing_is_given_back():
    reads, before = SteadyReads(Counted(random.random)), random.getstate()
    thread = threading.Thread(target=reads.read, args=(0,))
    thread.start()
    thread.join()
    assert random.getstate() != before
    assert not reads.draws


def test_many_reads_are_watched_as_one():
    data = Counted(random.random)
    reads, before = SteadyReads(data), random.getstate()
    assert len(reads.quietly(lambda: [reads.read(index) for index in range(4)])) == 4
    assert data.reads == 4
    assert random.getstate() == before


def test_an_image_that_changes_is_refused():
    reads = SteadyReads(Counted())
    for image in (torch.zeros(2, 2), torch.zeros(0), np.zeros(3), None):
        reads = SteadyReads(Counted())
        reads.refuse_if_changed(0, image)
        reads.refuse_if_changed(0, image)
    reads.refuse_if_changed(1, torch.zeros(2, 2))
    with pytest.raises(InputError, match="image 1 of the data set comes out different"):
        reads.refuse_if_changed(1, torch.full((2, 2), 1e-30))


def test_a_data_set_may_go_to_another_process():
    reads = SteadyReads(Held())
    assert len(pickle.loads(pickle.dumps(reads))._own) == 1


class Held:
    def __init__(self):
        self.generator = np.random.default_rng(0)


SHARED = random.Random(0)

drawing = random.random  # as "from random import random" brings it


def test_generators_are_found_in_attributes_closures_and_globals():
    own, numpy = torch.Generator(), np.random.default_rng(0)

    class Augmented:
        generator = random.Random(1)

        def __init__(self):
            self.steps = {"flip": [own]}

        def __getitem__(self, index):
            drawn = numpy.random(), SHARED.random(), sys.modules, random.random(), drawing()
            return drawn, np.random.rand()  # noqa: NPY002

    expected = {id(own), id(numpy), id(SHARED), id(Augmented.generator)}
    assert {id(each) for each in generators_of(Augmented())} == expected


def test_generators_are_found_in_slots_and_in_arguments_given_ahead():
    class Slotted:
        __slots__ = ("generator", "never_set", "steps")

    data, ahead = Slotted(), random.Random(0)
    data.generator, data.steps = np.random.default_rng(0), [partial(print, ahead)]
    assert {id(each) for each in generators_of(data)} == {id(data.generator), id(ahead)}


def test_what_the_system_draws_has_no_state_to_give_back():
    class Held:
        def __init__(self):
            self.generator = random.SystemRandom()

        def __getitem__(self, index):
            return torch.full((2, 2), float(index)), self.generator.random(), secrets.choice([1])

    assert generators_of(Held()) == []
    assert SteadyReads(Held()).read(1)[0].eq(1).all()


def test_a_random_state_names_what_moved_and_gives_it_back():
    own = random.Random(0)
    before = own.getstate()
    state = RandomState([own])
    assert state.moved() == ""
    own.random()
    assert state.moved() == "a generator of its own"
    state.give_back()
    assert own.getstate() == before
