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


def test_rows_that_repeat_take_no_room_and_are_seen(random):
    """As in tiles that are enlarged: 8 rows of which every one stands 50 times."""
    slots = np.repeat(random.integers(0, 249, (8, 400), dtype=np.uint8), 50, axis=0)
    content = palette_png(slots, palette("viridis"))
    assert len(content) < 400 * 400 / 20
    np.testing.assert_array_equal(decoded(content, "RGBA"), palette("viridis")[slots])


def test_noise_is_stored_and_smooth_pictures_are_compressed(random):
    noise = random.integers(0, 249, (400, 400), dtype=np.uint8)
    content = palette_png(noise, palette("viridis"))
    assert len(content) == pytest.approx(400 * 401, rel=0.02)
    np.testing.assert_array_equal(decoded(content, "RGBA"), palette("viridis")[noise])
    steps = np.add.outer(np.arange(400), np.arange(400) // 20 * 20).astype(np.uint8)
    content = palette_png(steps, palette("viridis"))
    assert len(content) < 400 * 400 / 5
    np.testing.assert_array_equal(decoded(content, "RGBA"), palette("viridis")[steps])


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
