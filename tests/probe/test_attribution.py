"""Gradient, guided backpropagation, deconvnet: against Captum, by hand, in every spelling."""

import hashlib

import pytest
import torch
import torch.nn.functional as F
from captum.attr import (
    Deconvolution,
    GuidedBackprop,
    NeuronDeconvolution,
    NeuronGuidedBackprop,
    Saliency,
)
from torch import nn

from convviz_widgets.errors import InputError, ModelError, SelectionError
from convviz_widgets.probe import Probe, attribute, attributions

from .nets import seeded

METHODS = ("gradient", "guided", "deconvnet")


class Net(nn.Module):
    """Two rectified convolutions, a pool after each, a sum around the second; any spelling."""

    def __init__(self, relu=F.relu):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 5)
        self.relu1, self.relu2 = (relu(), relu()) if isinstance(relu, type) else (relu, relu)

    def forward(self, x):
        x = F.max_pool2d(self.relu1(self.norm(self.conv1(x))), 2)
        x = self.relu2(self.conv2(x) + x)
        return self.head(F.avg_pool2d(x, 3).mean((2, 3)))


class InPlace(nn.ReLU):
    def __init__(self):
        super().__init__(inplace=True)


SPELLINGS = {
    "F.relu": F.relu,
    "F.relu in place": lambda x: F.relu(x, inplace=True),
    "torch.relu": torch.relu,
    "relu_": lambda x: x.relu_(),
    "in-place module": InPlace,
}


@pytest.fixture
def image():
    return torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def net():
    return seeded(Net(nn.ReLU), seed=1).eval()


@pytest.mark.parametrize(
    ("method", "captum"), [("guided", GuidedBackprop), ("deconvnet", Deconvolution)]
)
@pytest.mark.filterwarnings("ignore::UserWarning:captum")
def test_a_class_has_the_map_that_captum_gives_it(net, image, method, captum):
    for target in range(5):
        theirs = captum(net).attribute(image[None].clone().requires_grad_(), target=target)[0]
        assert torch.equal(attribute(net, image, target=target, method=method), theirs)
        assert theirs.abs().max() > 0


@pytest.mark.parametrize(
    ("method", "captum"), [("guided", NeuronGuidedBackprop), ("deconvnet", NeuronDeconvolution)]
)
@pytest.mark.filterwarnings("ignore::UserWarning:captum")
def test_a_unit_has_the_map_that_captum_gives_it(net, image, method, captum):
    maps = net.conv2(F.max_pool2d(F.relu(net.norm(net.conv1(image[None]))), 2))[0]
    channel, row, col = (maps > 0).nonzero()[3].tolist()
    leaf = image[None].clone().requires_grad_()
    theirs = captum(net, net.conv2).attribute(leaf, (channel, row, col))[0]
    ours = attribute(net, image, unit=("conv2", channel, (row, col)), method=method)
    assert torch.equal(ours, theirs)


def test_the_gradient_is_the_one_of_autograd(net, image):
    theirs = Saliency(net).attribute(image[None].clone().requires_grad_(), 2, abs=False)[0]
    assert torch.equal(attribute(net, image, target=2), theirs)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_all_spellings_of_a_relu_give_the_same_map(net, image, method, spelling):
    other = Net(SPELLINGS[spelling])
    other.load_state_dict(net.state_dict())
    for asked in ({"target": 1}, {"unit": ("conv2", 2, (1, 1))}, {"unit": ("norm", 0)}):
        if "unit" in asked:
            assert attributions(Probe(net, image[None]), image[None], **asked).values > 0
        expected = attribute(net, image, method=method, **asked)
        assert torch.equal(attribute(other, image, method=method, **asked), expected)


def zeiler_fergus(net, image, channel):
    """Conv-relu-pool twice by hand: switches, unpooling, rectifying, transposed filters."""
    conv1, conv2 = net[0], net[3]
    first, switches1 = F.max_pool2d(F.relu(conv1(image[None])), 2, return_indices=True)
    maps = F.relu(conv2(first))
    pooled, switches2 = F.max_pool2d(maps, 2, return_indices=True)
    seed = torch.zeros_like(pooled)
    seed[0, channel].view(-1)[pooled[0, channel].argmax()] = 1
    signal = F.max_unpool2d(seed, switches2, 2, output_size=maps.shape)
    signal = F.conv_transpose2d(F.relu(signal), conv2.weight, padding=1)
    signal = F.max_unpool2d(signal, switches1, 2)
    return F.conv_transpose2d(F.relu(signal), conv1.weight, padding=2)[0]


