"""What is measured equals what torch, autograd and a count by hand say."""

import math
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convviz_widgets.measure import (
    BIASES,
    OUTPUT_GRADIENTS,
    OUTPUTS,
    PRE_ACTIVATIONS,
    WEIGHT_GRADIENTS,
    WEIGHTS,
    measure_activations,
    measure_filters,
    measure_gradients,
    measure_parameters,
    measure_updates,
    weights_of,
)
from convviz_widgets.probe import Probe


def identity_net(inplace=False):
    """A 1×1 convolution that returns the image, its negative, and -1 everywhere."""
    net = nn.Sequential(
        nn.Conv2d(1, 3, 1), nn.ReLU(inplace=inplace), nn.Flatten(), nn.Linear(12, 2)
    )
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([1.0, -1.0, 0.0]).reshape(3, 1, 1, 1))
        net[0].bias.copy_(torch.tensor([0.0, 0.0, -1.0]))
        net[3].weight.copy_(torch.tensor([[0.5], [-0.25]]).expand(2, 12))
        net[3].bias.zero_()
    return net.eval()


IMAGES = torch.tensor([[1.0, -2.0, 0.0, 1.0], [3.0, 3.0, 3.0, 3.0]]).reshape(2, 1, 2, 2)
LABELS = torch.tensor([0, 1])


def entropy(output):
    return F.cross_entropy(output, LABELS)


@pytest.fixture(params=[True, False], ids=["inplace", "plain"])
def probe(request):
    return Probe(identity_net(request.param), IMAGES)


def test_activations_by_hand(probe):
    found = measure_activations(probe, [IMAGES])
    before, after = found.distributions["1", PRE_ACTIVATIONS], found.distributions["1", OUTPUTS]
    assert (found.images, before.n, before.low, before.high) == (2, 24, -3.0, 3.0)
    assert (after.zeros, after.low, after.high) == (17, 0.0, 3.0)
    assert before.moments.mean == pytest.approx(-1 / 3)  # channel 2 is -1, the others cancel
    assert found.distributions["0", OUTPUTS].low == -3.0


def test_dead_and_firing_channels_are_counted_by_image(probe):
    np.testing.assert_array_equal(measure_activations(probe, [IMAGES]).fired["1"], [2, 1, 0])


def test_concentration_is_the_mean_over_the_maps_that_are_not_zero(probe):
    found = measure_activations(probe, [IMAGES])
    # [1, 0, 0, 1] and [0, 2, 0, 0] hold half of their mass in 1 of 4, [3, 3, 3, 3] in 2.
    assert found.concentration["1"] == pytest.approx((0.25 + 0.25 + 0.5) / 3)


def test_batches_add_up_to_the_whole(probe):
    whole = measure_activations(probe, [IMAGES])
    parts = measure_activations(probe, IMAGES.split(1))
    assert parts.images == 2
    for name, counted in whole.distributions.items():
        np.testing.assert_array_equal(parts.distributions[name].counts, counted.counts)
    np.testing.assert_array_equal(parts.fired["1"], whole.fired["1"])
    assert parts.concentration == pytest.approx(whole.concentration)


def test_gradients_equal_those_of_autograd(probe):
    found = measure_gradients(probe, IMAGES, entropy)
    net = identity_net()
    hidden = net[0](IMAGES)
    hidden.retain_grad()
    loss = entropy(net[1:](hidden))
    loss.backward()
    for name, expected in (
        (("0", OUTPUT_GRADIENTS), hidden.grad),
        (("0", WEIGHT_GRADIENTS), net[0].weight.grad),
        (("3", WEIGHT_GRADIENTS), net[3].weight.grad),
    ):
        counted = found.distributions[name]
        assert counted.n == expected.numel()
        assert counted.moments.norm == pytest.approx(expected.norm().item(), rel=1e-5)
        assert counted.zeros == int((expected == 0).sum())
        assert found.magnitudes[name] == pytest.approx(expected.abs().mean().item(), rel=1e-5)
    assert found.loss == pytest.approx(loss.item())


