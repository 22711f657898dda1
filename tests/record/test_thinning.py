import itertools

import pytest

from convviz_widgets.record.checkpoint_folder import to_remove


def kept_after(count, keep, every=1):
    kept = []
    for step in range(0, count * every, every):
        kept.append(step)
        kept = [s for s in kept if s not in to_remove(kept, keep, every)]
    return kept


def test_few_checkpoints_stay():
    assert to_remove([0, 10, 20], keep=3, every=10) == []


def test_two_are_the_first_and_the_last():
    assert kept_after(50, keep=2) == [0, 49]


@pytest.mark.parametrize("keep", [3, 5, 10, 31])
def test_many_are_as_many_as_asked_for_and_evenly_spread(keep):
    for count in range(keep, 300, 23):
        kept = kept_after(count, keep, every=50)
        gaps = [after - before for before, after in itertools.pairwise(kept[:-1])]
        assert (len(kept), kept[0], kept[-1]) == (keep, 0, (count - 1) * 50)
        assert max(gaps, default=1) <= 2 * min(gaps, default=1)


def test_a_checkpoint_between_the_others_goes_first():
    assert to_remove([0, 100, 137, 200, 300], keep=4, every=100) == [137]
