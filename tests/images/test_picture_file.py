"""Picture files: what is in them, at another size; and whatever strangers put into them."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from convviz_widgets.errors import InputError
from convviz_widgets.images import picture_file
from convviz_widgets.images.picture_file import read_picture
from convviz_widgets.images.preprocessing import Preprocessing


def png(pixels, kind="PNG", **options):
    out = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(out, kind, **options)
    return out.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width, height):
    """A PNG of a few bytes that says it has so many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(100))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def test_a_picture_of_the_right_size_comes_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    np.testing.assert_array_equal(read_picture("a.png", png(pixels), 4, 6), pixels)


def test_a_wide_picture_loses_its_sides_and_blocks_become_their_mean():
    grey = np.array([[9, 0, 4, 100, 200, 9], [9, 2, 6, 100, 200, 9]])
    found = read_picture("a.png", png(grey), 1, 2)
    assert found[..., 0].tolist() == [[3, 150]]


def test_what_is_transparent_is_white_and_a_turned_photograph_is_upright():
    clear = np.zeros((2, 2, 4))
    clear[0, 0] = (10, 20, 30, 255)
    found = read_picture("a.png", png(clear), 2, 2)
    assert found.tolist() == [[[10, 20, 30], [255] * 3], [[255] * 3] * 2]
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    found = read_picture("a.png", png([[0, 1], [2, 3]], exif=exif), 2, 2)
    assert found[..., 0].tolist() == [[3, 2], [1, 0]]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "cannot be read as a picture; expected PNG, JPEG"),
        (b"\x89PNG\r\n\x1a\n", "cannot be read"),
        (png(np.ones((40, 40, 3)))[:60], "cannot be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot be read"),
        (bomb(10_000, 5_000), "10,000 × 5,000 pixels; a picture may have 40,000,000"),
        (bomb(60_000, 60_000), "exceeds limit"),  # Pillow's own
        (bomb(8_000, 4_000), "cannot be read"),  # few enough pixels, which are not there
        (bytes(16 * 2**20 + 1), "16,777,217 bytes; a picture may have 16,777,216"),
    ],
)
def test_hostile_files_are_refused_in_one_line(content, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=expected) as raised:
            read_picture("<b>\n" + "x" * 500, content, 8, 8)
    line = str(raised.value)
    assert "\n" not in line
    assert len(line) < 400


def test_a_file_that_is_no_picture_is_called_by_its_name_alone():
    with pytest.raises(InputError) as raised:
        read_picture("notes.txt", b"hello", 8, 8)
    assert str(raised.value) == (
        "'notes.txt' cannot be read as a picture; expected PNG, JPEG, WEBP, GIF, BMP"
    )


def test_other_formats_of_pillow_are_not_tried(monkeypatch):
    opened = {}

    def spying(stream, formats):
        opened["formats"] = formats
        raise OSError("not today")

    monkeypatch.setattr(picture_file.Image, "open", spying)
    with pytest.raises(InputError):
        read_picture("a", b"", 1, 1)
    assert set(opened["formats"]) == {"PNG", "JPEG", "WEBP", "GIF", "BMP"}


@pytest.mark.parametrize("channels", [3, 1])
def test_preprocessing_a_picture_is_the_inverse_of_undoing_it(channels):
    generator = np.random.default_rng(1)
    picture = generator.integers(0, 256, (5, 4, 3), np.uint8)
    if channels == 1:
        picture = picture[..., :1].repeat(3, axis=2)
    mean, std = [0.4, 0.5, 0.6][:channels], [0.2, 0.25, 0.3][:channels]
    done = Preprocessing.stated(mean, std, (channels, 5, 4))
    model_input = done.done(picture, channels)
    expected = (picture[..., :channels] / 255 - mean) / std
    torch.testing.assert_close(
        model_input, torch.from_numpy(expected).permute(2, 0, 1).float(), atol=1e-5, rtol=0
    )
    np.testing.assert_array_equal(done.undone(model_input), picture)


def test_channels_beyond_the_third_get_the_grey_of_a_picture():
    plain = Preprocessing.stated(0.0, 1.0, (5, 1, 1))
    found = plain.done(np.array([[[255, 0, 0]]]), 5).flatten()
    torch.testing.assert_close(found, torch.tensor([1, 0, 0, 0.299, 0.299]))
    assert plain.done(np.array([[[255, 0, 0]]]), 2).flatten().tolist() == found[3:].tolist()