def test_a_layer_that_no_gradient_reaches_is_all_zeros():
    net = identity_net()
    with torch.no_grad():
        net[3].weight.zero_()
    found = measure_gradients(Probe(net, IMAGES), IMAGES, entropy)
    assert found.distributions["1", OUTPUT_GRADIENTS].moments.norm == 0.0
    assert found.distributions["3", OUTPUT_GRADIENTS].moments.norm > 0.0


def test_parameters_are_counted_without_a_pass(probe):
    found = measure_parameters(probe)
    assert set(found.distributions) == {
        (layer, quantity) for layer in ("0", "3") for quantity in (WEIGHTS, BIASES)
    }
    weights = found.distributions["0", WEIGHTS]
    assert (weights.n, weights.zeros, weights.low, weights.high) == (3, 1, -1.0, 1.0)
    assert (probe.forward_count, found.images) == (0, 0)


def test_update_ratios_by_hand(probe):
    before = weights_of(probe)
    moved = identity_net().state_dict()
    moved["3.weight"] = moved["3.weight"] * 1.5
    probe.load(moved)
    found = measure_updates(probe, before).update_ratios
    assert found == pytest.approx({"0": 0.0, "3": 0.5})


def test_the_ratio_to_weights_of_zero_is_undefined(probe):
    before = {name: weight * 0 for name, weight in weights_of(probe).items()}
    ratios = measure_updates(probe, before).update_ratios
    assert set(ratios) == {"0", "3"}
    assert all(math.isnan(ratio) for ratio in ratios.values())


def test_counts_are_kept_in_the_smallest_type(probe):
    found = measure_activations(probe, [IMAGES])
    assert {each.counts.dtype for each in found.distributions.values()} == {np.dtype(np.uint8)}
    assert found.nbytes == sum(e.counts.size for e in found.distributions.values()) + 3 * 8


def test_the_twin_of_a_probe_has_weights_and_counts_of_its_own(probe):
    broken = {name: value * float("nan") for name, value in identity_net().state_dict().items()}
    probe.load(broken, "broken")
    twin = probe.twin()(IMAGES)
    twin.load({name: value + 1 for name, value in identity_net().state_dict().items()}, "other")
    twin.record(IMAGES)
    assert (probe.key, probe.forward_count) == ("broken", 0)
    assert probe.weight("0").isnan().all()
    assert [info.name for info in twin.layers] == [info.name for info in probe.layers]


def filter_network():
    """A convolution of 5×5, a pointwise one, a depthwise one and a linear layer."""
    torch.manual_seed(0)
    layers = {
        "first": nn.Conv2d(3, 8, 5),
        "pointwise": nn.Conv2d(8, 6, 1),
        "depthwise": nn.Conv2d(6, 6, 5, groups=6),
        "flatten": nn.Flatten(),
        "linear": nn.Linear(6 * 8 * 8, 2),
    }
    model = nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    return model


def test_only_kernels_with_extent_over_several_inputs_are_measured():
    probe = Probe(filter_network(), torch.zeros(1, 3, 16, 16))
    filters = measure_filters(probe).filters
    assert set(filters) == {"first"}
    assert filters["first"].count == 8
    assert math.isnan(filters["first"].cosine)


def test_against_itself_nothing_has_changed_and_against_smaller_weights_only_the_size():
    probe = Probe(filter_network(), torch.zeros(1, 3, 16, 16))
    start = weights_of(probe)
    same = measure_filters(probe, start).filters["first"]
    np.testing.assert_allclose(same.cosine, 1.0)
    assert math.isnan(same.update_share)
    halved = measure_filters(probe, {"first": start["first"] / 2}).filters["first"]
    np.testing.assert_allclose(halved.cosine, 1.0)
    assert halved.update_share == same.share


