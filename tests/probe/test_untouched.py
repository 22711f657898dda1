"""Whatever a Probe does, the user's model and random generators are as before."""

import hashlib
import random
from contextlib import suppress

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convviz_widgets.errors import ConvVizError
from convviz_widgets.probe import Probe, list_layers

from .nets import Residual, images

HOOKS = [name for name in vars(nn.Module()) if name.endswith(("_hooks", "_hooks_with_kwargs"))]


def digest(model):
    """Return one hash over all that a user could notice."""
    sha = hashlib.sha256()
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        grad = None if tensor.grad is None else tensor.grad.tolist()
        sha.update(repr((name, id(tensor), tensor.tolist(), tensor._version)).encode())
        sha.update(repr((tensor.requires_grad, grad, tensor.is_leaf)).encode())
    for name, module in model.named_modules():
        hooks = [(key, list(vars(module)[key].items())) for key in HOOKS]
        sha.update(repr((name, id(module), module.training, sorted(vars(module)), hooks)).encode())
    sha.update(torch.get_rng_state().numpy().tobytes())
    sha.update(repr((random.getstate(), np.random.get_state())).encode())  # noqa: NPY002
    return sha.hexdigest()


class Net(nn.Module):
    """Raises what it is told to, in any copy of it."""

    error: type[BaseException] | None = None

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.block = Residual()
        self.head = nn.Linear(4, 2)
        self.register_buffer("seen", torch.zeros(1), persistent=False)

    def forward(self, x):
        x = F.dropout(self.block(self.stem(x.sub_(0.5))), 0.3)
        if Net.error is not None:
            raise Net.error("stop")
        return self.head(x.mean((2, 3)))


@pytest.fixture
def net():
    net = Net()
    net(images(3)).sum().backward()
    net.stem.bias.requires_grad_(False)
    net.block.bn1.eval()
    net.block.register_forward_hook(lambda *_: pytest.fail("the user's hook ran on the copy"))
    net.stem.register_full_backward_hook(lambda *_: pytest.fail("the user's hook ran on the copy"))
    return net


def use(net, fail=None, monkeypatch=None):
    probe = Probe(net, images(3))
    probe.load(net.state_dict(), key="a")
    with suppress(ConvVizError):
        probe.load({"stem.weight": torch.zeros(1)})
    if fail is not None:
        monkeypatch.setattr(Net, "error", fail)
    probe.record(images(3))
    probe.weight("stem").zero_()
    with suppress(ConvVizError):
        probe.record(images(1))
    probe.backward(images(3), lambda scores: scores.sum())
    list_layers(net, images(3))
    probe.restore()


def test_after_looking(net):
    before = digest(net)
    use(net)
    assert digest(net) == before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("late", [True, False])
def test_after_a_forward_that_raises(net, monkeypatch, error, late):
    before = digest(net)
    if not late:
        monkeypatch.setattr(Net, "error", error)
    with pytest.raises((ConvVizError, KeyboardInterrupt)):
        use(net, error, monkeypatch)
    assert digest(net) == before


def test_after_an_interrupted_load(net, monkeypatch):
    before = digest(net)
    probe = Probe(net, images(3))
    probe.load(net.state_dict(), key="a")

    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(nn.Module, "load_state_dict", interrupt)
    with pytest.raises(KeyboardInterrupt):
        probe.load(net.state_dict(), key="b")
    assert probe.key is None
    assert digest(net) == before


def test_a_probe_recovers_from_an_interrupted_pass(net, monkeypatch):
    probe = Probe(net, images(3))
    expected = probe.record(images(3)).outputs["head"]
    monkeypatch.setattr(Net, "error", KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        probe.record(images(3))
    monkeypatch.undo()
    assert torch.equal(probe.record(images(3)).outputs["head"], expected)


def test_the_images_given_are_not_written_into(net):
    x = images(3)
    probe = Probe(net, x)  # the net subtracts 0.5 in place
    probe.record(x)
    probe.backward(x, torch.sum)
    assert torch.equal(x, images(3))


def test_a_closure_that_runs_the_original_is_stopped_before_it_does(net):
    class Closed(nn.Module):
        def __init__(self):
            super().__init__()
            self.bn = nn.BatchNorm2d(3)
            self.run = lambda x: self.bn(x)

        def forward(self, x):
            return self.run(x)

    closed = Closed()
    before = digest(closed)
    with pytest.raises(ConvVizError, match="holds on to the original's 'bn"):
        Probe(closed, images(3))
    assert digest(closed) == before


def test_compiled_models_are_looked_through(net):
    compiled = torch.compile(net, backend="eager")
    inside = nn.Sequential(torch.compile(net, backend="eager"))
    before = digest(net)
    assert list_layers(compiled, images(3)) == list_layers(net, images(3))
    assert list_layers(inside, images(3))[0].name == "0.stem"
    Probe(compiled, images(3)).load(compiled.state_dict())
    Probe(inside, images(3)).load(inside.state_dict())
    assert digest(net) == before


def test_training_goes_on_bit_identically_with_a_probe_beside_it():
    def train(look):
        torch.manual_seed(0)
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        probe = Probe(net, images(3)) if look else None
        for _ in range(3):
            optimizer.zero_grad()
            net(images(3)).square().sum().backward()
            optimizer.step()
            if probe is not None:
                probe.load(net.state_dict())
                probe.record(images(3))
        return torch.cat([parameter.flatten() for parameter in net.parameters()])

    assert torch.equal(train(look=True), train(look=False))
