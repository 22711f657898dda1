"""Reading a data set gives its generators back, to the last bit, but never another thread's."""

import pickle
import random
import sys
import threading

import numpy as np
import pytest
import torch

from convviz_widgets.errors import InputError
from convviz_widgets.images.randomness import RandomState, generators_of
from convviz_widgets.images.steady_reads import TRIES, SteadyReads


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


def test_what_draws_is_known_after_some_reads_and_then_read_once():
    data = Counted(random.random)
    reads, before = SteadyReads(data), random.getstate()
    assert reads.read(3).eq(3).all()
    assert (reads.draws, data.reads) == (True, TRIES)
    assert random.getstate() == before
    reads.read(4)
    assert data.reads == TRIES + 1
    assert random.getstate() == before


def test_what_moved_once_was_somebody_elses():
    moves = iter([random.random])
    reads = SteadyReads(Counted(lambda: next(moves, lambda: None)()))
    before = random.getstate()
    reads.read(0)
    assert not reads.draws
    assert random.getstate() != before


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
    assert data.reads == 4 * TRIES
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


def test_a_random_state_names_what_moved_and_gives_it_back():
    own = random.Random(0)
    before = own.getstate()
    state = RandomState([own])
    assert state.moved() == ""
    own.random()
    assert state.moved() == "a generator of its own"
    state.give_back()
    assert own.getstate() == before
