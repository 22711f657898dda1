"""Equal samples are found, all of them and nothing else."""

import random
from collections import defaultdict

import numpy as np
import pytest
import torch
from PIL import Image

from convviz_widgets.errors import InputError
from convviz_widgets.images import (
    ImageSet,
    find_duplicates,
    find_leak,
    find_repeated_batches,
    sample_digests,
)
from convviz_widgets.images.duplicates import comparing, hashes
from convviz_widgets.images.reading import RawSamples


def global_numpy():
    return np.random.get_state()[1].tolist()  # noqa: NPY002 - the state that users share


class Listed:
    """A map-style data set of whatever a list holds; an exception in it is raised."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        if isinstance(self.items[index], Exception):
            raise self.items[index]
        return self.items[index]


def images(count=40, shape=(3, 4, 5), seed=0):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


def planted():
    made = images()
    made[7] = made[39] = made[3]
    made[11] = made[10]
    return made


GROUPS = ((3, 7, 39), (10, 11))


@pytest.mark.parametrize(
    "source",
    [
        planted(),
        ImageSet(planted()),
        Listed(list(planted())),
        Listed([(image, label) for label, image in enumerate(planted())]),
        Listed([{"label": 0, "image": image} for image in planted()]),
        Listed([image.numpy() for image in planted()]),
        planted().bfloat16(),
        planted().double(),
        planted().transpose(2, 3),
        (planted() * 255).byte(),
        planted()[..., :1],
    ],
    ids=lambda source: type(source).__name__,
)
def test_planted_duplicates_are_found_in_every_kind_of_source(source):
    found = find_duplicates(source)
    assert found.groups == GROUPS
    assert (found.count, found.surplus, found.failures) == (40, 3, {})


def test_pictures_of_unequal_size_are_compared():
    pictures = [Image.new("RGB", size, color) for size in ((4, 4), (2, 8)) for color in ("red", 0)]
    assert find_duplicates(Listed([*pictures, Image.new("RGB", (2, 8), "red")])).groups == ((2, 4),)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8, torch.float16])
def test_an_exhaustive_comparison_finds_the_same(dtype):
    """Images of a few zeros and ones: many are equal, and the hashes have few bits to go by."""
    made = torch.randint(0, 2, (600, 1, 3, 3), generator=torch.Generator().manual_seed(1)).to(dtype)
    by_value = defaultdict(list)
    for index, image in enumerate(made):
        by_value[tuple(image.flatten().tolist())].append(index)
    expected = sorted(tuple(group) for group in by_value.values() if len(group) > 1)
    assert list(find_duplicates(made).groups) == expected


def test_equal_hashes_alone_are_no_duplicates(monkeypatch):
    monkeypatch.setattr(
        "convviz_widgets.images.duplicates.hashes",
        lambda block: np.zeros(len(block.rows), np.uint64),
    )
    assert find_duplicates(planted()).groups == GROUPS


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_different_images_of_few_values_have_different_hashes(dtype):
    made = torch.randint(0, 2, (5000, 1, 8, 8), generator=torch.Generator().manual_seed(2))
    reads = RawSamples(made.to(dtype)).reads()
    numbers = np.concatenate([hashes(block) for _, blocks in reads for block in blocks])
    assert len(np.unique(numbers)) == len(made)


def test_a_value_of_the_same_bytes_in_another_shape_or_type_is_another_sample():
    zeros = [torch.zeros(1, 4, 4), torch.zeros(1, 2, 8), torch.zeros(1, 4, 4, dtype=torch.int32)]
    assert find_duplicates(Listed(zeros)).groups == ()


def test_samples_that_raise_are_named_and_left_out():
    items = list(planted())
    items[5], items[7] = OSError("truncated file\nat byte 9"), {"no": "image"}
    found = find_duplicates(Listed(items))
    assert found.groups == ((3, 39), (10, 11))
    assert found.count == 38
    assert found.failures[5] == "image 5: OSError: truncated file"
    assert "expected an image" in found.failures[7]


def test_an_image_set_with_broken_items_is_read_one_by_one():
    items = list(planted())
    items[5] = OSError("gone")
    found = find_duplicates(ImageSet(Listed(items)))
    assert (found.groups, list(found.failures)) == (GROUPS, [5])


def test_a_leak_is_told_with_the_indices_of_both_sides():
    training, validation = planted(), images(20, seed=5)
    validation[2], validation[9], validation[4] = training[3], training[3], training[20]
    leak = find_leak(training, ImageSet(validation))
    assert leak.groups == (((3, 7, 39), (2, 9)), ((20,), (4,)))
    assert (leak.shared, leak.counts) == (3, (40, 20))
    assert find_leak(training, images(20, seed=5)).groups == ()


def test_a_repeated_batch_is_one_with_the_same_samples_in_any_order():
    a, b = images(4), images(4, seed=1)
    one_twice = torch.stack([a[0], a[0], a[1], a[2]])
    other_twice = torch.stack([a[0], a[1], a[1], a[2]])
    batches = [a, b, a.flip(0), b[:3], one_twice, other_twice]
    assert find_repeated_batches(batches) == ((0, 2),)


def test_digests_do_not_depend_on_how_a_sample_lies_in_memory():
    made = images()
    assert sample_digests(made) == sample_digests(
        made.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)
    )
    assert len(set(sample_digests(planted()))) == 37


def test_searching_draws_no_random_number():
    before = torch.get_rng_state(), random.getstate(), global_numpy()
    find_duplicates(planted())
    refused = find_duplicates(Listed2())
    after = torch.get_rng_state(), random.getstate(), global_numpy()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert "without random transforms" in refused.failures[0]


class Listed2(Listed):
    """A data set with a random transform."""

    def __init__(self):
        super().__init__([0, 1])

    def __getitem__(self, index):
        return torch.rand(3, 4, 4)


def test_a_search_can_be_left_and_tells_how_far_it_is():
    work = comparing(images(10_000, (1, 2, 2)))
    done, total = next(work)
    assert 0 < done < total == 10_000
    work.close()


def test_a_search_can_be_left_where_no_sample_can_be_read():
    unreadable = Listed([OSError("no such file")] * 300)
    steps = list(comparing(unreadable))
    assert len(steps) >= 3  # one sample, at most 16, at most 256
    assert steps[-1] == (300, 300)
    assert find_duplicates(unreadable).count == 0


def test_an_empty_set_has_no_duplicates():
    assert find_duplicates(torch.zeros(0, 3, 4, 4)).groups == ()


@pytest.mark.parametrize("source", [3, "images", {"a": 1}, torch.tensor(1.0)])
def test_what_is_no_set_is_refused(source):
    with pytest.raises(InputError, match="expected a tensor"):
        find_duplicates(source)


def test_a_loader_is_refused_with_a_hint():
    loader = torch.utils.data.DataLoader(Listed([1, 2]))
    with pytest.raises(InputError, match=r"got DataLoader; give its \.dataset"):
        find_duplicates(loader)
