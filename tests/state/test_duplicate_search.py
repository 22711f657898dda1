"""A search for equal samples goes on unasked if it is short, however it began."""

import time

import torch
from torch import nn

from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState, duplicate_search


class Late:
    """A data set of 2,000 pictures, the first of which takes as long as a slice of the search."""

    def __len__(self):
        return 2000

    def __getitem__(self, index):
        if index == 0:
            time.sleep(0.3)
        return torch.full((1, 2, 2), index / 2000), 0


def test_a_first_read_that_is_held_up_does_not_make_a_search_too_long():
    state = ModelState(nn.Sequential(nn.Conv2d(1, 2, 2)), ImageSet(torch.rand(2, 1, 2, 2)))
    search = state.duplicate_searches.among(Late())
    search.look_on("test")
    assert search.wait(60)
    assert search.is_wanted
    assert search.found.duplicates().count == 2000
    state.close()


def test_whoever_looks_on_is_told_of_the_end_that_another_brings_about(monkeypatch):
    def failing(*_sets, **_options):
        yield 1, 2
        raise MemoryError("no room")

    monkeypatch.setattr(duplicate_search, "comparing", failing)
    state = ModelState(nn.Sequential(nn.Conv2d(1, 2, 2)), ImageSet(torch.rand(2, 1, 2, 2)))
    search, told = state.duplicate_searches.among(state.image_set), []
    search.observe(lambda: told.append(search.problem))
    assert (search.go_on(), told) == (True, [])  # as a diagnosis does
    assert (search.go_on(), told) == (False, ["MemoryError: no room"])
    state.close()
