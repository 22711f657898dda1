"""Gradients by outputs and weights equal those of plain autograd and of finite differences."""

import pytest
import torch
from torch import nn

from convviz_widgets.errors import InputError, ModelError
from convviz_widgets.probe import Probe

from .nets import NETS, Functional, images, plain, replica_of, residual, seeded


def squared(result):
    scores = result["scores"] if isinstance(result, dict) else result
    return scores.square().sum()


@pytest.mark.parametrize("name", NETS)
def test_weight_gradients_equal_those_of_training(name):
    make, channels = NETS[name]
    net = seeded(make()).eval()
    found = Probe(net, images(channels)).backward(images(channels), squared)
    loss = squared(net(images(channels)))
    loss.backward()
    assert found.loss == pytest.approx(loss.item())
    assert found.weights
    for layer, gradient in found.weights.items():
        owner = {"conv_2": "conv"}.get(layer, layer)
        torch.testing.assert_close(gradient, net.get_submodule(owner).weight.grad)
        torch.testing.assert_close(found.biases[layer], net.get_submodule(owner).bias.grad)


def test_output_gradients_equal_those_of_the_twin_without_in_place_operations():
    probe, twin = (Probe(seeded(plain(inplace)), images(3)) for inplace in (True, False))
    found, expected = (p.backward(images(3), squared) for p in (probe, twin))
    assert list(found.outputs) == [info.name for info in probe.layers]
    for layer, gradient in found.outputs.items():
        assert torch.equal(gradient, expected.outputs[layer]), layer


@torch.no_grad()
@pytest.mark.parametrize("inplace", [True, False])
def test_output_gradients_equal_finite_differences(inplace):
    net = seeded(residual(inplace=inplace)).double().eval()
    x = images(3, n=1).double()
    found = Probe(net, x).backward(x, squared).outputs
    names = {"0": 0, "1.bn1": 0, "1.relu": 0, "1.bn2": 0, "1.relu_1": 1, "2": 0}
    for layer, call in names.items():
        expected = _difference(net, x, layer.removesuffix("_1"), call)
        assert found[layer].flatten()[0].item() == pytest.approx(expected, abs=1e-5), layer


def _difference(net, x, name, call, step=1e-6):
    """Return the slope of the loss by the first value that the module's call returns."""

    def loss(change):
        calls = iter(range(9))

        def nudge(module, args, output):
            if next(calls) == call:
                output.flatten()[0] += change

        with net.get_submodule(name).register_forward_hook(nudge):
            return squared(net(x.clone())).item()

    return (loss(step) - loss(-step)) / (2 * step)


def test_an_in_place_activation_whose_result_is_dropped_has_its_gradient():
    net = Functional()
    nn.init.dirac_(net.conv.weight)
    nn.init.zeros_(net.conv.bias)
    x = torch.full((1, 1, 2, 2), 2.0)
    found = Probe(net, x).backward(x, torch.sum).outputs
    assert all(found[f"relu{call}"].unique().tolist() == [0, 0.25] for call in ("", "_1", "_2"))
    assert found["relu_3"].unique().tolist() == [0.25]  # the mean gives both channels a share


def test_a_layer_that_the_loss_does_not_use_has_zeros():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten())
    found = Probe(net, images(1)).backward(images(1), lambda scores: scores[:, :36].sum())
    assert found.outputs["0"].flatten(2)[0].tolist() == [[1.0] * 36, [0.0] * 36]
    assert found.images.shape == (2, 1, 6, 6)


def test_nothing_is_left_on_the_replica_and_the_pass_is_counted_apart():
    probe = Probe(plain(), images(3))
    probe.backward(images(3), squared)
    assert (probe.forward_count, probe.backward_count) == (0, 1)
    assert all(parameter.grad is None for parameter in replica_of(probe).parameters())


def test_a_loss_that_cannot_be_differentiated_is_told():
    probe = Probe(plain(), images(3))
    with pytest.raises(InputError, match=r"must return a scalar tensor, got \(2, 3\)"):
        probe.backward(images(3), lambda scores: scores)
    with pytest.raises(ModelError, match="no gradient reaches the loss"):
        probe.backward(images(3), lambda scores: scores.detach().sum())
