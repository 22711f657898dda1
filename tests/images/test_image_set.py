"""Images come back as the model takes them, and as the eye does."""

import numpy as np
import pytest
import torch

from convviz_widgets.errors import InputError, SelectionError
from convviz_widgets.images import ImageSet


class Pairs(torch.utils.data.Dataset):
    """Map-style: image i is constant i / 10, beside what the test says."""

    def __init__(self, beside=lambda index: index % 2, shape=(3, 2, 2)):
        self.beside, self.shape = beside, shape

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.full(self.shape, index / 10), self.beside(index)


def test_a_tensor_and_a_data_set_look_alike():
    stacked = torch.stack([Pairs()[index][0] for index in range(4)])
    for images in (ImageSet(stacked, labels=[0, 1, 0, 1]), ImageSet(Pairs())):
        assert len(images) == 4
        assert images.shape == (3, 2, 2)
        assert torch.equal(images.input(3), stacked[3:])
        assert torch.equal(images.batch([2, 0]), stacked[[2, 0]])
        assert [images.label(index) for index in range(4)] == [0, 1, 0, 1]
        assert images.target(0) is None
        assert images.name(2) == "image 2"
        assert images.expected([1, 2]).tolist() == [1, 0]


def test_what_is_given_out_is_the_callers():
    stacked = torch.zeros(2, 1, 2, 2)
    images = ImageSet(stacked, targets=torch.zeros(2, 3, 2, 2))
    images.input(0).fill_(1)
    images.batch([1]).fill_(1)
    images.target(0).fill_(1)
    assert images.batch([0, 1]).eq(0).all()
    assert images.target(0).eq(0).all()


def test_target_pictures_come_from_either_place():
    images = ImageSet(Pairs(beside=lambda index: torch.full((1, 2, 2), float(index))))
    assert images.label(1) is None
    assert images.target(3).unique().tolist() == [3]
    assert images.expected([1, 2]).shape == (2, 1, 2, 2)
    assert ImageSet(Pairs(), targets=torch.ones(4, 1, 2, 2)).target(0).eq(1).all()
    assert ImageSet(torch.zeros(1, 1, 2, 2)).expected([0]) is None


def test_normalisation_is_undone_exactly():
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    inputs = (pixels / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    shown = ImageSet(inputs, mean=mean.tolist(), std=std.tolist()).display(0)
    assert shown.dtype == np.uint8
    assert shown.flags["C_CONTIGUOUS"]
    assert np.array_equal(shown, pixels[0].permute(1, 2, 0).numpy())


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 0.2, 0.4], [0, 51, 102]),
        ([0.0, 51.0, 255.0], [0, 51, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([torch.nan, torch.inf, 0.0], [0, 255, 0]),
    ],
)
def test_without_mean_and_std_the_range_is_read_off(values, shown):
    images = ImageSet(torch.tensor(values).reshape(1, 1, 1, 3))
    assert images.display(0)[0, :, 0].tolist() == shown


