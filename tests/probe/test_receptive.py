"""Boxes against the support of the gradient: equal on positive twins, a superset elsewhere."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convviz_widgets.errors import InputError, SelectionError
from convviz_widgets.probe import FieldBox, Probe, ReceptiveFields, Unit, attributions

from .nets import seeded


class Calls(nn.Module):
    """A function of one or two convolutions, for what no module does."""

    def __init__(self, function, channels=2, out=2, kernel=3, **settings):
        super().__init__()
        self.conv = nn.Conv2d(3, channels, kernel, **settings)
        self.then = nn.Conv2d(out, 2, 3, padding=1)
        self.function = function

    def forward(self, x):
        return self.then(self.function(self.conv(x)))


class Sum(nn.Module):
    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        first, *others = (branch(x) for branch in self.branches)
        for other in others:
            first += other
        return first


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.out = nn.Conv2d(7, 2, 3, padding=1)

    def forward(self, x):
        return self.out(torch.cat([x, self.up(self.down(x))], 1))


class ChannelsLast(nn.Module):
    """The block of a ConvNeXt: depthwise, then linear layers over the last dimension."""

    def __init__(self):
        super().__init__()
        self.depthwise = nn.Conv2d(3, 3, 5, padding=2, groups=3)
        self.norm = nn.LayerNorm(3)
        self.wide, self.narrow = nn.Linear(3, 6), nn.Linear(6, 3)
        self.out = nn.Conv2d(3, 2, 3)

    def forward(self, x):
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return self.out(x + self.narrow(self.wide(y)).permute(0, 3, 1, 2))


def shuffled(x):
    return x.view(1 if len(x) == 1 else -1, 2, 2, *x.shape[2:]).transpose(1, 2).flatten(1, 2)


def conv(*args, **settings):
    return nn.Conv2d(*args, **settings)


EXACT = {
    "plain": lambda: nn.Sequential(conv(3, 4, 5), conv(4, 4, 3, padding=1), nn.BatchNorm2d(4)),
    "padded more than its kernel": lambda: nn.Sequential(conv(3, 2, 3, padding=4)),
    "strided": lambda: nn.Sequential(
        conv(3, 4, 3, stride=2, padding=1), conv(4, 4, (1, 5), stride=(3, 2), padding=(0, 2))
    ),
    "dilated": lambda: nn.Sequential(
        conv(3, 4, 3, dilation=3, padding=3), conv(4, 2, 3, dilation=2)
    ),
    "depthwise": lambda: nn.Sequential(
        conv(3, 6, 3, groups=3), conv(6, 4, 1), conv(4, 4, 3, groups=4)
    ),
    "residual": lambda: nn.Sequential(
        Sum(conv(3, 4, 1, stride=2), nn.Sequential(conv(3, 4, 3, 2, 1), conv(4, 4, 3, padding=1))),
        Sum(nn.Identity(), conv(4, 4, 3, padding=1)),
    ),
    "branches of several kernels": lambda: Sum(conv(3, 2, 1), conv(3, 2, (5, 3), padding=(2, 1))),
    "pools": lambda: nn.Sequential(
        nn.AvgPool2d(3, 2, padding=1), conv(3, 2, 3), nn.AvgPool2d(2, ceil_mode=True)
    ),
    "adaptive pools": lambda: nn.Sequential(
        conv(3, 2, 3), nn.AdaptiveAvgPool2d((4, 5)), nn.AdaptiveAvgPool2d(2)
    ),
    "global pool": lambda: nn.Sequential(
        conv(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)
    ),
    "skip over a stride": UNet,
    "channels last": ChannelsLast,
    "transposed": lambda: nn.Sequential(
        conv(3, 2, 3, 2), nn.ConvTranspose2d(2, 2, 3), nn.ConvTranspose2d(2, 2, 3, 2, 1, dilation=2)
    ),
    "nearest": lambda: Calls(lambda x: F.interpolate(x, scale_factor=2), stride=2),
    "nearest, uneven": lambda: Calls(lambda x: F.interpolate(x, size=(7, 13)), stride=2),
    "nearest, by a factor": lambda: Calls(lambda x: F.interpolate(x, scale_factor=1.7), stride=2),
    "pixel shuffle": lambda: Calls(lambda x: F.pixel_shuffle(x, 2), channels=8, stride=2),
    "pixel unshuffle": lambda: Calls(
        lambda x: F.pixel_unshuffle(x[..., 2:, 2:], 2), out=8, padding=1
    ),
    "channel shuffle": lambda: Calls(shuffled, channels=4, out=4),
    "every second pixel": lambda: Calls(
        lambda x: torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2]], 1), out=4, padding=1
    ),
    "split": lambda: Calls(lambda x: sum(x.split(1, 1)[1:]), channels=3, out=1),
    "split into an empty part": lambda: Calls(lambda x: x.split([0, 2], 1)[1]),
    "chunked rows": lambda: Calls(lambda x: torch.add(*x.chunk(2, 2)), kernel=1),
    "padded": lambda: Calls(lambda x: F.pad(x, (1, 2, 3, 0))),
    "reflected": lambda: Calls(lambda x: F.pad(x, (2, 1, 0, 3), mode="reflect")),
    "replicated": lambda: Calls(lambda x: F.pad(x, (2, 1, 0, 3), mode="replicate")),
    "cropped": lambda: Calls(lambda x: x[:, :, 2:-1, 3:]),
    "flipped": lambda: Calls(lambda x: x.flip(3)),
    "mean of the rows": lambda: Calls(lambda x: x.mean(2, keepdim=True)),
    "rows against columns": lambda: Calls(lambda x: x.transpose(2, 3)),
    "gated by all": lambda: Calls(lambda x: x * x.mean((2, 3), keepdim=True)),
    "nearest exact": lambda: Calls(
        lambda x: F.interpolate(x, scale_factor=2, mode="nearest-exact")
    ),
    "rolled": lambda: Calls(lambda x: x.roll(2, 3)),
    "indexed": lambda: Calls(lambda x: x[:, :, [3, 1, 4]]),
    "norm over a group": lambda: nn.Sequential(
        conv(3, 4, 3), Sum(nn.GroupNorm(2, 4), nn.Identity())
    ),
}
SUPERSET = {
    "flattened": lambda: nn.Sequential(conv(3, 2, 3, stride=2), nn.Flatten(), nn.Linear(50, 2)),
    "unbound rows": lambda: Calls(lambda x: torch.stack(x.unbind(2)[:4], 2)),
    "bilinear": lambda: Calls(
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), stride=2
    ),
    "bilinear corners": lambda: Calls(
        lambda x: F.interpolate(x, size=(9, 9), mode="bilinear", align_corners=True), stride=2
    ),
    "bicubic": lambda: Calls(lambda x: F.interpolate(x, size=(7, 9), mode="bicubic"), stride=2),
    "circular": lambda: nn.Sequential(conv(3, 2, 3, padding=1, padding_mode="circular")),
    "written into parts": lambda: Calls(write_parts),
    "unfolded": lambda: Calls(lambda x: F.unfold(x, 2)[:, :, None], out=8),
    "attention": lambda: Calls(attend),
    "real": lambda: nn.Sequential(
        conv(3, 4, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(3, 2), conv(4, 4, 3), nn.GELU()
    ),
    "instance norm": lambda: nn.Sequential(conv(3, 4, 3), nn.InstanceNorm2d(4)),
}


def write_parts(x):
    canvas = torch.zeros_like(x)
    canvas[:, :, 1:] = x[:, :, :-1]
    canvas[:, :, :2] += x[:, :, 4:6]
    return canvas


def attend(x):
    tokens = x.flatten(2).transpose(1, 2)
    return F.scaled_dot_product_attention(tokens, tokens, tokens).transpose(1, 2).view_as(x)


def positive(net):
    with torch.no_grad():
        for parameter in net.parameters():
            # All alike, a layer norm would hand back a gradient of rounding errors alone.
            parameter.copy_(torch.linspace(0.1, 0.3, parameter.numel()).view_as(parameter))
    return net


def image(size=12):
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(2))


def supports(probe, layer):
    """Yield for each position of a layer the box around the gradient's support, None if empty."""
    positions = list(itertools.product(*(range(size) for size in layer.shape[1:])))
    images = image().repeat(len(positions), 1, 1, 1)
    maps = attributions(probe, images, unit=Unit(layer.name, 0, positions)).maps.abs().amax(1)
    for position, support in zip(positions, maps != 0, strict=True):
        rows, cols = support.any(1).nonzero(), support.any(0).nonzero()
        yield (
            position,
            (
                (rows.min().item(), cols.min().item(), rows.max().item() + 1, cols.max().item() + 1)
                if len(rows)
                else None
            ),
        )


