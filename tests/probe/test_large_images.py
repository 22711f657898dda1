"""Large images go through a model as seldom as can be, and what is seen is the same."""

from typing import ClassVar

import pytest
import torch
from torch import nn

from convviz_widgets.errors import ModelError
from convviz_widgets.probe import Probe, replica, tape
from convviz_widgets.probe.outputs import output_kind
from convviz_widgets.probe.replica import refuse_if_weights_are_ignored


class Counting(nn.Module):
    """A convolution, and the sizes of what went through, shared with all copies."""

    def __init__(self, sizes):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        self.sizes = [sizes]

    def forward(self, images):
        Sizes.seen.append(tuple(images.shape[2:]))
        return torch.relu(self.conv(images))


class Sizes:
    seen: ClassVar[list] = []


@pytest.fixture
def sizes(monkeypatch):
    monkeypatch.setattr(Sizes, "seen", [])
    return Sizes.seen


@pytest.fixture
def large(monkeypatch):
    """Return an image that counts as large."""
    monkeypatch.setattr(replica, "MIDDLE", 4)
    monkeypatch.setattr(tape, "LARGE", 1000)
    torch.manual_seed(2)  # of the weights, too: with others all that is rectified may be 0
    return torch.rand(1, 1, 20, 24)


def test_a_live_model_sees_a_large_image_once(large, sizes):
    probe = Probe(Counting(0), large)
    recording = probe.record(large)
    assert sizes == [(20, 24), (4, 4), (4, 4)]
    assert probe.forward_count == 1
    again = probe.record(large)
    assert sizes[3:] == [(20, 24)]
    assert torch.equal(recording.outputs["conv"], again.outputs["conv"])
    assert torch.equal(recording.inputs["relu"], again.inputs["relu"])


def test_other_images_and_weights_are_seen_anew(large, sizes):
    model = Counting(0)
    probe = Probe(model, large)
    other = large + 1
    assert torch.equal(probe.record(other).result, torch.relu(model.conv(other)))
    probe = Probe(model, large)
    large.add_(1)  # the caller's, after it was seen
    assert torch.equal(probe.record(large).result, torch.relu(model.conv(large)))
    probe = Probe(model, large)
    probe.load({"conv.weight": torch.ones(1, 1, 1, 1), "conv.bias": torch.zeros(1)})
    assert torch.equal(probe.record(large).result, large)


@pytest.mark.parametrize("write", ["relu_", "data"])
def test_a_large_map_that_is_overwritten_is_seen_as_it_was(large, write):
    class Overwrites(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)
            nn.init.constant_(self.conv.weight, -1)
            nn.init.zeros_(self.conv.bias)

        def forward(self, images):
            maps = self.conv(images)
            (maps if write == "relu_" else maps.data).clamp_(min=0)
            return maps + 0

    recording = Probe(Overwrites(), large).record(large)
    assert torch.equal(recording.outputs["conv"], -large)


def test_a_model_of_one_size_is_checked_on_all_of_the_image(large):
    model = nn.Sequential(nn.Flatten(), nn.Linear(480, 2))
    assert Probe(model, large).record(large).outputs["1"].shape == (1, 2)


def test_a_large_image_does_not_hide_that_weights_are_ignored(large):
    model = nn.Conv2d(1, 1, 1)
    with torch.no_grad(), pytest.raises(ModelError, match="ignores its weights"):
        refuse_if_weights_are_ignored(model, lambda images: images * 2, large)


class Certain(Counting):
    """Probabilities of two classes, whatever the weights."""

    def forward(self, images):
        chance = torch.sigmoid(super().forward(images).mean((1, 2, 3)))
        return torch.stack([chance, 1 - chance], dim=1)


def test_what_comes_out_is_decided_by_the_middle_of_a_large_image(large, sizes):
    probe = Probe(Certain(0), large)
    sizes.clear()
    assert output_kind(probe, large).name == "probabilities"
    assert set(sizes) == {(4, 4)}
