"""Recorded activations equal what an independent recording of the user's model finds."""

from collections import defaultdict

import pytest
import torch
from torch import nn

from convviz_widgets.errors import UnknownLayerError
from convviz_widgets.probe import Probe

from .nets import NETS, Branching, Functional, Twice, images, plain, replica_of, residual, seeded


class Stop(Exception):
    pass


def truncated(model, inputs, name, call):
    """Return what the module's call gives to a model that ends there, so nothing overwrites it."""
    found, calls = [], iter(range(99))

    def stop(module, args, output):
        if next(calls) == call:
            found.append(output[0] if isinstance(output, tuple) else output)
            raise Stop

    with model.get_submodule(name).register_forward_hook(stop), pytest.raises(Stop):
        model(inputs.clone())
    return found[0]


def cloned_inputs(model, inputs, kind):
    """Return clones of what modules of a kind are given, by name and call."""
    found = defaultdict(list)
    for name, module in model.named_modules():
        if isinstance(module, kind):
            module.register_forward_pre_hook(
                lambda module, args, name=name: found[name].append(args[0].clone())
            )
    model(inputs.clone())
    return found


def module_and_call(layer, model):
    """Split "conv_1" into ("conv", 1), unless the model has a module of that name."""
    if layer in dict(model.named_modules()):
        return layer, 0
    name, _, call = layer.rpartition("_")
    return name, int(call)


@pytest.fixture(params=NETS)
def net_and_images(request):
    make, channels = NETS[request.param]
    return seeded(make()).eval(), images(channels)


@torch.no_grad()
def test_every_layer_equals_the_model_truncated_there(net_and_images):
    net, inputs = net_and_images
    outputs = Probe(net, inputs).record(inputs).outputs
    assert outputs
    for layer, output in outputs.items():
        if layer == "lstm":  # (N, T, C), handed over with the channels first
            assert torch.equal(output.movedim(1, -1), truncated(net, inputs, layer, 0))
        elif layer == "conv_2":  # Twice: its conv_1 is another module
            assert torch.equal(output, truncated(net, inputs, "conv", 1))
        else:
            assert torch.equal(output, truncated(net, inputs, *module_and_call(layer, net))), layer


@torch.no_grad()
def test_inputs_of_activations_equal_clones_taken_before_them(net_and_images):
    net, inputs = net_and_images
    recorded = Probe(net, inputs).record(inputs).inputs
    expected = cloned_inputs(net, inputs, nn.ReLU)
    assert len(recorded) == sum(map(len, expected.values()))
    for layer, value in recorded.items():
        name, call = module_and_call(layer, net)
        assert torch.equal(value, expected[name][call]), layer


@torch.no_grad()
def test_the_result_is_the_models_own(net_and_images):
    net, inputs = net_and_images
    expected, result = net(inputs.clone()), Probe(net, inputs).record(inputs).result
    if isinstance(expected, dict):
        expected, result = expected["scores"], result["scores"]
    assert torch.equal(result, expected)


@torch.no_grad()
def test_functional_activations_are_recorded_before_and_after():
    net = Functional()
    nn.init.dirac_(net.conv.weight)
    nn.init.zeros_(net.conv.bias)
    x = torch.tensor([[[[-1.0, 0.05, 0.15], [0.25, 0.35, 1.0], [0.0, 0.5, 2.0]]]])
    recording = Probe(net, x).record(x)
    assert list(recording.outputs) == ["conv", "relu", "relu_1", "relu_2", "relu_3"]
    value = x[0, 0]
    for layer in ("relu", "relu_1", "relu_2", "relu_3"):
        value = value - 0.1
        assert torch.equal(recording.inputs[layer][0, 0], value)
        value = value.clamp(min=0)
        assert torch.equal(recording.outputs[layer][0, 0], value)


@torch.no_grad()
def test_an_overwrite_that_no_earlier_pass_did_is_noticed():
    net = seeded(Branching())
    probe = Probe(net, torch.zeros(1, 1, 2, 2))
    bright = torch.full((1, 1, 2, 2), 3.0)
    assert torch.equal(probe.record(bright).outputs["conv"], net.conv(bright))
    assert probe.forward_count == 2  # the repeat is told
    assert torch.equal(probe.record(bright).outputs["conv"], net.conv(bright))
    assert probe.forward_count == 3


@torch.no_grad()
def test_an_overwrite_behind_the_back_of_versions_is_noticed():
    class Sly(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)

        def forward(self, x):
            maps = self.conv(x)
            maps.data.mul_(2)
            return maps

    net, x = seeded(Sly()), images(1)
    assert torch.equal(Probe(net, x).record(x).outputs["conv"], net.conv(x))


@torch.no_grad()
def test_a_load_leaves_earlier_recordings_alone():
    class Position(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.ones(1, 1, 6, 6))

        def forward(self, x):
            return self.table

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.position = Position()

        def forward(self, x):
            return x + self.position(x)

    probe = Probe(Net(), images(1))
    recording = probe.record(images(1))
    probe.load({"position.table": torch.zeros(1, 1, 6, 6)})
    assert recording.outputs["position"].eq(1).all()


def test_a_later_pass_leaves_earlier_recordings_alone():
    class Reuses(nn.Module):
        """Writes every output into the same memory."""

        def forward(self, x):
            if not hasattr(self, "memory"):
                self.memory = torch.empty_like(x)
            return torch.mul(x, 2, out=self.memory)

    probe = Probe(nn.Sequential(nn.Identity(), Reuses()), torch.ones(1, 1, 2, 2))
    first = probe.record(torch.ones(1, 1, 2, 2))
    probe.record(torch.full((1, 1, 2, 2), 5.0))
    assert first.outputs["1"].eq(2).all()


def test_bytes_are_counted_once_and_let_go():
    net, x = plain(), images(3, n=1)
    recording = Probe(net, x).record(x)
    maps = 4 * 4 * 36  # bytes of 4 maps of 6 x 6
    # conv and its batch norm, ReLU (dropout and flatten share it) before and after; 5 scores twice
    assert recording.nbytes == (1 + 2 + 2) * maps + 2 * 4 * 5 + 4 * 3
    assert recording.restricted(["9"]).nbytes == 4 * 3


def test_named_layers_alone_are_kept():
    net, x = residual(), images(3)
    probe = Probe(net, x)
    full, part = probe.record(x), probe.record(x, layers=["1.relu_1", "3"])
    assert list(part.outputs) == ["1.relu_1", "3"]
    assert list(part.inputs) == ["1.relu_1"]
    assert torch.equal(part.inputs["1.relu_1"], full.inputs["1.relu_1"])
    with pytest.raises(UnknownLayerError, match=r"unknown layer '1\.relu_7'"):
        probe.record(x, layers=["1.relu_7"])


def test_each_record_is_one_pass_and_checks_are_not_counted():
    net, x = Twice(), images(2)
    passes = []
    probe = Probe(net, x)
    assert probe.forward_count == 0
    replica_of(probe).register_forward_hook(lambda *_: passes.append(1))
    for n in (1, 2, 3):
        probe.load(net.state_dict(), key=n)
        probe.record(x)
        assert probe.forward_count == len(passes) == n


def test_bf16_and_ambient_modes_change_nothing():
    net, x = plain().bfloat16(), images(3).bfloat16()
    expected = Probe(net, x).record(x).outputs["9"]
    with torch.inference_mode(), torch.autocast("cpu"):
        found = Probe(net, x).record(x).outputs["9"]
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected)
    assert not found.is_inference()
