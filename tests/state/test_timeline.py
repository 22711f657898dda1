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
