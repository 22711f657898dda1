"""What is recorded of a model is kept within a budget of bytes, and known to be there or not."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.probe import Probe
from convviz_widgets.state import ByteCache, ModelState
from convviz_widgets.state.recordings import Recordings
from convviz_widgets.state.timeline import Timeline


class Branching(nn.Module):
    """Runs ``dark`` for dark images alone."""

    def __init__(self):
        super().__init__()
        self.dark, self.last = nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 1)

    def forward(self, images):
        return self.last(images) + (self.dark(images) if images.mean() < 0.5 else 0)


def test_a_layer_that_does_not_run_for_an_image_says_so_after_one_pass():
    state = ModelState(Branching(), torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)]))
    state.select(layer="dark", image=1)
    for _ in range(3):
        with pytest.raises(InputError, match="layer 'dark' did not run for image 1 at step 0"):
            state.activation()
    assert state.forward_count == 1
    assert state.is_ready()


@pytest.fixture
def entry(series):
    """The last checkpoint."""
    return Timeline(series, dict).entries[-1]


def recordings(net, images, budget):
    return Recordings(Probe(net, images.input(0), keep_original=False), images, budget)


@pytest.mark.parametrize("budget", [1, 600, 1500, 3000])
def test_memory_stays_within_the_budget_and_the_entry_in_use(images, entry, make_net, budget):
    kept = recordings(make_net(9), images, budget)
    for image in range(5):
        for layer in ("0", "1", "2", "3"):
            kept.activation(entry, image, layer, "out")
            in_use = kept.gradients(entry, (image,), F.cross_entropy)
            assert kept.nbytes <= budget + in_use.nbytes


def test_gradients_beyond_the_budget_are_kept_alone_and_say_so(images, entry, make_net):
    kept = recordings(make_net(9), images, budget=2000)
    kept.activation(entry, 0, "0", "out")
    gradients = kept.gradients(entry, tuple(range(5)), F.cross_entropy)
    assert kept.nbytes == gradients.nbytes
    assert "the gradients alone take" in kept.status


def test_the_original_weights_and_captures_count(images, make_net):
    net = make_net(9)
    nbytes = sum(value.nbytes for value in net.state_dict().values())
    kept = Recordings(Probe(net, images.input(0)), images, 3 * nbytes)
    assert kept.nbytes == nbytes
    kept.reserve(2 * nbytes)
    assert kept.nbytes == 3 * nbytes
    state = ModelState(net, images, memory_budget=3 * nbytes)
    state.capture(1)
    state.refresh()
    assert state.status == ""
    state.capture(2)
    state.refresh()
    assert state.status == f"captures hold {2 * nbytes:,} bytes of the budget of {3 * nbytes:,}"


def test_asking_whether_a_recording_is_there_does_not_mark_it_as_used(entry, make_net):
    images = ImageSet(torch.rand(3, 1, 6, 6))
    one = recordings(make_net(9), images, 2**20)
    one.result(entry, 0)
    kept = recordings(make_net(9), images, 2 * one.nbytes)
    kept.result(entry, 0)
    kept.result(entry, 1)
    assert kept.peek(entry, 0, "0")
    kept.result(entry, 2)
    there = [kept.peek(entry, image, "0") is not None for image in range(3)]
    assert there == [False, True, True]


# -- the cache -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    nbytes: int


def test_the_least_recently_used_entry_goes_first():
    cache = ByteCache(budget=100)
    cache.put("a", Block(40))
    cache.put("b", Block(40))
    cache.get("a")
    cache.put("c", Block(40))
    assert "a" in cache
    assert "b" not in cache
    assert cache.nbytes == 80


def test_the_entry_in_use_is_never_evicted():
    cache = ByteCache(budget=100)
    cache.put("small", Block(10))
    cache.put("huge", Block(1000))
    assert "huge" in cache
    assert len(cache) == 1


def test_reserved_bytes_count_against_the_budget():
    cache = ByteCache(budget=100)
    cache.put("a", Block(40))
    cache.put("b", Block(40))
    cache.reserved = 50
    cache.trim()
    assert cache.room == 50
    assert "a" not in cache
    assert "b" in cache


def test_replacing_an_entry_counts_it_once():
    cache = ByteCache(budget=100)
    cache.put("a", Block(40))
    cache.put("a", Block(60))
    assert cache.nbytes == 60


def test_the_weights_of_a_model_with_a_sparse_buffer_count_against_the_budget(images, make_net):
    net = make_net(0)
    net.register_buffer("mask", torch.eye(5).to_sparse())
    weights = sum(each.nbytes for each in net.parameters())
    kept = Recordings(Probe(net, images.input(0)), images, budget=10**6)
    assert kept.nbytes == weights + 25 * 4