def corners(box):
    return (box.top, box.left, box.bottom, box.right) if box.height and box.width else None


@pytest.mark.parametrize("name", EXACT)
def test_boxes_are_the_support_of_the_gradient_of_a_positive_twin(name):
    probe = Probe(positive(EXACT[name]()), image())
    fields = ReceptiveFields.of(probe, image())
    for layer in probe.layers:
        for position, support in supports(probe, layer):
            assert corners(fields.box(layer.name, 0, position)) == support, (layer.name, position)


@pytest.mark.parametrize("name", [*SUPERSET, *EXACT])
def test_boxes_hold_the_support_of_the_gradient(name):
    probe = Probe(seeded((SUPERSET | EXACT)[name]()), image())
    fields = ReceptiveFields.of(probe, image())
    for layer in probe.layers:
        for position, support in supports(probe, layer):
            box = fields.box(layer.name, 0, position)
            top, left, bottom, right = support or (box.top, box.left, box.top, box.left)
            assert box.top <= top <= bottom <= box.bottom, (layer.name, position)
            assert box.left <= left <= right <= box.right, (layer.name, position)


def test_two_layers_by_hand():
    """5 by 5 padded by 2, then 3 by 3 stride 2: seven pixels wide, four more for a step of two."""
    net = nn.Sequential(conv(3, 2, 5, padding=2), conv(2, 2, 3, stride=2))
    fields = ReceptiveFields.of(Probe(net, image()), image())
    assert fields.box("0", 1, (0, 3)) == FieldBox(0, 1, 3, 6, offset=(2, 0), size=(5, 5))
    assert fields.box("1", 0, (0, 0)) == FieldBox(0, 0, 5, 5, offset=(2, 2), size=(7, 7))
    assert fields.box("1", 0, (1, 2)) == FieldBox(0, 2, 7, 9, offset=(0, 0), size=(7, 7))
    assert fields.box("1", 0, (4, 4)) == FieldBox(6, 6, 12, 12, offset=(0, 0), size=(7, 7))


