"""What does not fit is told in one line, or counted."""

import hashlib

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.errors import ConvVizError, InputError, ModelError, UnknownLayerError
from convviz_widgets.images import ImageSet
from convviz_widgets.sweeps import sweep

from .nets import build, found, pictures


class Faulty:
    """A data set of 50 pictures whose items 3 and 40 raise."""

    def __init__(self, odd=None, bad=(3, 40)):
        self.images, self.odd, self.bad = pictures(50), odd, bad

    def __len__(self):
        return 50

    def __getitem__(self, index):
        if index in self.bad:
            if self.odd is None:
                raise OSError(f"truncated file\nof item {index}")
            return self.odd
        return self.images[index], index % 3


def test_an_item_that_cannot_be_loaded_stops_the_sweep_by_its_index():
    with pytest.raises(InputError, match=r"^image 3: OSError: truncated file$"):
        sweep(build("plain"), Faulty(), progress=False)


@pytest.mark.parametrize("batch_size", [4, 64])
def test_or_it_is_skipped_and_noted(batch_size):
    data = Faulty()
    result = sweep(build("plain"), data, on_error="skip", batch_size=batch_size, progress=False)
    assert result.failures == {
        3: "image 3: OSError: truncated file",
        40: "image 40: OSError: truncated file",
    }
    assert (result.count, result.complete) == (48, True)
    without = [index for index in range(50) if index not in (3, 40)]
    alone = sweep(build("plain"), data.images[without], batch_size=batch_size, progress=False)
    for channel in range(5):
        moved = [(without[image], *rest) for image, *rest in found(alone, "0", channel)]
        assert [hit[0] for hit in found(result, "0", channel)] == [hit[0] for hit in moved]
    torch.testing.assert_close(result.mean("1"), alone.mean("1"), rtol=1e-6, atol=1e-8)


def test_the_first_items_and_whole_batches_may_fail():
    data = Faulty(bad=range(20))
    result = sweep(build("plain"), data, on_error="skip", batch_size=8, progress=False)
    assert (result.count, len(result.failures)) == (30, 20)


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (torch.zeros(3, 9, 8), r"image 3: got shape \(3, 9, 8\), the first image has \(3, 8, 8\)"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "image 3: expected a floating tensor"),
        ("cat.png", r"image 3: expected a floating tensor \(C, H, W\), got str"),
    ],
)
def test_an_odd_item_is_reported_like_one_that_fails(odd, words):
    with pytest.raises(InputError, match=words):
        sweep(build("plain"), Faulty(odd), progress=False)
    result = sweep(build("plain"), Faulty(odd), on_error="skip", progress=False)
    assert list(result.failures) == [3, 40]


def test_a_data_set_without_any_image_that_loads_says_why():
    with pytest.raises(
        InputError, match="no image of the data set can be loaded: image 0: OSError"
    ):
        sweep(build("plain"), Faulty(bad=range(50)), on_error="skip", progress=False)


