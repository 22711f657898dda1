"""The bytes of a page: what is far from the clock goes first, and it comes to rest."""

import gc

import pytest

from convviz_widgets.state.frame_budget import Clock, FrameBudget, Shelf


@pytest.mark.parametrize(
    ("index", "direction", "order"),
    [
        (3, 0, [4, 2, 5, 1, 6, 0]),
        (1, 1, [2, 3, 4, 5, 0, 6]),  # one behind counts as four ahead
        (5, -1, [4, 3, 2, 1, 6, 0]),
        (0, -1, [1, 2, 3, 4, 5, 6]),
        (6, 1, [5, 4, 3, 2, 1, 0]),
    ],
)
def test_the_nearest_come_first_and_those_ahead_before_those_behind(index, direction, order):
    clock = Clock(keys=tuple(range(7)), index=index, direction=direction)
    assert list(clock.outwards()) == order
    costs = [clock.cost(each) for each in order]
    assert costs == sorted(costs)


def test_what_is_no_checkpoint_any_more_is_the_farthest():
    clock = Clock().among((), (7, 8, 9)).moved(1, is_travel=False)
    assert (clock.key, clock.cost_of(9), clock.cost_of(5)) == (8, 1, float("inf"))


class Page:
    """Some shelves at one clock, and what each was told to drop."""

    def __init__(self, budget, index, direction=0):
        self.clock = Clock((), tuple(range(100)), index, direction).among((), tuple(range(100)))
        self.budget = FrameBudget(budget)

    def shelf(self):
        shelf = Shelf(lambda: self.clock, is_shown=True)
        self.budget.add(shelf)
        return shelf

    def put(self, shelf, *keys, nbytes=10):
        return [self.budget.put(shelf, key, nbytes, shelf.generation) for key in keys]


def test_the_farthest_frame_goes_and_none_for_one_that_is_farther_still():
    page = Page(budget=40, index=50)
    shelf = page.shelf()
    assert page.put(shelf, 50, 51, 49, 53) == [{}] * 4
    assert page.put(shelf, 52) == [{shelf: (53,)}]
    assert list(shelf.frames) == [50, 51, 49, 52]
    assert page.put(shelf, 60) == [{shelf: (60,)}]  # itself
    assert page.budget.held == 40


def test_there_is_room_only_at_the_cost_of_less_useful_frames():
    page = Page(budget=40, index=50, direction=1)
    shelf = page.shelf()
    page.put(shelf, 50, 51, 52, 49)
    assert page.budget.has_room(shelf, 53)  # for the one behind, which counts as 54
    assert not page.budget.has_room(shelf, 54)
    assert not page.budget.has_room(shelf, 48)


def test_what_does_not_show_goes_before_what_does_however_near_it_is():
    page = Page(budget=40, index=50)
    hidden, shown = page.shelf(), page.shelf()
    page.put(hidden, 50, 51)
    page.put(shown, 50, 90)
    hidden.is_shown = False
    assert page.put(shown, 80) == [{hidden: (51,)}]
    assert page.put(shown, 70) == [{hidden: (50,)}]
    assert page.put(shown, 60) == [{shown: (90,)}]


def test_of_frames_that_are_equally_useful_the_newest_goes():
    """Two views that want the same checkpoints do not displace each other for ever."""
    page = Page(budget=40, index=50)
    first, second = page.shelf(), page.shelf()
    page.put(first, 51, 49, 52, 48)
    assert page.put(second, 52) == [{second: (52,)}]
    assert not page.budget.has_room(second, 52)


def test_a_frame_larger_than_a_quarter_is_not_kept_nor_made_again():
    page = Page(budget=40, index=50)
    shelf = page.shelf()
    assert page.put(shelf, 51, nbytes=11) == [{shelf: (51,)}]
    assert not page.budget.has_room(shelf, 51)
    shelf.renew()
    assert page.budget.has_room(shelf, 51)


def test_what_is_seen_now_never_goes():
    page = Page(budget=40, index=50)
    shelf = page.shelf()
    page.put(shelf, 50, 51)
    assert page.budget.resize(0) == {shelf: (51,)}
    assert page.budget.held == 10
    page.clock = page.clock.moved(51)
    assert page.put(shelf, 51) == [{shelf: (50,)}]


def test_what_was_made_before_a_renewal_does_not_count():
    page = Page(budget=40, index=50)
    shelf = page.shelf()
    generation = shelf.generation
    page.budget.renew(shelf)
    assert page.budget.put(shelf, 51, 10, generation) == {}
    assert shelf.frames == {}


def test_a_shelf_that_was_taken_away_or_is_no_more_does_not_count():
    page = Page(budget=40, index=50)
    kept, taken, forgotten = page.shelf(), page.shelf(), page.shelf()
    for shelf in (kept, taken, forgotten):
        page.put(shelf, 50)
    page.budget.remove(taken)
    del shelf, forgotten
    gc.collect()
    assert page.budget.held == 10
