"""What cannot be looked at is refused in one line that says what to change."""

import threading
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convviz_widgets.errors import ConvVizError, InputError, ModelError
from convviz_widgets.probe import Probe, list_layers

from .nets import images, plain, residual


class Does(nn.Module):
    """A convolution, followed by what a test passes in."""

    def __init__(self, then):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.then = then

    def forward(self, x):
        return self.then(self.conv(x))


def refusal(model, error=ModelError, x=None):
    with pytest.raises(error) as caught:
        Probe(model, images(3) if x is None else x)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_an_attribute_that_cannot_be_copied_is_named():
    net = plain()
    net[2].lock = threading.Lock()
    assert refusal(net) == (
        "the model cannot be copied: .lock of module '2' (lock): cannot pickle '_thread.lock' "
        "object; make it in forward(), or give its class a __deepcopy__"
    )


def test_a_kept_activation_with_its_history_is_named():
    net = plain()
    net.features = net[0](images(3))
    assert ".features of the model is a tensor with a gradient history" in refusal(net)


def test_legacy_weight_norm_points_to_its_successor():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        conv = nn.utils.weight_norm(nn.Conv2d(3, 2, 1))
    line = refusal(nn.Sequential(conv))
    assert ".weight of module '0' is a tensor with a gradient history" in line
    assert "torch.nn.utils.parametrizations" in line


def test_a_copy_that_shares_the_original_is_noticed():
    class Same(nn.Sequential):
        def __deepcopy__(self, memo):
            return self

    assert "still shares '0'" in refusal(nn.Sequential(Same(nn.Conv2d(3, 2, 1))))


def test_a_model_that_ignores_its_weights_is_refused():
    copied = nn.Conv2d(3, 2, 1).weight.detach()
    assert "output ignores its weights" in refusal(Does(lambda maps: torch.relu(maps * 0)))
    net = nn.Sequential(Does(lambda maps: maps), nn.Flatten())
    net[0].forward = lambda x: F.conv2d(x, copied)
    assert "output ignores its weights" in refusal(net)


@pytest.mark.parametrize("hides", ["zeros", "dead", "not a number"])
def test_weights_that_the_first_image_hides_are_no_reason_to_refuse(hides):
    net = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.ReLU(), nn.Conv2d(2, 1, 1, bias=False))
    if hides == "dead":
        net[0].weight.data.fill_(-1)
    if hides == "not a number":
        net[0].weight.data.fill_(torch.nan)
    x = torch.zeros(1, 3, 4, 4) if hides == "zeros" else torch.ones(1, 3, 4, 4)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    probe = Probe(net, x)
    assert torch.equal(probe.weight("0").nan_to_num(), before["0.weight"].nan_to_num())


def test_a_wrong_image_is_told_with_what_was_expected():
    assert refusal(plain(), InputError, images(3).permute(0, 2, 3, 1)).endswith(
        "expects 3 channels, got 6; this looks like NHWC: permute(0, 3, 1, 2)"
    )
    assert refusal(plain(), InputError, images(1)) == (
        "got images of shape (1, 6, 6), which do not fit the model: "
        "layer '0' (Conv2d) expects 3 channels, got 1"
    )
    probe = Probe(plain(), images(3))
    wrong = {
        r"expected images \(N, 3, 6, 6\), got \(3, 6, 6\)": images(3)[0],
        r"got images of shape \(1, 6, 6\), expected \(3, 6, 6\): layer '0' .* got 1": images(1),
        r"got images of shape \(3, 7, 6\), .* '7' .* 144 features, got 168": torch.ones(1, 3, 7, 6),
        "got ndarray": images(3).numpy(),
        "got .0, 3, 6, 6.": images(3)[:0],
    }
    for line, value in wrong.items():
        with pytest.raises(InputError, match=line):
            probe.record(value)


def test_images_of_another_precision_are_told():
    line = refusal(plain().bfloat16(), InputError)
    assert "layer '0' (Conv2d) expects torch.bfloat16, got torch.float32" in line


def test_another_size_is_fine_where_the_model_takes_it():
    assert Probe(residual(), images(3)).record(torch.ones(1, 3, 9, 5)).outputs["3"].shape == (1, 4)


def test_a_model_that_raises_is_told_with_the_layer():
    def fail(maps):
        raise KeyError("no such thing\nand more")

    net = nn.Sequential(plain()[:2], Does(lambda maps: maps))
    net[1].conv = nn.Identity()
    net[1].then = fail
    assert refusal(net) == (
        "the model raised on images of shape (3, 6, 6): "
        "KeyError in layer '1': 'no such thing\\nand more'"
    )


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("resnet", "expected a torch.nn.Module, got str"),
        (nn.Sequential(nn.LazyConv2d(2, 1)), "not initialised yet"),
        (nn.Sequential(nn.Conv2d(3, 2, 1, device="meta")), "on the meta device"),
        (nn.Conv2d(3, 2, 1), "no layer runs inside Conv2d"),
    ],
)
def test_what_is_no_model_yet_is_refused(model, line):
    assert line in refusal(model, ConvVizError)


def test_an_example_without_a_batch_is_refused():
    for wrong in (torch.zeros(3), torch.zeros(0, 3, 6, 6), "image"):
        with pytest.raises(InputError, match=r"expected an example input \(N, C, H, W\), got"):
            list_layers(plain(), wrong)