class Random(Faulty):
    def __getitem__(self, index):
        return self.images[index] + torch.rand(1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (torch.zeros(0, 3, 8, 8), "the data set is empty: there is nothing to sweep"),
        (TensorDataset(torch.zeros(0, 3, 8, 8)), "the data set is empty"),
        (torch.zeros(4, 3, 8, 8, dtype=torch.uint8), r"expected a floating tensor .* got uint8"),
        (DataLoader(TensorDataset(torch.zeros(4, 3, 8, 8))), "got DataLoader; give its .dataset"),
        ("photos/", "expected a tensor .* got str"),
        (iter([]), "expected a tensor"),
        (Random(), "the data set draws random numbers"),
        (torch.zeros(4, 5, 8, 8), "expects 3 channels, got 5"),
    ],
)
def test_what_is_no_data_set_is_refused_in_one_line(data, words):
    with pytest.raises(InputError, match=words) as caught:
        sweep(build("plain"), data, progress=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"k": 0}, InputError, "k must be a whole number of at least 1, got 0"),
        (
            {"batch_size": 2.5},
            InputError,
            "batch_size must be a whole number of at least 1, got 2.5",
        ),
        ({"on_error": "ignore"}, InputError, 'on_error must be "raise" or "skip"'),
        ({"layers": "conv1"}, InputError, r"layers are a list of names: write \['conv1'\]"),
        ({"layers": ["conv9"]}, UnknownLayerError, "unknown layer 'conv9'; this model has 0"),
        ({"layers": []}, InputError, "no layers to sweep"),
        ({"groups": [0, 1]}, InputError, "got 2 groups for 10 images"),
        ({"checkpoints": {}}, InputError, "expected a CheckpointSeries, got dict"),
        ({"indices": [1, 2]}, InputError, r"indices must be a range\(start, stop\)"),
        ({"indices": range(5, 20)}, InputError, r"range\(5, 20\) is out of range"),
        ({"client": "tcp://10.0.0.1:8786"}, InputError, "expected a Dask client, got str"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(settings, error, words):
    with pytest.raises(error, match=words):
        sweep(build("plain"), pictures(10), progress=False, **settings)


def test_nan_is_counted_and_named_and_never_among_the_strongest():
    net, images = build("plain"), pictures(40)
    images[17, 0, 0, 0] = torch.nan
    images[30, :, 4:, 4:] = torch.nan
    clean = sweep(net, pictures(40), batch_size=16, progress=False)
    result = sweep(net, images, batch_size=16, progress=False)
    # One pixel spoils one position of each of the five maps; 16 pixels spoil 9 + 16 - 9 ...
    assert result.nan("0").tolist() == [1 + 16] * 5
    assert result.remarks[0] == "0: 85 NaN in 5 channels, first in image 17"
    assert result.mean("0").isfinite().all()
    for channel in range(5):
        values = [hit.value for hit in result.top("0", channel)]
        assert values == sorted(values, reverse=True)
        assert all(value == value for value in values)
        places = {(hit.image, hit.position) for hit in result.top("0", channel)}
        assert (17, (0, 0)) not in places
    assert clean.remarks == ()
    assert result.fired("0").tolist() == clean.fired("0").tolist()


def test_an_image_of_nan_alone_takes_no_place():
    images = pictures(6)
    images[2] = torch.nan
    result = sweep(build("plain"), images, progress=False)
    assert sorted(hit.image for hit in result.top("0", 0)) == [0, 1, 3, 4, 5]
    assert sorted(hit.image for hit in result.top("6", 0)) == [0, 1, 3, 4, 5]


def test_infinite_values_are_counted_and_left_out_of_the_mean():
    net = nn.Sequential(nn.Identity())
    images = torch.ones(5, 2, 3, 3)
    images[1, 0, 1, 2] = torch.inf
    images[4, 0, 0, 0] = -torch.inf
    result = sweep(net, images, progress=False)
    assert result.infinite("0").tolist() == [2, 0]
    assert result.mean("0").tolist() == [1.0, 1.0]
    assert result.max("0").tolist() == [torch.inf, 1.0]
    assert result.remarks == ("0: 2 infinite values",)
    assert (result.top("0", 0)[0].image, result.top("0", 0)[0].position) == (1, (1, 2))


def test_a_layer_that_mixes_the_batch_is_left_out_or_refused_by_name():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)
            self.inner = nn.Linear(6, 4)

        def forward(self, x):
            return self.inner(self.conv(x).reshape(-1, 6)).reshape(len(x), -1)

    result = sweep(Mixed(), pictures(4), progress=False)
    assert [layer.name for layer in result.layers] == ["conv"]
    with pytest.raises(ModelError, match="layer 'inner' cannot be swept: it mixes the images"):
        sweep(Mixed(), pictures(4), layers=["inner"], progress=False)


def test_images_without_rows_and_columns_have_hits_without_boxes():
    net = nn.Sequential(nn.Conv1d(3, 2, 3), nn.ReLU())
    result = sweep(net, torch.randn(12, 3, 9), progress=False)
    hit = result.top("0", 1)[0]
    assert (len(hit.position), hit.box) == (1, None)


def test_the_model_and_the_random_state_are_as_before():
    net = build("residual").train()
    net(pictures(2)).sum().backward()

    def digest():
        state = [*net.named_parameters(), *net.named_buffers()]
        text = repr([(n, t.tolist(), t._version, getattr(t, "grad", None)) for n, t in state])
        text += repr([(m.training, m._forward_hooks) for m in net.modules()])
        return hashlib.sha256((text + repr(torch.get_rng_state().tolist())).encode()).hexdigest()

    images = pictures(20)
    series = CheckpointSeries.from_state_dicts([(1, build("residual", 4).state_dict())])
    before, kept = digest(), images.clone()
    sweep(net, images, progress=False)
    sweep(net, ImageSet(images), checkpoints=series, progress=False)
    assert digest() == before
    assert torch.equal(images, kept)


def test_every_error_is_one_of_ours():
    class Raising(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x):
            if x.mean() > 5:
                raise RuntimeError("too bright\nby far")
            return self.conv(x)

    images = pictures(20)
    images[13] = 100.0
    with pytest.raises(ConvVizError, match="too bright") as caught:
        sweep(Raising(), images, batch_size=4, progress=False)
    assert "\n" not in str(caught.value)
