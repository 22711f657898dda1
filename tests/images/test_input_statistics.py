"""What goes into the model, against numpy, and preprocessing that is undone rightly or wrongly."""

import numpy as np
import pytest
import torch

from convviz_widgets.demo import RECIPES
from convviz_widgets.demo.patches import image_sets
from convviz_widgets.demo.photographs import cut_patches
from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet, input_statistics

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pictures(count=300):
    """Return 8-bit pictures (N, 3, 8, 8) of every level."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, 8, 8), generator=generator, dtype=torch.uint8)


def normalised(mean=MEAN, std=STD):
    return (pictures() / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def test_the_numbers_are_those_of_numpy():
    inputs = normalised()
    found = input_statistics(ImageSet(inputs, mean=MEAN, std=STD), count=300)
    by_channel = inputs.double().numpy().transpose(1, 0, 2, 3).reshape(3, -1)
    np.testing.assert_allclose(found.mean, by_channel.mean(1), atol=1e-12)
    np.testing.assert_allclose(found.std, by_channel.std(1))
    np.testing.assert_allclose(found.rms, np.sqrt((by_channel**2).mean(1)))
    np.testing.assert_array_equal(found.low, by_channel.min(1))
    np.testing.assert_array_equal(found.high, by_channel.max(1))
    np.testing.assert_allclose(
        found.overall, [by_channel.mean(), by_channel.std(), np.sqrt((by_channel**2).mean())]
    )
    assert (found.n, found.values, found.non_finite) == (300, 300 * 192, 0)


def test_images_are_taken_from_the_whole_set():
    found = input_statistics(ImageSet(torch.arange(1000.0).reshape(1000, 1, 1, 1)), count=256)
    assert (found.n, found.low[0], found.high[0]) == (256, 0, 999)


def test_the_right_preprocessing_gives_whole_numbers_within_range():
    found = input_statistics(ImageSet(normalised(), mean=MEAN, std=STD))
    assert found.eight_bit
    assert (found.clipped, found.whole) == (0, 1)


@pytest.mark.parametrize(
    ("mean", "std", "clips"),
    [
        (MEAN, tuple(1.1 * each for each in STD), True),
        (MEAN, (0.5, 0.5, 0.5), True),
        (MEAN, (0.1, 0.1, 0.1), False),
        (MEAN, tuple(0.9 * each for each in STD), False),
        ((0.5, 0.5, 0.5), STD, True),
        ((0.45, 0.45, 0.45), STD, True),
        ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), True),
    ],
)
def test_a_wrong_mean_or_std_is_noticed(mean, std, clips):
    """Too small a std clips nothing: that the values are not whole gives it away."""
    found = input_statistics(ImageSet(normalised(), mean=mean, std=std))
    assert (found.clipped > 0.01) == clips
    assert found.eight_bit
    assert found.whole < 0.99


@pytest.mark.parametrize("std", [STD, (0.5, 0.25, 0.125), (1 / 255,) * 3])
def test_the_levels_tell_the_std_that_was_divided_by(std):
    found = input_statistics(ImageSet(normalised(std=std)))
    assert [levels.std for levels in found.levels] == pytest.approx(std, rel=1e-4)


def test_values_of_other_sources_have_no_levels():
    assert not input_statistics(ImageSet(torch.rand(64, 3, 16, 16))).eight_bit
    assert not input_statistics(ImageSet(torch.rand(64, 3, 16, 16).round())).eight_bit


@pytest.mark.parametrize("channels", [1, 3, 4, 17])
def test_any_number_of_channels_is_counted(channels):
    inputs = torch.full((5, channels, 2, 2), 0.5) + torch.arange(channels).view(-1, 1, 1)
    assert input_statistics(ImageSet(inputs)).mean.tolist() == [c + 0.5 for c in range(channels)]


def test_values_that_are_no_numbers_are_left_out_and_counted():
    inputs = torch.tensor([0.0, 1.0, torch.nan, torch.inf]).reshape(1, 1, 2, 2)
    found = input_statistics(ImageSet(inputs, mean=0.0, std=1.0))
    assert (found.mean[0], found.low[0], found.high[0], found.non_finite) == (0.5, 0, 1, 0.5)


def test_images_that_raise_are_named_and_left_out():
    class Broken:
        def __len__(self):
            return 4

        def __getitem__(self, index):
            if index == 2:
                raise OSError("truncated file")
            return torch.full((1, 2, 2), float(index))

    found = input_statistics(ImageSet(Broken()))
    assert (found.n, found.high[0]) == (3, 3)
    assert found.failures == {2: "image 2: OSError: truncated file"}


def test_a_set_that_cannot_be_read_any_more_is_refused():
    class Gone:
        there = True

        def __len__(self):
            return 4

        def __getitem__(self, index):
            if not self.there:
                raise OSError("disk gone")
            return torch.zeros(1, 2, 2)

    images = ImageSet(Gone())
    Gone.there = False
    with pytest.raises(InputError, match="none of 4 images can be read: image 0: OSError: disk"):
        input_statistics(images)


@pytest.fixture(scope="module")
def patches():
    recipe = RECIPES["demo"]
    _, validation = image_sets(recipe)
    at_most = recipe.patches // 3
    return cut_patches("validation", at_most=at_most, seed=recipe.seed).pixels, validation


def test_undoing_preprocessing_returns_the_bytes_of_the_demonstration(patches):
    pixels, validation = patches
    shown = np.stack([validation.display(index) for index in range(len(validation))])
    np.testing.assert_array_equal(shown, pixels)


def test_the_demonstration_is_undone_to_whole_numbers(patches):
    found = input_statistics(patches[1])
    assert found.n >= 256
    assert found.eight_bit
    assert (found.clipped, found.whole) == (0, 1)
