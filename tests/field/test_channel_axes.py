"""Which axis is the channel: whatever order a layer has, it is shown with its channels first."""

import pytest
import torch
import torch.nn.functional as F

import convviz_widgets as cvw
from convviz_widgets.views.controls.selectors import LayerList

from .architectures import CONTAINERS_LAST, SIX
from .zoo import look_into


def made(name):
    torch.manual_seed(0)
    return SIX[name]().eval()


@pytest.mark.parametrize("name", SIX)
def test_each_layer_is_shown_with_its_channels_first_or_says_that_it_is_not(name):
    """Against the weights, and against hooks on a copy with the axis moved by hand."""
    problems, layers, checked = look_into(made(name), torch.rand(2, 3, 32, 32))
    assert problems == []
    assert checked > len(layers) / 2
    hidden = {info.kind.lower() for info in layers if info.channel_axis is None}
    assert hidden <= {"softmax", "linear", "relu", "identity"}  # of attention: not channels


def test_a_linear_layer_on_maps_has_a_channel_for_each_feature_and_any_can_be_selected():
    model = made("convnext")
    images = cvw.ImageSet(torch.rand(4, 3, 16, 16), [0, 1, 2, 3])
    state = cvw.ModelState(model, images, layer="1.up", channel=47)
    assert state.layer_info() == cvw.LayerInfo("1.up", "Linear", (48, 4, 4), (48, 12), 1, -1)
    seen = []
    model[1].up.register_forward_hook(lambda module, args, output: seen.append(output))
    model(images.input(0))
    assert torch.equal(state.activation(), seen[0][0].permute(2, 0, 1))
    loss = F.cross_entropy(model(images.input(0)), torch.tensor([0]))
    (gradient,) = torch.autograd.grad(loss, seen[1])
    assert torch.allclose(state.gradient("1.up"), gradient[0].permute(2, 0, 1), atol=1e-7)


def test_a_sweep_of_a_linear_layer_on_maps_counts_its_features():
    model = made("convnext")
    images = torch.rand(5, 3, 16, 16)
    swept = cvw.sweep(model, [(image, 0) for image in images], layers=["1.up"], progress=False)
    seen = []
    model[1].up.register_forward_hook(lambda module, args, output: seen.append(output.detach()))
    model(images)
    assert torch.allclose(swept.mean("1.up"), seen[0].mean((0, 1, 2)).double(), atol=1e-6)
    best = swept.top("1.up", 7)[0]
    values = seen[0][..., 7].flatten(1).amax(1)
    assert (best.image, best.value) == (int(values.argmax()), pytest.approx(values.max().item()))
    height, width = best.position
    assert seen[0][best.image, height, width, 7].item() == pytest.approx(best.value)


def test_tokens_are_a_map_without_the_class_token_and_a_table_with_it():
    model = made("vit")
    state = cvw.ModelState(model, torch.rand(2, 3, 32, 24), layer="norm")
    info = state.layer_info()
    assert (info.shape, info.channel_axis, info.prefix_tokens) == ((16, 8, 6), -1, 1)
    seen = []
    model.norm.register_forward_hook(lambda module, args, output: seen.append(output.detach()))
    model(state.input()[None])
    tokens = seen[0][0].T  # (C, T)
    assert torch.equal(state.activation(), tokens[:, 1:].reshape(16, 8, 6))
    assert torch.equal(state.tokens(), tokens)
    view = cvw.ActivationMosaic(state)
    assert "16 channels of 8×6 (without 1 token in front)" in view.caption
    view.tokens = "table"
    assert "table: 16 channels down, 49 positions across" in view.caption
    assert torch.equal(torch.tensor(view.painted.tiles.values[:, 0]), tokens)


def test_windows_are_put_together_and_rolled_back():
    """A bright corner stays in its corner, whatever window it was put into."""
    model = made("swin")
    corner = torch.zeros(1, 3, 32, 32)
    corner[..., :4, :4] = 50.0
    state = cvw.ModelState(model, torch.cat([corner, torch.zeros(1, 3, 32, 32)]))
    moved = {}
    for info in (info for info in state.layers if ".attention." in info.name):
        if info.channel_axis is not None:
            assert info.shape[1:] == (8, 8)
            lit, dark = (
                state.activation(info.name, selection=state.select(image=image)) for image in (0, 1)
            )
            moved[info.name] = (lit != dark).any(0).int()
    expected = torch.zeros(8, 8, dtype=torch.int)
    expected[0, 0] = 1
    assert torch.equal(moved["plain.attention.qkv"], expected)
    expected[:4, :4] = 1
    assert torch.equal(moved["plain.attention.out"], expected)
    assert torch.equal(moved["rolled.attention.qkv"], expected)


def test_attention_weights_say_that_they_are_no_channels():
    state = cvw.ModelState(made("vit"), torch.rand(2, 3, 32, 24), layer="block.attention.softmax")
    info = state.layer_info()
    assert (info.channel_axis, info.shape) == (None, (4, 49, 49))
    view = cvw.ActivationMosaic(state)
    assert "'block.attention.softmax' is not shown as channels" in view.problem
    assert state.activation().shape == (4, 49, 49)
    with pytest.raises(cvw.SelectionError, match="not shown as channels"):
        state.select(channel=3)
    with pytest.raises(cvw.ConvVizError, match="not shown as channels"):
        state.tokens()
    labels = [label for label, _ in LayerList(state).control("Layer").options]
    assert f"{info.name}  Softmax  not shown as channels" in labels
    assert "not shown as channels" in cvw.TopImages(state).caption
    with pytest.raises(cvw.ConvVizError, match="not shown as channels"):
        cvw.attribute(made("vit"), torch.rand(3, 32, 24), unit=(info.name, 0))
    images = [(torch.rand(3, 32, 24), 0)]
    with pytest.raises(cvw.ConvVizError, match="not shown as channels"):
        cvw.sweep(made("vit"), images, layers=[info.name], progress=False)
    assert info.name not in {
        each.name for each in cvw.sweep(made("vit"), images, progress=False).layers
    }


def test_a_unit_of_a_layer_of_tokens_is_a_channel_at_a_place_on_the_image():
    model = made("mixer")
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    seen = []
    model.norm.register_forward_hook(lambda module, args, output: seen.append(output))
    model(image)
    row, column, channel = 2, 5, 3
    (expected,) = torch.autograd.grad(seen[0][0, row * 8 + column, channel], image)
    found = cvw.attribute(model, image[0].detach(), unit=("norm", channel, (row, column)))
    assert torch.allclose(found, expected[0], atol=1e-6)


@pytest.mark.parametrize("name", CONTAINERS_LAST)
def test_modules_that_are_given_sequences_put_their_features_first(name):
    """Batch first, or not; recurrent, or attention."""
    make, shape, axis = CONTAINERS_LAST[name]
    torch.manual_seed(0)
    infos = {info.name: info for info in cvw.list_layers(make(), torch.rand(1, 3, 8, 8))}
    assert (infos["inner"].shape, infos["inner"].channel_axis) == (shape, axis)