def same(first, second):
    """Tell whether two measurements are equal to the last bit, NaN being equal to NaN."""
    return pickle.dumps(first) == pickle.dumps(second)


@pytest.fixture
def interrupted(probe):
    """A pause in which others load weights of their own, and how often it was called."""
    own = probe.original

    def pause():
        probe.load({name: value + 1 for name, value in own.items()})
        probe.load(own)
        pause.count += 1

    pause.count = 0
    return pause


def test_pauses_change_nothing_to_the_last_bit(probe, interrupted):
    earlier = {name: weight + 0.1 for name, weight in weights_of(probe).items()}
    for measure in (
        measure_parameters,
        lambda probe, *pause: measure_updates(probe, earlier, *pause),
        lambda probe, *pause: measure_gradients(probe, IMAGES, entropy, *pause),
    ):
        before = interrupted.count
        assert same(measure(probe), measure(probe, interrupted))
        assert interrupted.count - before >= 4  # layers
    assert weights_of(probe, interrupted).keys() == earlier.keys()


def test_pauses_between_filters_change_nothing_to_the_last_bit():
    probe, pauses = Probe(filter_network(), torch.zeros(1, 3, 16, 16)), []
    start = {"first": weights_of(probe)["first"] + 0.1}
    whole = measure_filters(probe, start)
    assert same(whole, measure_filters(probe, start, lambda: pauses.append(1)))
    assert len(pauses) == len(probe.layers)


def test_updates_from_single_precision_are_those_from_double_to_the_last_bit():
    probe = Probe(filter_network(), torch.zeros(1, 3, 16, 16))
    before = {name: weight * 1.1 for name, weight in weights_of(probe).items()}
    assert {each.dtype for each in before.values()} == {torch.float32}
    doubled = {name: weight.double() for name, weight in before.items()}
    assert same(measure_updates(probe, before), measure_updates(probe, doubled))


BATCH = torch.rand(10, 1, 2, 2, generator=torch.Generator().manual_seed(3))

TRUE = torch.arange(10) % 2


def mean_entropy(output):
    return F.cross_entropy(output, TRUE)


def no_sum_over_images(output):
    output.mul_(2)  # in place, as a loss may
    return mean_entropy(output) + output.std() * output.max()


@pytest.mark.parametrize("loss", [mean_entropy, no_sum_over_images])
def test_gradients_of_pieces_are_those_of_the_batch_whatever_the_loss(probe, interrupted, loss):
    whole = measure_gradients(probe, BATCH, loss)
    backwards = probe.backward_count
    cut = measure_gradients(probe, BATCH, loss, interrupted, 4)
    assert probe.backward_count - backwards == 3  # of 4, 4 and 2 images
    assert (cut.images, cut.loss) == (10, pytest.approx(whole.loss))
    assert dict(cut.magnitudes) == pytest.approx(dict(whole.magnitudes), rel=1e-5)
    for name, counted in whole.distributions.items():
        found = cut.distributions[name]
        assert (found.n, found.zeros) == (counted.n, counted.zeros)
        assert found.moments.norm == pytest.approx(counted.moments.norm, rel=1e-5)


class Centred(nn.Module):
    """Takes half the mean of the batch away: what one image gives depends on the others."""

    def forward(self, scores):
        return scores - scores.mean(dim=0) / 2


class Twice(nn.Module):
    """Puts out a pair."""

    def forward(self, scores):
        return scores, scores


@pytest.mark.parametrize("last", [Centred, Twice])
def test_a_batch_that_cannot_be_cut_goes_through_as_a_whole(last):
    def loss(output):
        return mean_entropy(output[0] if isinstance(output, tuple) else output)

    probe = Probe(identity_net().append(last()), IMAGES)
    whole = measure_gradients(probe, BATCH, loss)
    assert same(measure_gradients(probe, BATCH, loss, at_once=4), whole)
    assert probe.backward_count == 2
