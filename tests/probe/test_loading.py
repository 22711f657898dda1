"""A checkpoint is copied whole or not at all."""

import weakref
from collections import OrderedDict

import pytest
import torch
from torch import nn

from convviz_widgets.errors import CheckpointError, InputError
from convviz_widgets.probe import Probe

from .nets import images, plain, replica_of, residual, seeded


@pytest.fixture
def probe():
    return Probe(seeded(plain()), images(3))


def changed(probe, **changes):
    state = {key: value.clone() for key, value in probe.original.items()}
    state.update({key.replace("__", "."): value for key, value in changes.items()})
    return state


def test_values_are_copied_not_aliased(probe):
    state = seeded(plain(), seed=1).state_dict()
    probe.load(state, key="one")
    state["0.weight"].zero_()
    expected = seeded(plain(), seed=1).eval()(images(3))
    assert probe.key == "one"
    assert torch.equal(probe.record(images(3)).result, expected)


def test_restore_brings_back_the_weights_of_the_beginning(probe):
    expected = probe.record(images(3)).result
    probe.load(seeded(plain(), seed=1).state_dict(), key="one")
    assert not torch.equal(probe.record(images(3)).result, expected)
    probe.restore(key="zero")
    assert probe.key == "zero"
    assert torch.equal(probe.record(images(3)).result, expected)


def test_without_an_original_restore_says_so():
    probe = Probe(plain(), images(3), keep_original=False)
    with pytest.raises(InputError, match="keep_original=True"):
        probe.restore()


def test_the_first_three_keys_are_named(probe):
    other = residual().state_dict()
    with pytest.raises(CheckpointError) as caught:
        probe.load(other)
    assert str(caught.value) == (
        "the checkpoint does not fit the model: missing 1.weight, 1.bias, 1.running_mean, ..."
        " (11 in all); unexpected 1.conv1.weight, 1.conv1.bias, 1.bn1.weight, ... (14 in all)"
    )


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"0__bias": torch.zeros(5)}, r"0\.bias: got shape \(5,\), expected \(4,\)"),
        ({"0__bias": torch.zeros(4, dtype=torch.int)}, "got torch.int32, expected torch.float32"),
        ({"0__bias": torch.zeros(4, device="meta")}, "meta tensor"),
        ({"0__bias": torch.zeros(4).to_sparse()}, "sparse"),
        ({"0__bias": [0.0]}, "got list, expected a tensor"),
    ],
)
def test_what_does_not_fit_writes_nothing_and_drops_the_key(probe, wrong, line):
    probe.load(probe.original, key="good")
    before = probe.record(images(3)).result
    with pytest.raises(CheckpointError, match=line):
        probe.load(changed(probe, **{"9__weight": torch.zeros(3, 5)}, **wrong), key="bad")
    assert probe.key is None
    assert torch.equal(probe.record(images(3)).result, before)


def test_other_precisions_are_converted_and_keep_the_models_own(probe):
    half = {key: value.bfloat16() for key, value in probe.original.items() if value.ndim}
    probe.load(changed(probe, **{key.replace(".", "__"): half[key] for key in half}))
    assert probe.weight("0").dtype == torch.float32
    assert torch.equal(probe.weight("0"), half["0.weight"].float())


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model.", "net.module.", "9."]
)
def test_the_prefixes_of_wrappers_are_taken_off(probe, prefix):
    probe.load({prefix + key: value for key, value in probe.original.items()}, key=prefix)
    assert probe.key == prefix


def test_a_prefix_is_taken_off_where_the_models_own_keys_share_one():
    net = nn.Sequential(OrderedDict(features=nn.Sequential(nn.Conv2d(3, 2, 1))))
    probe = Probe(net, images(3))
    probe.load({"model." + key: value + 1 for key, value in net.state_dict().items()})
    assert torch.equal(probe.bias("features.0"), net.features[0].bias + 1)


def test_the_model_beside_other_things_is_pointed_at(probe):
    state = {"net." + key: value for key, value in probe.original.items()}
    with pytest.raises(CheckpointError) as caught:
        probe.load({**state, "loss.weight": torch.ones(3)})
    assert str(caught.value) == (
        "the checkpoint does not fit the model: missing 0.weight, 0.bias, 1.weight, ... (13 in "
        "all); unexpected net.0.weight, net.0.bias, net.1.weight, ... (14 in all); "
        "state_dict_key='net' takes the part that fits"
    )


def test_tied_weights_stay_tied():
    net = nn.Sequential(nn.Conv2d(2, 2, 1, bias=False), nn.ReLU(), nn.Conv2d(2, 2, 1, bias=False))
    net[2].weight = net[0].weight
    probe = Probe(net, images(2))
    tied = torch.full((2, 2, 1, 1), 3.0)
    probe.load({"0.weight": tied, "2.weight": tied})
    assert replica_of(probe)[0].weight is replica_of(probe)[2].weight
    assert torch.equal(probe.weight("2"), tied)


def test_batch_norm_counts_and_unsaved_buffers_are_kept():
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    net.register_buffer("scale", torch.ones(1), persistent=False)
    for _ in range(3):
        net(images(3))
    probe = Probe(net, images(3))
    probe.load(net.state_dict())
    probe.record(images(3))
    assert replica_of(probe)[1].num_batches_tracked == 3
    assert replica_of(probe).scale == 1


def test_the_weight_given_out_is_the_callers(probe):
    probe.weight("0").zero_()
    assert probe.weight("0").ne(0).any()
    assert probe.weight("2") is None
    assert probe.bias("9").shape == (3,)


def test_a_probe_that_is_let_go_of_takes_its_copy_of_the_model_along_at_once():
    probe = Probe(residual().eval(), images(3))
    probe.record(images(3))
    replica = weakref.ref(replica_of(probe))
    del probe
    assert replica() is None  # without waiting for a garbage collection