def test_the_deconvnet_is_the_chain_of_the_paper(image):
    net = seeded(
        nn.Sequential(
            nn.Conv2d(3, 4, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
    )
    image = F.interpolate(image[None], size=12, mode="bilinear")[0]
    for channel in range(6):
        ours = attribute(net, image, unit=("5", channel, None), method="deconvnet")
        theirs = zeiler_fergus(net, image, channel)
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-6, atol=1e-7)


def test_the_three_rules_by_hand():
    """One pixel each: on and off ReLUs, meeting signals of both signs."""
    net = nn.Sequential(nn.ReLU(), nn.Conv2d(1, 1, (1, 4), bias=False))
    net[1].weight.data = torch.tensor([[[[1.0, 1.0, -2.0, -2.0]]]])
    image = torch.tensor([[[3.0, -1.0, 1.0, -1.0]]])
    maps = {name: attribute(net, image, unit=("1", 0), method=name).tolist() for name in METHODS}
    assert maps == {
        "gradient": [[[1.0, 0.0, -2.0, 0.0]]],
        "guided": [[[1.0, 0.0, 0.0, 0.0]]],
        "deconvnet": [[[1.0, 1.0, 0.0, 0.0]]],
    }


def test_relu6_follows_the_rules_and_lets_no_gradient_through_where_it_is_saturated():
    net = nn.Sequential(nn.ReLU6(), nn.Conv2d(1, 1, (1, 3), bias=False))
    net[1].weight.data.fill_(1.0)
    image = torch.tensor([[[1.0, 9.0, -1.0]]])
    assert attribute(net, image, unit=("1", 0), method="guided").tolist() == [[[1.0, 0.0, 0.0]]]
    assert attribute(net, image, unit=("1", 0), method="deconvnet").tolist() == [[[1.0] * 3]]


@pytest.mark.parametrize(
    "activation", [nn.GELU, nn.SiLU, nn.Mish, nn.ELU, nn.LeakyReLU, nn.PReLU, nn.Tanh, nn.Sigmoid]
)
def test_other_activations_keep_their_own_derivative_and_are_named(activation, image):
    net = seeded(nn.Sequential(nn.Conv2d(3, 2, 3), activation(), nn.Conv2d(2, 1, 2)))
    probe, unit = Probe(net, image[None]), ("2", 0, (0, 0))
    gradient = attributions(probe, image[None], unit=unit)
    deconvnet = attributions(probe, image[None], unit=unit, method="deconvnet")
    assert torch.equal(gradient.maps, deconvnet.maps)
    assert deconvnet.kept == (activation.__name__,)


def test_local_response_normalisation_is_the_identity_for_the_deconvnet(image):
    norm = nn.LocalResponseNorm(3, alpha=1.0)
    with_norm = seeded(nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU()))
    without = nn.Sequential(with_norm[0], nn.Identity(), nn.ReLU())
    unit = ("2", 1, (1, 3))
    gradients = [attribute(net, image, unit=unit) for net in (with_norm, without)]
    assert not torch.allclose(*gradients)
    maps = [attribute(net, image, unit=unit, method="deconvnet") for net in (with_norm, without)]
    torch.testing.assert_close(*maps)


def test_overlapping_pools_add_up():
    net = nn.Sequential(nn.MaxPool2d(3, stride=1), nn.Conv2d(1, 1, (1, 3), bias=False))
    net[1].weight.data.fill_(1.0)
    image = torch.zeros(1, 3, 5)
    image[0, 1, 2] = 1
    assert attribute(net, image, unit=("1", 0), method="deconvnet")[0, 1, 2] == 3


def test_a_batch_has_the_maps_of_its_images(net, image):
    images = torch.stack([image, -image, image.flip(2)])
    probe = Probe(net, images)
    for position in (None, (1, 2), [(0, 0), (1, 2), (2, 1)]):
        unit = ("conv2", 1, position)
        found = attributions(probe, images, unit=unit, method="guided")
        for index, at in enumerate(found.positions):
            alone = attributions(
                probe, images[index : index + 1], unit=("conv2", 1, at), method="guided"
            )
            torch.testing.assert_close(found.maps[index], alone.maps[0])
            torch.testing.assert_close(found.values[index], alone.values[0])