def test_patches_cut_by_the_border_align_with_those_that_are_not():
    """Wherever the box is cut, box and offset put the unit's centre into the patch's centre."""
    net = nn.Sequential(conv(3, 2, 5, padding=2), nn.MaxPool2d(2), conv(2, 2, 3, padding=1))
    fields = ReceptiveFields.of(Probe(net, image()), image())
    for row, col in itertools.product(range(6), range(6)):
        box = fields.box("2", 0, (row, col))
        assert box.size == (10, 10)
        assert (box.top - box.offset[0], box.left - box.offset[1]) == (2 * row - 4, 2 * col - 4)
        assert box.bottom <= box.top - box.offset[0] + 10


def test_the_padding_of_a_map_of_one_position_is_none_of_its_patch():
    """It has no neighbour that says how far one step in the padding would move."""
    net = nn.Sequential(conv(3, 2, 9, padding=2, stride=7), conv(2, 2, 3, padding=1, stride=2))
    deeper = nn.Sequential(*net, conv(2, 2, 3, padding=1))
    fields = ReceptiveFields.of(Probe(deeper, image()), image())
    assert fields.box("0", 0, (0, 1)) == FieldBox(0, 5, 7, 12, offset=(2, 0), size=(9, 9))
    assert fields.box("1", 0, (0, 0)) == FieldBox(0, 0, 12, 12, offset=(9, 9), size=(23, 23))
    assert fields.box("2", 0, (0, 0)) == fields.box("1", 0, (0, 0))


def test_bins_of_uneven_size_align_where_their_windows_are_even():
    """Seven bins over eight positions: each holds two, and they lie a position apart."""
    net = nn.Sequential(conv(3, 2, 5, padding=0), nn.AdaptiveAvgPool2d(7))
    fields = ReceptiveFields.of(Probe(net, image()), image())
    assert fields.box("1", 0, (0, 6)) == FieldBox(0, 6, 6, 12, offset=(0, 0), size=(6, 6))


def test_a_unit_that_sees_only_padding_has_an_empty_box():
    fields = ReceptiveFields.of(Probe(nn.Sequential(conv(3, 2, 3, padding=4)), image()), image())
    box = fields.box("0", 0, (0, 5))
    assert (box.height, box.width, box.size) == (0, 3, (3, 3))


def test_features_and_maps_without_a_position_see_the_whole_image():
    net = nn.Sequential(conv(3, 2, 3, stride=3), nn.Flatten(), nn.Linear(32, 2))
    fields = ReceptiveFields.of(Probe(net, image()), image())
    assert fields.box("2", 1) == fields.box("2", 1, ()) == fields.box("0", 0, None)
    assert corners(fields.box("2", 1)) == (0, 0, 12, 12)
    assert fields.box("2", 1).share((3, 12, 12)) == 1


def test_one_image_of_another_size_is_enough_and_one_pass():
    probe = Probe(nn.Sequential(conv(3, 2, 3)), image())
    fields = ReceptiveFields.of(probe, image(20))
    assert probe.forward_count == 1
    assert fields.box("0", 0, (17, 17)).bottom == 20


def test_a_wide_network_takes_no_memory_of_the_pass_along():
    fields = ReceptiveFields.of(Probe(EXACT["residual"](), image()), image())
    held = [value for field in fields.fields.values() for axis in field for value in vars(axis)]
    assert not any(isinstance(value, torch.Tensor) for value in held)


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        (("9", 0, (0, 0)), SelectionError, "unknown layer '9'"),
        (("0", 0, (10, 0)), SelectionError, "no position 10 in 0; it has 0 to 9"),
    ],
)
def test_units_that_are_not_there_are_refused(asked, error, words):
    fields = ReceptiveFields.of(Probe(nn.Sequential(conv(3, 2, 3)), image()), image())
    with pytest.raises(error, match=words):
        fields.box(*asked)


def test_images_without_rows_and_columns_have_no_boxes():
    probe = Probe(nn.Sequential(nn.Conv1d(3, 2, 3)), torch.rand(1, 3, 9))
    with pytest.raises(InputError, match=r"boxes need images \(N, C, H, W\), got \(1, 3, 9\)"):
        ReceptiveFields.of(probe, torch.rand(1, 3, 9))
