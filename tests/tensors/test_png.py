import io

import numpy as np
import pytest
from PIL import Image

from convviz_widgets.errors import InputError
from convviz_widgets.tensors import palette, palette_png, rgb_png


def decoded(content, mode):
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert(mode))


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (61, 47)])
def test_a_decoder_sees_the_colours_of_the_slots(random, shape):
    slots = random.integers(0, 256, shape, dtype=np.uint8)
    colors = random.integers(0, 256, (256, 4), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(palette_png(slots, colors), "RGBA"), colors[slots])


def test_strided_slots_are_written_as_they_look(random):
    slots = random.integers(0, 249, (20, 30), dtype=np.uint8).T[::2]
    shown = decoded(palette_png(slots, palette("gray")), "RGBA")
    np.testing.assert_array_equal(shown, palette("gray")[slots])


@pytest.mark.parametrize(("channels", "mode"), [(3, "RGB"), (4, "RGBA")])
def test_true_colours_are_kept(random, channels, mode):
    pixels = random.integers(0, 256, (7, 5, channels), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(rgb_png(pixels), mode), pixels)


@pytest.mark.parametrize(
    "call",
    [
        lambda: palette_png(np.zeros((2, 2)), palette("gray")),
        lambda: palette_png(np.zeros((0, 2), np.uint8), palette("gray")),
        lambda: palette_png(np.zeros((2, 2), np.uint8), np.zeros((3, 4), np.uint8)),
        lambda: rgb_png(np.zeros((2, 2, 2), np.uint8)),
        lambda: rgb_png(np.zeros((2, 2, 3), np.float32)),
    ],
)
def test_what_is_no_picture_is_refused(call):
    with pytest.raises(InputError, match="expected uint8"):
        call()