@pytest.mark.parametrize(("channels", "grey"), [(1, True), (2, True), (3, False), (5, False)])
def test_any_number_of_channels_becomes_three(channels, grey):
    shown = ImageSet(torch.rand(1, channels, 4, 5, dtype=torch.float64)).display(0)
    assert shown.shape == (4, 5, 3)
    assert (np.ptp(shown, axis=2) == 0).all() == grey


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: ImageSet(torch.zeros(2, 3, 4)), r"got float32 \(2, 3, 4\)"),
        (lambda: ImageSet(torch.zeros(2, 3, 4, 4, dtype=torch.uint8)), "got uint8"),
        (lambda: ImageSet(np.zeros((2, 3, 4, 4))), "got ndarray"),
        (lambda: ImageSet(torch.zeros(0, 3, 4, 4)), "at least one image"),
        (lambda: ImageSet(iter([1])), "map-style"),
        (lambda: ImageSet(Pairs(), labels=[1]), "got 1 labels for 4 images"),
        (lambda: ImageSet(Pairs(), labels=[0, 1, 2, 0], class_names=["a", "b"]), "label 2"),
        (lambda: ImageSet(Pairs(), labels=[0.5] * 4), "whole number from zero up, got 0.5"),
        (lambda: ImageSet(Pairs(), labels=[-1] * 4), "whole number from zero up, got -1"),
        (lambda: ImageSet(Pairs(), labels=torch.zeros(4)), r"got 0\.0; labels\.long"),
        (lambda: ImageSet(Pairs(), labels=torch.eye(4)), r"\(4, 4\), expected \(N,\): .*argmax"),
        (lambda: ImageSet(Pairs(), labels=np.zeros((4, 1), int)), r"\(4, 1\), .*squeeze\(1\)"),
        (lambda: ImageSet(Pairs(), labels=list(torch.eye(4))), r"image 0 .*float32 \(4,\); argmax"),
        (lambda: ImageSet(Pairs(), labels=list("abcd")), "got 'a'"),
        (lambda: ImageSet(Pairs(), labels=3), "labels: expected one class index an image, got 3"),
        (lambda: ImageSet(Pairs(lambda _: torch.eye(3)[0])), r"image 0 .*float32 \(3,\); argmax"),
        (lambda: ImageSet(Pairs(lambda _: {"boxes": 1})), "got a dict; labels= stands in"),
        (lambda: ImageSet(Pairs(lambda _: 2), class_names=["a", "b"]), "label 2 of image 0 has no"),
        (lambda: ImageSet(Pairs(lambda i: -i)).label(3), "label of image 3 .* got -3"),
        (lambda: ImageSet(Pairs(), targets=torch.zeros(4, 1)), "targets: expected pictures"),
        (lambda: ImageSet(torch.zeros(2, 8, 8, 3).byte()), r"255 and normalise; .*NHWC: permute"),
        (lambda: ImageSet(np.zeros((2, 3, 8, 8), np.uint8)), "from_numpy; divide by 255"),
        (lambda: ImageSet([np.zeros((8, 8, 3))]), r"from_numpy; .*HWC: permute\(2, 0, 1\)"),
        (lambda: ImageSet(torch.zeros(2, 8, 8, 3), mean=[0] * 3), r"8 channels; .*NHWC: permute"),
        (lambda: ImageSet(Pairs(), class_names="abc"), "class_names: expected one text each"),
        (lambda: ImageSet(Pairs(), names=4), "names: expected one text each"),
        (lambda: ImageSet(Pairs(), groups="abc"), "got 3 groups for 4 images"),
        (lambda: ImageSet(Pairs(), mean=[0, 0]), "mean has 2 numbers; .* 3 channels"),
        (lambda: ImageSet(Pairs(), std=0), "std must be above zero"),
        (lambda: ImageSet(Pairs(shape=(2, 2))), "image 0 .* ToTensor"),
        (lambda: ImageSet(Pairs(beside=lambda _: torch.rand(1))), "random numbers .torch.rand"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(make, line):
    with pytest.raises(InputError, match=line) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "labels",
    [
        [1, None, 0, None],
        np.array([1, None, 0, None], dtype=object),
        [torch.tensor(1), None, np.int64(0), None],
        (label for label in (1, None, 0, None)),
    ],
)
def test_some_images_may_have_no_label(labels):
    images = ImageSet(Pairs(), labels=labels, class_names=["a", "b"])
    assert [images.label(index) for index in range(4)] == [1, None, 0, None]
    assert images.expected([0, 2]).tolist() == [1, 0]
    assert images.expected([0, 1]) is None


def test_the_range_is_read_off_the_images_that_can_be_read():
    class Broken(Pairs):
        def __getitem__(self, index):
            if index == 1:
                raise OSError("gone")
            return super().__getitem__(index)[0] * 10  # 0, 2 and 3 of 255

    images = ImageSet(Broken())
    assert [images.display(index).max() for index in (0, 2, 3)] == [0, 2, 3]
    with pytest.raises(OSError, match="gone"):
        images.display(1)


@pytest.mark.parametrize("index", [-1, 4, 1.0, True, "1"])
def test_an_index_out_of_range_is_refused(index):
    with pytest.raises(SelectionError, match=r"no image|whole number"):
        ImageSet(Pairs()).input(index)


def test_images_of_unequal_size_are_named():
    class Unequal(Pairs):
        def __getitem__(self, index):
            return torch.zeros(3, 2 + index, 2)

    with pytest.raises(InputError, match=r"image 1 has shape \(3, 3, 2\), the first"):
        ImageSet(Unequal()).input(1)


def test_reading_a_data_set_draws_nothing():
    state = torch.get_rng_state()
    images = ImageSet(Pairs())
    images.display(0)
    images.batch(range(4))
    assert torch.equal(torch.get_rng_state(), state)


def test_targets_may_be_masks_or_rows_of_labels():
    masks = torch.zeros(4, 2, 2, dtype=torch.uint8)
    assert ImageSet(Pairs(), targets=masks).target(1).shape == (2, 2)
    rows = torch.tensor([[1, 0, 1]] * 4)
    images = ImageSet(Pairs(lambda _: rows[0]), targets=rows)
    assert images.target(3).tolist() == [1, 0, 1]
    assert images.label(3) is None
    assert images.expected([0, 1]).tolist() == [[1, 0, 1]] * 2


def test_what_a_loss_compares_with_are_targets_or_else_labels() -> None:
    inputs, targets = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)
    with_both = ImageSet(inputs, labels=[0, 1], targets=targets)
    pictures = with_both.expected([1])
    assert pictures is not None
    assert pictures.equal(targets[1:])
    labels = ImageSet(inputs, labels=[0, 1]).expected([1, 0])
    assert labels is not None
    assert labels.tolist() == [1, 0]
    assert ImageSet(inputs, labels=[0, None]).expected([0, 1]) is None
    assert with_both.expected([]) is None
