"""Pictures become images: scaled as the usual transform does, and kept within bounds."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

import convviz_widgets as cvw
from convviz_widgets.errors import InputError
from convviz_widgets.images import preparation, steady_reads
from convviz_widgets.images.folder import _natural, head_of
from convviz_widgets.images.pixels import pixels_of
from convviz_widgets.images.preparation import Pictures, Preparation, normalize_of


def resized_and_cropped(picture, size):
    """Return what torchvision's Resize(size) and CenterCrop(size) do [torchvision, functional]."""
    width, height = picture.size
    short, long = sorted((width, height))
    other = int(size * long / short)
    larger = picture.resize((size, other) if width <= height else (other, size), 2)
    top, left = round((larger.height - size) / 2), round((larger.width - size) / 2)
    return larger.crop((left, top, left + size, top + size))


@pytest.mark.parametrize("shape", [(30, 41), (41, 30), (17, 100), (24, 24), (9, 12)])
def test_a_square_is_made_as_the_usual_transform_makes_it(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    picture = Image.fromarray(pixels)
    made = Preparation(size=(24, 24))(picture, "image 0")
    expected = np.array(resized_and_cropped(picture, 24))
    assert torch.equal((made * 255).round().byte().permute(1, 2, 0), torch.from_numpy(expected))


def test_floats_are_scaled_as_bytes_are():
    pixels = np.random.default_rng(0).integers(0, 256, (30, 41, 3)).astype(np.uint8)
    bytes_, floats = (Preparation(size=(12, 16))(each, "") for each in (pixels, pixels / 255))
    assert torch.allclose(bytes_, floats, atol=2 / 255)


def test_grey_is_the_luma_of_colours_whatever_they_are_stored_as():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    grey = Preparation(channels=1)
    assert torch.allclose(grey(pixels, ""), grey(pixels / 255, ""), atol=1 / 255)


def test_pictures_read_last_are_kept_and_the_bytes_are_bounded(monkeypatch):
    sources = [Image.new("L", (8, 8), value) for value in range(5)]
    monkeypatch.setattr(preparation, "CACHE_BYTES", 3 * 4 * 64)
    pictures = Pictures(sources, Preparation(channels=1))
    first = pictures[0]
    assert pictures[0] is first
    for index in range(5):
        pictures[index]
    assert list(pictures._kept) == [2, 3, 4]
    assert pickle.loads(pickle.dumps(pictures))._kept == {}


def test_what_a_transform_makes_is_made_each_time():
    calls = []
    prepared = Preparation(transform=lambda picture: calls.append(1) or torch.zeros(1, 2, 2))
    pictures = Pictures([Image.new("L", (2, 2))], prepared)
    pictures[0], pictures[0]
    assert len(calls) == 2


def test_transparent_pixels_are_white():
    clear = np.zeros((2, 2, 4), np.uint8)
    for picture in (clear, clear / 255, Image.fromarray(clear), Image.new("LA", (2, 2))):
        assert Preparation()(picture, "").eq(1).all()


def test_deep_grey_keeps_its_range():
    deep = np.array([[0, 65_535]], np.uint16)
    assert Preparation(channels=1)(Image.fromarray(deep), "").tolist() == [[[0, 1]]]
    floats = Image.fromarray(np.array([[0.0, 0.25]], np.float32))
    assert Preparation(channels=1)(floats, "").tolist() == [[[0, 0.25]]]
    with pytest.raises(InputError, match="whole numbers from 0 to 70,000; at most 16 bits"):
        pixels_of(Image.fromarray(np.array([[0, 70_000]], np.int32)), "image 0")


class Normalize:
    def __init__(self, mean, std):
        self.mean, self.std = mean, std


class ToTensorV2:
    pass


class Chain:
    def __init__(self, *transforms):
        self.transforms = transforms


def test_a_normalize_is_found_at_the_end_alone():
    last = Normalize([0.5], [0.25])
    assert normalize_of(last) == ([0.5], [0.25])
    assert normalize_of(Chain(ToTensorV2(), last)) == ([0.5], [0.25])
    assert normalize_of(Chain(last, ToTensorV2())) == ([0.5], [0.25])
    assert normalize_of(Chain(last, object())) is None
    assert normalize_of(Chain(Normalize([127.5], [127.5]))) is None  # of another unit
    assert normalize_of(Chain()) is None
    assert normalize_of(None) is None


def test_names_sort_as_they_count():
    names = ["b10.png", "b2.png", "a.png", "2.png", "10.png", "b2a.png"]
    assert sorted(names, key=_natural) == [
        "2.png",
        "10.png",
        "a.png",
        "b2.png",
        "b2a.png",
        "b10.png",
    ]


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "webp", "bmp", "tif", "ppm"])
def test_a_file_that_breaks_off_is_no_picture(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    assert head_of(path, "a").size == (40, 50)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="a cannot be read"):
        head_of(path, "a")


def test_a_kept_picture_is_neither_copied_nor_compared_for_each_look(monkeypatch):
    """One of 4K takes 100 MB, and what is shown first looks at it nine times."""
    images = cvw.ImageSet.from_images([np.zeros((4, 6, 3), np.uint8)] * 2, mean=0.5)
    compared = []
    monkeypatch.setattr(steady_reads, "_checksum", lambda image: compared.append(image) or 0)
    for _ in range(3):
        assert images.label(0) is None
        assert images.display(0).max() == 0
        assert images.input(0).eq(-0.5).all()
    assert compared == []
    images.input(0).zero_()  # the caller's own
    assert images.display(0).max() == 0
    assert images.input(0).eq(-0.5).all()