def test_a_direction_along_one_axis_is_that_channel(net, image):
    probe, images = Probe(net, image[None]), image[None]
    along = torch.tensor([0.0, 0.0, 1.0, 0.0])
    maps = [attributions(probe, images, unit=("conv2", channel)).maps for channel in (2, along)]
    torch.testing.assert_close(*maps)


def test_without_a_position_the_strongest_one_is_taken(net, image):
    maps = Probe(net, image[None]).record(image[None]).outputs["conv2"][0, 1]
    row, col = divmod(maps.argmax().item(), 3)
    assert torch.equal(
        attribute(net, image, unit=("conv2", 1, None)),
        attribute(net, image, unit=("conv2", 1, (row, col))),
    )


def test_without_a_target_the_predicted_class_is_taken(net, image):
    predicted = net(image[None]).argmax().item()
    assert torch.equal(attribute(net, image), attribute(net, image, target=predicted))


def test_maps_are_float32_signed_and_shaped_like_the_image(net, image):
    double = attribute(net.double(), image.double(), target=0)
    assert double.shape == image.shape
    assert double.dtype == torch.float32
    assert double.min() < 0 < double.max()


def test_nothing_of_the_model_changes(image):
    net = seeded(Net(InPlace)).train()
    net(torch.stack([image, -image])).sum().backward()

    def digest():
        state = [*net.named_parameters(), *net.named_buffers()]
        text = repr([(n, t.tolist(), t._version, getattr(t, "grad", None)) for n, t in state])
        text += repr([(m.training, m._forward_hooks, m._backward_hooks) for m in net.modules()])
        return hashlib.sha256((text + repr(torch.get_rng_state().tolist())).encode()).hexdigest()

    before, kept = digest(), image.clone()
    for method in METHODS:
        attribute(net, image, target=1, method=method)
    assert digest() == before
    assert torch.equal(image, kept)


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"method": "smooth"}, InputError, "unknown method 'smooth'.* gradient, guided, deconvnet"),
        ({"target": 5}, SelectionError, "no class 5 in this model; it has 0 to 4"),
        ({"target": 1, "unit": ("conv2", 0)}, InputError, "both target= and unit="),
        ({"unit": "conv2"}, InputError, r"expected unit=\(layer, channel"),
        ({"unit": ("conv9", 0)}, SelectionError, "unknown layer 'conv9'; did you mean"),
        ({"unit": ("conv2", 4)}, SelectionError, "no channel 4 in conv2; it has 0 to 3"),
        ({"unit": ("conv2", 0, (3, 0))}, SelectionError, "no row 3 in conv2; it has 0 to 2"),
        ({"unit": ("conv2", 0, (1,))}, SelectionError, r"a position in conv2 is \(row, column\)"),
        ({"unit": ("conv2", 0, 1)}, InputError, r"expected a position in conv2, \(row, col\)"),
        (
            {"unit": ("head", 0, (1, 1))},
            SelectionError,
            r"a position in head is \(\), got \(1, 1\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(net, image, asked, error, words):
    with pytest.raises(error, match=words) as caught:
        attribute(net, image, **asked)
    assert "\n" not in str(caught.value)


def test_a_unit_that_is_off_has_nothing_to_reconstruct(image):
    net = seeded(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()))
    net[0].bias.data.fill_(-100.0)
    with pytest.raises(InputError, match=r"nothing to reconstruct: .* is 0 on this image"):
        attribute(net, image, unit=("1", 0), method="deconvnet")
    assert attribute(net, image, unit=("1", 0)).abs().max() == 0


def test_a_layer_without_gradients_is_named(image):
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)
            self.head = nn.Conv2d(2, 2, 1)

        def forward(self, x):
            with torch.no_grad():
                x = self.conv(x)
            return self.head(x)

    with pytest.raises(ModelError, match="no gradient reaches conv: it runs under no_grad"):
        attribute(Frozen(), image, unit=("conv", 0))
    with pytest.raises(InputError, match="no class scores"):
        attribute(Frozen(), image, target=0)


@pytest.mark.parametrize("image", [torch.zeros(2, 3, 6, 6), torch.zeros(6, 6), "cat.png"])
def test_anything_but_one_image_is_refused(net, image):
    with pytest.raises(InputError, match="expected one image"):
        attribute(net, image)
