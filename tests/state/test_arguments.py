import pytest
import torch

from convviz_widgets.errors import InputError
from convviz_widgets.state import ModelState


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "net"}, "model: expected an nn.Module, got str"),
        ({"checkpoints": "runs"}, "checkpoints: expected a CheckpointSeries, got str"),
        ({"checkpoints": []}, "checkpoints: expected a CheckpointSeries, got list"),
        ({"device": "foo"}, "device 'foo': expected one that torch can use here"),
        ({"device": "cuda:99"}, "device 'cuda:99': expected one that torch can use here"),
        ({"memory_budget": "a"}, "memory_budget: expected a whole number of bytes, got 'a'"),
        ({"memory_budget": -1}, "memory_budget: expected a whole number of bytes, got -1"),
        ({"probe": [99]}, "probe: expected image indices from 0 to 1, got 99"),
        ({"probe": []}, "probe: expected image indices from 0 to 1, got none"),
        ({"probe": 1}, "probe: expected image indices from 0 to 1, got 1"),
        ({"loss": "mse"}, "loss: expected a function of output and target"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_in_one_line(make_net, arguments, message):
    given = {"model": make_net(), "images": torch.rand(2, 1, 6, 6), **arguments}
    with pytest.raises(InputError) as caught:
        ModelState(**given)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_state_says_what_it_looks_at(make_net):
    state = ModelState(make_net(), torch.rand(2, 1, 6, 6))
    assert repr(state).startswith("<ModelState: ")
    assert "1 checkpoint, 2 images; at step 0, layer " in repr(state)
