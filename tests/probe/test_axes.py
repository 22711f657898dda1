"""What each operation does to the dimensions of a tensor, and how such a tensor is handed over."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convviz_widgets.probe import Probe
from convviz_widgets.probe.axes import AxisTracer, arranged

CONV = nn.Conv2d(3, 8, 1)
IMAGES = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(0))


def after(function, images=IMAGES):
    """Return how what a function makes of the maps of a convolution (N, 8, 4, 6) is handed over."""
    with torch.no_grad(), AxisTracer(images) as tracer:
        result = function(CONV(images))
    return arranged(tracer.dims_of(result), result.shape), result


def tokens(x):
    return x.flatten(2).transpose(1, 2)


def heads(x):
    """Return (N, heads, T, d)."""
    return tokens(x).unflatten(2, (2, 4)).transpose(1, 2)


@pytest.mark.parametrize(
    ("function", "axis", "shape"),
    [
        (lambda x: x, 1, (8, 4, 6)),
        (lambda x: x.permute(0, 2, 3, 1), -1, (8, 4, 6)),
        (lambda x: x.movedim(1, -1).relu_(), -1, (8, 4, 6)),
        (lambda x: x.permute(0, 3, 2, 1), -1, (8, 6, 4)),
        (lambda x: x.transpose(2, 3), 1, (8, 6, 4)),
        (lambda x: tokens(x.transpose(2, 3)), -1, (8, 4, 6)),
        (tokens, -1, (8, 4, 6)),
        (lambda x: x.flatten(2), 1, (8, 4, 6)),
        (lambda x: tokens(x).transpose(0, 1), -1, (8, 4, 6)),
        (lambda x: tokens(x).reshape(-1, 8), -1, (8, 4, 6)),
        (lambda x: tokens(x).mean(1), 1, (8,)),
        (lambda x: x.flatten(1), 1, (192,)),
        (lambda x: x.mean(1, keepdim=True), 1, (1, 4, 6)),
        (lambda x: F.adaptive_avg_pool2d(x, 1), 1, (8, 1, 1)),
        (lambda x: F.max_pool2d(x, 2), 1, (8, 2, 3)),
        (lambda x: F.pad(x, (1, 1, 2, 2)), 1, (8, 8, 8)),
        (lambda x: F.pixel_shuffle(x, 2), 1, (2, 8, 12)),
        (lambda x: F.interpolate(x, scale_factor=2), 1, (8, 8, 12)),
        (lambda x: x.roll(1, 2), 1, (8, 4, 6)),
        (lambda x: torch.cat([x, x], 1), 1, (16, 4, 6)),
        (lambda x: x.chunk(2, 1)[1], 1, (4, 4, 6)),
        (lambda x: x + tokens(x).transpose(1, 2).view_as(x), 1, (8, 4, 6)),
        (lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)), 1, (8, 4, 6)),
        (lambda x: torch.zeros(1, 8, 4, 6).copy_(x), 1, (8, 4, 6)),
        (lambda x: F.instance_norm(x), 1, (8, 4, 6)),
        (lambda x: F.group_norm(x, 2), 1, (8, 4, 6)),
        (lambda x: F.layer_norm(x, (8, 4, 6)), 1, (8, 4, 6)),
        (lambda x: F.rms_norm(tokens(x), (8,), torch.ones(8)), -1, (8, 4, 6)),
        (lambda x: torch.einsum("nchw,dc->nhwd", x, torch.rand(5, 8)), -1, (5, 4, 6)),
        (lambda x: F.linear(tokens(x), torch.rand(5, 8)), -1, (5, 4, 6)),
        (lambda x: F.linear(x.flatten(2), torch.rand(5, 24)), -1, (5, 8)),
        (lambda x: F.conv1d(x.flatten(2), torch.rand(5, 8, 3)), 1, (5, 22)),
        (lambda x: F.conv3d(x[:, :, None], torch.rand(5, 8, 1, 1, 1)), 1, (5, 1, 4, 6)),
        (lambda x: x.view(1, 2, 4, 4, 6).transpose(1, 2).reshape(x.shape), 1, (8, 4, 6)),
        (heads, None, (2, 24, 4)),
        (lambda x: heads(x).transpose(1, 2).flatten(2), -1, (8, 4, 6)),
        (lambda x: F.softmax(heads(x) @ heads(x).mT, -1), None, (2, 24, 24)),
        (
            lambda x: F.scaled_dot_product_attention(*[heads(x)] * 3).transpose(1, 2).flatten(2),
            -1,
            (8, 4, 6),
        ),
        (lambda x: torch.cat([torch.zeros(1, 3, 8), tokens(x)], 1), -1, (8, 4, 6)),
        (lambda x: torch.cat([torch.zeros(1, 3, 8), tokens(x)], 1)[:, 3:], -1, (8, 4, 6)),
        (lambda x: torch.cat([torch.zeros(1, 3, 8), tokens(x)], 1)[:, 1:], -1, (8, 4, 6)),
        (lambda x: torch.cat([torch.zeros(1, 3, 8), tokens(x)], 1)[:, 0], 1, (8,)),
        (lambda x: tokens(x)[:, 3:9], -1, (8, 6)),
        (lambda x: tokens(x)[:, torch.arange(24).flip(0)], -1, (8, 24)),
        (lambda x: torch.ones(1, 5, 7, 8) + 0, None, (5, 7, 8)),
    ],
)
def test_the_channels_are_followed(function, axis, shape):
    arrangement, _ = after(function)
    assert (arrangement.channel_axis, arrangement.shape) == (axis, shape)


def test_values_are_where_they_belong():
    maps = CONV(IMAGES).detach()
    for function in (tokens, lambda x: tokens(x).transpose(0, 1), lambda x: tokens(x.mT)):
        arrangement, result = after(function)
        assert torch.equal(arrangement.channels_first(result), maps)
    arrangement, result = after(lambda x: tokens(x.roll((1, -2), (2, 3))))
    assert torch.equal(arrangement.channels_first(result), maps)


def test_windows_are_put_together_again_for_any_number_of_images():
    def windows(x):
        return x.view(-1, 8, 2, 2, 3, 2).permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, 8)

    arrangement, _ = after(windows)
    maps = torch.rand(5, 8, 4, 6)
    assert (arrangement.channel_axis, arrangement.shape) == (-1, (8, 4, 6))
    assert torch.equal(arrangement.channels_first(windows(maps)), maps)


def test_what_was_rolled_and_then_padded_is_no_map_until_it_is_rolled_back():
    def padded(x):
        return F.pad(x.roll(1, 2), (0, 0, 0, 4))

    arrangement, _ = after(lambda x: tokens(padded(x)))
    assert (arrangement.channel_axis, arrangement.shape) == (-1, (8, 48))
    arrangement, _ = after(lambda x: tokens(padded(x)[:, :, :4].roll(-1, 2)))
    assert (arrangement.channel_axis, arrangement.shape) == (-1, (8, 4, 6))


def test_tokens_in_front_are_cut_off_and_kept():
    front = torch.rand(1, 3, 8)
    arrangement, result = after(lambda x: torch.cat([front, tokens(x)], 1))
    assert arrangement.prefix == 3
    assert torch.equal(arrangement.channels_first(result), CONV(IMAGES))
    assert torch.equal(arrangement.prefix_tokens(result), front.transpose(1, 2))


def test_registers_between_the_class_token_and_the_image_are_counted():
    def registered(x):
        x = torch.cat([torch.zeros(1, 1, 8), tokens(x)], 1)
        return torch.cat([x[:, :1], torch.zeros(1, 4, 8), x[:, 1:]], 1)

    arrangement, _ = after(registered)
    assert (arrangement.prefix, arrangement.shape) == (5, (8, 4, 6))


def test_a_layer_learns_from_the_one_that_takes_it_what_it_could_not_know():
    class Lost(nn.Module):
        def __init__(self):
            super().__init__()
            self.act, self.conv = nn.ReLU(), nn.Conv2d(3, 2, 1)

        def forward(self, x):
            lost = torch.fft.fft2(x.flatten().view(3, -1)).abs()[None, :, :16].view(1, 3, 4, 4)
            return self.conv(self.act(lost))

    assert [info.channel_axis for info in Probe(Lost(), torch.rand(1, 3, 4, 8)).layers] == [1, 1]


def test_models_of_sequences_and_of_volumes_are_as_they_were():
    line = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2))
    shapes = [info.shape for info in Probe(line, torch.rand(1, 2, 10)).layers]
    assert shapes == [(4, 8), (4, 8), (4, 8), (4, 4)]
    volume = nn.Sequential(nn.Conv3d(2, 4, 3), nn.InstanceNorm3d(4), nn.ReLU(), nn.MaxPool3d(2))
    shapes = [info.shape for info in Probe(volume, torch.rand(1, 2, 6, 6, 6)).layers]
    assert shapes == [(4, 4, 4, 4)] * 3 + [(4, 2, 2, 2)]
    rows = nn.Sequential(nn.Linear(6, 4), nn.ReLU())
    assert [info.shape for info in Probe(rows, torch.rand(1, 6)).layers] == [(4,), (4,)]
