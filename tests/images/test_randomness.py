"""Looking never draws a random number: dropout is the identity, the rest is refused by name."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convviz_widgets.errors import ModelError
from convviz_widgets.images.randomness import DROPOUTS, RANDOM
from convviz_widgets.probe import Probe

from ..probe.nets import images


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.function = function

    def forward(self, x):
        return self.function(self.conv(x))


@pytest.fixture(autouse=True)
def generator_stays():
    before = torch.get_rng_state()
    yield
    torch.set_rng_state(before)


DROPPING = [
    F.dropout,
    F.dropout2d,
    lambda x: F.dropout(x, 0.9, True, True),
    lambda x: F.alpha_dropout(x, training=True),
    lambda x: torch.dropout(x, 0.5, True),
    lambda x: torch.feature_alpha_dropout(x, p=0.5, train=True),
]


@pytest.mark.parametrize("drop", DROPPING)
def test_dropout_is_the_identity(drop):
    net = Calls(drop)
    state = torch.get_rng_state()
    recording = Probe(net, images(3)).record(images(3))
    assert torch.equal(recording.result, recording.outputs["conv"])
    assert torch.equal(torch.get_rng_state(), state)


DRAWING = {
    "randn_like": torch.randn_like,
    "torch.rand": lambda x: x + torch.rand(1),
    "bernoulli_": lambda x: x.bernoulli_(),
    "normal": lambda x: torch.distributions.Normal(x, 1).sample(),
    "F.rrelu": lambda x: F.rrelu(x, training=True),
    "gumbel_softmax": lambda x: F.gumbel_softmax(x, dim=1),
    "fractional_max_pool2d": lambda x: F.fractional_max_pool2d(x, 2, output_size=3),
    "scaled_dot_product_attention": lambda x: F.scaled_dot_product_attention(
        x, x, x, dropout_p=0.1
    ),
    "_standard_gamma": lambda x: torch.distributions.Gamma(x.abs() + 1, 1.0).sample(),
}


@pytest.mark.parametrize("name", DRAWING)
def test_other_random_functions_are_refused_by_name(name):
    net = Calls(DRAWING[name])
    state = torch.get_rng_state()
    with pytest.raises(ModelError, match=rf"draws random numbers in eval mode \(.*{name}"):
        Probe(net, images(3))
    assert torch.equal(torch.get_rng_state(), state)


QUIET = {
    "rrelu in eval": F.rrelu,
    "attention without dropout": lambda x: F.scaled_dot_product_attention(x, x, x),
    "pooling at given places": lambda x: F.fractional_max_pool2d(
        x, 2, output_size=3, _random_samples=x.new_full((x.shape[0], 4, 2), 0.5)
    ),
}


@pytest.mark.parametrize("name", QUIET)
def test_functions_that_only_might_draw_are_let_through(name):
    Probe(Calls(QUIET[name]), images(3))


def test_attention_in_eval_is_let_through():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(6, 1, dropout=0.5)

        def forward(self, x):
            rows = x.flatten(1, 2)
            return self.attention(rows, rows, rows)[0]

    assert [info.kind for info in Probe(Attends(), images(3)).layers] == ["MultiheadAttention"]


def test_no_public_function_that_draws_is_forgotten():
    quiet = {"lstm", "gru", "rnn_relu", "rnn_tanh", "miopen_rnn"}  # draw in train mode alone
    quiet |= {"random"}  # torch.random is a module
    for name in _seeded_operators() - quiet:
        for home in (torch, torch.Tensor, F):
            function = getattr(home, name, None)
            assert function is None or function in RANDOM or function in DROPOUTS, name


def _seeded_operators():
    names = {
        name.removeprefix("aten::").split(".")[0]
        for name in torch._C._dispatch_get_all_op_names()
        if name.startswith("aten::")
    }
    return {name for name in names if not name.startswith("_") and _is_seeded(name)}


def _is_seeded(name):
    packet = getattr(torch.ops.aten, name, None)
    overloads = packet.overloads() if packet is not None else ()
    seeded = torch.Tag.nondeterministic_seeded
    return any(seeded in getattr(packet, overload).tags for overload in overloads)
