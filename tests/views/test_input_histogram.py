"""Counts of input values, against numpy, before and after undoing the preprocessing."""

import numpy as np
import pytest
import torch
from torch import nn

from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.images.input_statistics import LEVELS, input_counts
from convviz_widgets.state import ModelState
from convviz_widgets.views import InputHistogram

MEAN, STD = [0.5, 0.4, 0.3], [0.25, 0.2, 0.1]


def pictures(count=40):
    drawn = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, 6, 6), generator=drawn, dtype=torch.uint8)


def images(std=STD):
    mean, divisor = (torch.tensor(each).view(3, 1, 1) for each in (MEAN, STD))
    return ImageSet((pictures() / 255 - mean) / divisor, mean=MEAN, std=std)


def state_of(image_set):
    return ModelState(nn.Sequential(nn.Conv2d(image_set.shape[0], 2, 2)), image_set)


def test_undone_counts_are_those_of_the_bytes():
    counts = input_counts(images())
    for channel, histogram in enumerate(counts.undone):
        expected = np.bincount(pictures()[:, channel].flatten().numpy(), minlength=256)
        np.testing.assert_array_equal(histogram.counts, expected)
        np.testing.assert_array_equal(histogram.edges, LEVELS)


def test_counts_before_are_those_of_numpy():
    inputs = images().batch(range(40)).numpy()
    for channel, histogram in enumerate(input_counts(images()).taken):
        expected, edges = np.histogram(inputs[:, channel], 64, (inputs.min(), inputs.max()))
        assert abs(histogram.counts - expected).sum() <= 2  # numpy computes its edges in float32
        np.testing.assert_allclose(histogram.edges, edges, rtol=1e-6)
        assert histogram.counts.sum() == histogram.n == 40 * 36


def test_what_a_wrong_std_puts_outside_is_counted_in_words():
    wide = images(std=[1.9 * each for each in STD])
    view = InputHistogram(state_of(wide), side="preprocessing undone")
    undone = 255 * (wide.batch(range(40)).double() * torch.tensor(STD).view(3, 1, 1) * 1.9)
    undone += 255 * torch.tensor(MEAN).view(3, 1, 1)
    below, above = int((undone < -0.5).sum()), int((undone > 255.5).sum())
    assert below > 0
    assert f"{below:,} below, {above:,} above" in view.caption


def test_the_view_shows_all_channels_or_one_and_says_n_and_limits():
    view = InputHistogram(state_of(images()), side="preprocessing undone")
    assert view.problem == ""
    assert view.counts.sum() == 40 * 3 * 36
    assert "n = 40 of 40 images, 4,320 values · 256 bins from -0.5 to 255.5" in view.caption
    view.channel = "channel 1"
    expected = np.bincount(pictures()[:, 1].flatten().numpy(), minlength=256)
    np.testing.assert_array_equal(view.counts, expected)
    view.side = "as the model takes them"
    assert len(view.counts) == 64
    assert "mean" in view.caption


def test_only_as_many_images_as_asked_are_counted():
    view = InputHistogram(state_of(images()), count_of=10)
    assert "n = 10 of 40 images" in view.caption
    assert view.counts.sum() == 10 * 3 * 36


def test_validation_is_counted_where_there_is_one():
    view = InputHistogram(state_of(images()), validation=torch.zeros(5, 3, 6, 6))
    view.source = "validation"
    assert "n = 5 of 5 images" in view.caption
    lonely = InputHistogram(state_of(images()), source="validation")
    assert "there is no validation set" in lonely.problem


@pytest.mark.parametrize("channels", [1, 4, 17])
def test_other_numbers_of_channels_are_counted(channels):
    view = InputHistogram(state_of(ImageSet(torch.rand(3, channels, 4, 4))))
    view.channel = f"channel {channels - 1}"
    assert view.problem == ""
    assert view.counts.sum() == 3 * 16


def test_values_that_are_no_numbers_are_said():
    inputs = torch.rand(3, 1, 4, 4)
    inputs[0, 0, 0, :3] = torch.tensor([torch.nan, torch.inf, -torch.inf])
    view = InputHistogram(state_of(ImageSet(inputs, mean=0.0, std=1.0)))
    assert "3 NaN or infinite" in view.caption


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="the images have all channels, channel 0"):
        InputHistogram(state_of(images()), channel="channel 3")
    with pytest.raises(InputError, match="shows a ModelState"):
        InputHistogram(3)
