import pytest
import torch
from torch import nn

from convviz_widgets.errors import InputError
from convviz_widgets.state.timeline import Timeline


class Counted(nn.Linear):
    """A layer that keeps a list beside its weights."""

    def __init__(self):
        super().__init__(2, 2)
        self.calls = [1]

    def get_extra_state(self):
        return self.calls

    def set_extra_state(self, state):
        self.calls = state


@pytest.mark.parametrize("step", ["x", -1, True, 1.5, None])
def test_a_step_that_is_none_is_refused_and_later_captures_are_found(step):
    timeline = Timeline(None, dict)
    with pytest.raises(InputError, match="a step is a whole number from 0 on"):
        timeline.capture(nn.Linear(2, 2), step)
    timeline.capture(nn.Linear(2, 2), torch.tensor(3))
    timeline.refresh()
    assert timeline.steps == (0, 3)


def test_a_capture_copies_what_is_no_tensor_too():
    timeline, model = Timeline(None, dict), Counted()
    timeline.capture(model, 1)
    model.calls.append(2)
    timeline.refresh()
    assert timeline[1].load()["_extra_state"] == [1]
    assert timeline.captured_bytes == 24


# -- numbers of checkpoints -----------------------------------------------------------------------


def grown(timeline, *steps):
    for step in steps:
        timeline.capture(nn.Linear(2, 2), step)
    timeline.refresh()
    return timeline.frame_keys


def test_a_checkpoint_keeps_its_number_wherever_it_is_and_other_weights_have_another():
    timeline = Timeline(None, dict)
    assert timeline.frame_keys == (0,)
    assert grown(timeline, 30) == (0, 1)
    assert grown(timeline, 10, 20) == (0, 2, 3, 1)
    assert grown(timeline, 10) == (0, 4, 3, 1)  # captured anew
    assert timeline.numbers.of(timeline[1].key, timeline[1].label) == 4


def test_another_name_is_another_number_and_the_old_name_the_old_one():
    timeline = Timeline(None, dict)
    (key,) = timeline.keys
    numbers = [timeline.numbers.of(key, label) for label in ("best", "step 0", "best")]
    assert numbers == [1, 0, 1]


def test_the_number_of_a_selection_is_that_of_its_checkpoint(state):
    assert state.frame_keys == (0, 1, 2)
    assert [state.frame_key(state.elsewhere(state.selection, i)) for i in (2, 0)] == [2, 0]
    state.select(checkpoint=1)
    assert state.frame_key() == 1
