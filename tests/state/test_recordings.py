import pytest
import torch
from torch import nn

from convviz_widgets.errors import InputError
from convviz_widgets.state import ModelState


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


@pytest.mark.parametrize("budget", [1, 600, 1500, 3000])
def test_memory_stays_within_the_budget_and_the_entry_in_use(images, series, make_net, budget):
    state = ModelState(make_net(9), images, checkpoints=series, memory_budget=budget)
    kept = state._recordings
    for image in range(5):
        state.select(image=image)
        for layer in ("0", "1", "2", "3"):
            state.activation(layer)
            state.gradient(layer)
            in_use = next(reversed(kept._cache._entries.values()))
            assert kept.nbytes <= budget + in_use.nbytes


def test_gradients_beyond_the_budget_are_kept_alone_and_say_so(images, series, make_net):
    state = ModelState(make_net(9), images, checkpoints=series, memory_budget=2000)
    state.activation()
    state.gradient(batch=True)
    assert len(state._recordings._cache) == 1
    assert "the gradients alone take" in state.status


def test_the_original_weights_and_captures_count(images, make_net):
    net = make_net(9)
    nbytes = sum(value.nbytes for value in net.state_dict().values())
    state = ModelState(net, images, memory_budget=3 * nbytes)
    assert state._recordings.nbytes == nbytes
    state.capture(1)
    state.refresh()
    assert state.status == ""
    state.capture(2)
    state.refresh()
    assert state._recordings.nbytes == 3 * nbytes
    assert state.status == f"captures hold {2 * nbytes:,} bytes of the budget of {3 * nbytes:,}"


def test_asking_whether_a_recording_is_there_does_not_mark_it_as_used(state):
    state.activation()
    first = state.selection
    state.select(image=1)
    state.activation()
    assert state.is_ready(first)
    assert next(reversed(state._recordings._cache._entries))[1] == 1
