"""Which layers are listed, and what they are called."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convviz_widgets.errors import UnknownLayerError
from convviz_widgets.probe import LayerInfo, Probe, list_layers
from convviz_widgets.probe.outputs import output_kind
from convviz_widgets.probe.tape import CallNames

from .nets import Residual, Structured, Twice, images, plain, residual


def names(net, channels=3):
    return [info.name for info in list_layers(net, images(channels))]


def test_facts_of_each_kind_of_layer():
    layers = list_layers(plain(), images(3))
    assert layers[0] == LayerInfo("0", "Conv2d", (4, 6, 6), (4, 3, 3, 3), 1)
    assert layers[2] == LayerInfo("2", "ReLU", (4, 6, 6), None, 1)
    assert layers[3] == LayerInfo("3", "Conv2d", (4, 6, 6), (4, 1, 3, 3), 4)
    assert layers[9] == LayerInfo("9", "Linear", (3,), (3, 5), 1)


def test_a_block_is_listed_when_it_ends_in_its_sum():
    inner = ["1.conv1", "1.bn1", "1.relu", "1.conv2", "1.bn2"]
    assert names(residual()) == ["0", *inner, "1.relu_1", "2", "3"]
    assert names(residual(last_relu=False)) == ["0", *inner, "1", "2", "3"]


def test_a_sequential_and_an_empty_shortcut_are_not():
    class Shortcut(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sequential(nn.Tanh()))
            self.shortcut = nn.Sequential()

        def forward(self, x):
            return self.body(x) + self.shortcut(x)

    assert names(nn.Sequential(Shortcut())) == ["0.body.0", "0.body.1.0", "0"]


def test_repeated_calls_skip_the_names_of_real_modules():
    assert names(Twice(), 2) == ["conv", "conv_2", "conv_1"]


def test_functional_activations_are_named_after_their_module_and_op():
    class Mixed(Residual):
        def forward(self, x):
            x = F.relu(self.conv1(x))  # "relu" is a module's name
            x = self.relu(torch.sigmoid(x).tanh_())
            return F.leaky_relu(F.softmax(self.relu(x), 1))

    assert names(nn.Sequential(Mixed(3))) == [
        "0.conv1",
        "0.relu_1",
        "0.sigmoid",
        "0.tanh",
        "0.relu",
        "0.relu_2",
        "0.softmax",
        "0.leaky_relu",
    ]


def test_call_names_count_on_per_base_name():
    calls = CallNames({"relu", "a.relu"})
    assert [calls.function("", "relu"), calls.module("relu")] == ["relu_1", "relu"]
    assert [calls.module("relu"), calls.function("", "relu")] == ["relu_2", "relu_3"]
    assert [calls.module("a.relu"), calls.function("a", "gelu")] == ["a.relu", "a.gelu"]


def test_a_module_that_raised_inside_the_model_does_not_lend_its_name():
    class Forgiving(nn.Module):
        def __init__(self):
            super().__init__()
            self.broken = nn.Sequential(nn.Conv2d(9, 1, 1))
            self.after = nn.Sequential(nn.ReLU(), Residual(3))

        def forward(self, x):
            try:
                self.broken(x)
            except RuntimeError:
                x = self.after(x)
            return F.relu(x)

    assert names(Forgiving())[0] == "after.0"


def test_unused_modules_do_not_appear_and_nested_outputs_do():
    assert names(Structured(), 1) == ["lstm", "head"]
    probe = Probe(Structured(), images(1))
    assert probe.record(images(1)).outputs["lstm"].shape == (2, 5, 6)  # (N, C, T)
    kind = output_kind(probe, images(1))
    assert (kind.classes, kind.place) == (3, ("scores",))


def test_parametrized_weights_are_read_as_they_are_used():
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 2, 1))
    net = nn.Sequential(conv, nn.ReLU())
    probe = Probe(net, images(3))
    assert [(info.name, info.kind) for info in probe.layers] == [("0", "Conv2d"), ("1", "ReLU")]
    assert torch.equal(probe.weight("0"), conv.weight)


def test_old_spectral_norm_follows_the_checkpoint():
    net = nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(3, 2, 1))).eval()
    probe = Probe(net, images(3))
    with torch.no_grad():
        net[0].weight_orig[0].mul_(3)
    probe.load(net.state_dict())
    assert torch.equal(probe.record(images(3)).result, net(images(3)))


def test_an_unknown_layer_is_told_with_the_choices():
    probe = Probe(Twice(), images(2))
    with pytest.raises(UnknownLayerError, match=r"'conv3'; did you mean .* has conv, conv_2"):
        probe.weight("conv3")
