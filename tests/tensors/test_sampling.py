"""Evenly spread indices: checked by hand, and against the definition of each kind."""

import numpy as np
import pytest

from convviz_widgets.tensors.sampling import evenly_spread


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize(("size", "count"), [(0, 5), (1, 5), (5, 5), (5, 9)])
def test_few_are_all_looked_at(size, count, ends):
    assert evenly_spread(size, count, ends=ends) == tuple(range(size))


@pytest.mark.parametrize(("size", "count"), [(10, 1), (10, 4), (1000, 7), (60_000, 1024)])
def test_each_stands_for_the_same_share(size, count):
    chosen = evenly_spread(size, count)
    assert (len(chosen), chosen[0]) == (count, 0)
    gaps = np.diff([*chosen, size])
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize(("size", "count"), [(10, 2), (10, 4), (1000, 7), (60_000, 1024)])
def test_the_ends_are_among_them_where_they_are_asked_for(size, count):
    chosen = evenly_spread(size, count, ends=True)
    assert (len(set(chosen)), chosen[0], chosen[-1]) == (count, 0, size - 1)
    gaps = np.diff(chosen)
    assert gaps.max() - gaps.min() <= 1
