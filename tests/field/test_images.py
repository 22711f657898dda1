"""Data sets as people have them: augmented at random, of dicts, of pictures, in other units."""

import dataclasses
import itertools
import os
import random
import threading
import time
from collections import namedtuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, IterableDataset, Subset, TensorDataset

import convviz_widgets as cvw
from convviz_widgets.images import find_duplicates, loader_batches
from convviz_widgets.sweeps import sweep

X = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Items(torch.utils.data.Dataset):
    """Six items, each what a function makes of its index."""

    def __init__(self, item, count=6):
        self.item, self.count = item, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return self.item(index)


class Generators:
    """Generators that a data set may draw from, and where they stand."""

    def __init__(self):
        self.numpy, self.python = np.random.default_rng(0), random.Random(0)

    def state(self):
        return (
            random.getstate(),
            str(np.random.mtrand._rand.get_state(legacy=False)["state"]["key"].tolist()),
            np.random.mtrand._rand.get_state(legacy=False)["state"]["pos"],
            str(self.numpy.bit_generator.state),
            self.python.getstate(),
            torch.get_rng_state().tolist(),
        )


def identity():
    """Return a model whose maps are the picture."""
    with torch.random.fork_rng():
        model = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU())
    nn.init.dirac_(model[0].weight)
    return model


@pytest.fixture
def drawn():
    before = random.getstate(), np.random.mtrand._rand.get_state(), torch.get_rng_state()
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - it is what people draw from
    yield Generators()
    random.setstate(before[0])
    np.random.mtrand._rand.set_state(before[1])
    torch.set_rng_state(before[2])


ALWAYS = {
    "random": lambda g: random.random(),
    "numpy.random": lambda g: np.random.rand(),  # noqa: NPY002
    "a generator of its own": lambda g: g.numpy.random(),
    "a generator of its own ": lambda g: g.python.uniform(1, 2),
}


@pytest.mark.parametrize("source", ALWAYS)
def test_an_augmented_data_set_is_refused_and_its_generators_stay(source, drawn):
    augmented = Items(lambda index: (X[index] * ALWAYS[source](drawn), 0))
    before = drawn.state()
    with pytest.raises(cvw.InputError, match=f"different .*draws from {source.strip()}.*valid"):
        cvw.ImageSet(augmented)
    with pytest.raises(cvw.InputError, match="comes out different each time"):
        sweep(identity(), augmented, progress=False)
    assert drawn.state() == before


@pytest.mark.parametrize("source", ALWAYS)
def test_a_flip_by_chance_never_shows_another_picture_than_the_maps(source, drawn):
    def item(index):
        return (X[index].flip(2) if ALWAYS[source](drawn) % 1 < 0.1 else X[index]), 0

    before, refused = drawn.state(), []
    for _ in range(3):
        try:
            state = cvw.ModelState(identity(), cvw.ImageSet(Items(item)))
            maps = [state.activation("0", selection=state.select(image=i % 6)) for i in range(12)]
            shown = [state.image_set.input(i % 6)[0] for i in range(12)]
        except cvw.InputError as error:
            refused.append(str(error))
            continue
        assert all(map(torch.equal, maps, shown))
    assert all("comes out different" in line for line in refused)
    assert drawn.state() == before


@pytest.mark.parametrize(
    "factor",
    [
        lambda: time.perf_counter() % 1,
        lambda: int.from_bytes(os.urandom(4)),
        itertools.count().__next__,
        itertools.cycle((1, 2)).__next__,
    ],
)
def test_what_differs_by_time_entropy_or_a_counter_is_refused(factor):
    with pytest.raises(cvw.InputError, match="comes out different each time"):
        cvw.ImageSet(Items(lambda index: (X[index] * factor(), 0)))


def test_what_changes_later_is_refused_then():
    switch = []
    images = cvw.ImageSet(Items(lambda index: (X[index] * (2 if switch else 1), 0)))
    state = cvw.ModelState(identity(), images)
    assert torch.equal(state.activation("0"), images.input(0)[0])
    switch.append(1)
    with pytest.raises(cvw.InputError, match="image 0 of the data set comes out different"):
        images.display(0)


def test_draws_that_do_not_show_are_let_through_and_given_back(drawn):
    """As a validation transform that asks chance whether to be applied at all."""
    always = Items(lambda index: (X[index] if random.random() < 2 else None, index % 2))
    some = Items(lambda index: (X[index] if index < 3 or random.random() < 2 else None, 0))
    before = drawn.state()
    for data in (always, some):
        state = cvw.ModelState(identity(), cvw.ImageSet(data))
        for index in range(6):
            state.select(image=index)
            assert torch.equal(state.activation("0"), X[index])
        sweep(identity(), data, progress=False)
        assert drawn.state() == before


def test_a_data_set_that_raises_gives_its_draws_back(drawn):
    def item(index):
        if index and np.random.rand() < 2:  # noqa: NPY002
            raise OSError("gone")
        return X[index], 0

    images = cvw.ImageSet(Items(item))
    before = drawn.state()
    with pytest.raises(OSError, match="gone"):
        images.input(1)
    assert drawn.state() == before


@pytest.mark.parametrize("reads_in_main", [False, True])
def test_a_training_beside_the_reading_draws_what_it_would_have_drawn(reads_in_main, drawn):
    images = cvw.ImageSet(Items(lambda index: (X[index], 0)))
    random.seed(5)
    expected = [random.random() for _ in range(20_000)]
    random.seed(5)
    found, stop = [], threading.Event()

    def train():
        found.extend(random.random() for _ in range(20_000))
        stop.set()

    def look():
        while not stop.is_set():
            images.input(3)

    other = threading.Thread(target=train if reads_in_main else look)
    other.start()
    (look if reads_in_main else train)()
    other.join()
    assert found == expected


def test_a_training_that_augments_in_another_thread_ends_at_the_same_weights(drawn):
    """It draws all the time, and reading takes long enough for it to draw in each read."""

    def trained(watched):
        random.seed(5)
        np.random.seed(5)  # noqa: NPY002
        model = identity()
        rows = cvw.ImageSet(Items(lambda i: (time.sleep(1e-3), X[i])[1]))
        training, stop = threading.Event(), threading.Event()

        def train():
            training.set()
            for _ in range(150):
                picture = X[random.randrange(6)] * np.random.rand()  # noqa: NPY002
                loss = (model(picture[None]) - 1).square().mean()
                (gradient,) = torch.autograd.grad(loss, model[0].weight)
                with torch.no_grad():
                    model[0].weight -= 0.1 * gradient
            stop.set()

        other = threading.Thread(target=train)
        other.start()
        training.wait()
        while watched and not stop.is_set():
            rows.input(3)
        other.join()
        return model[0].weight.detach()

    assert torch.equal(trained(watched=True), trained(watched=False))


@dataclasses.dataclass
class Sample:
    image: torch.Tensor
    label: int


Pair = namedtuple("Pair", "x y")

READ = {
    "hugging face": lambda i: {"pixel_values": X[i], "labels": torch.tensor(i)},
    "hugging face with its picture": lambda i: {
        "image": Image.new("RGB", (8, 8)),
        "pixel_values": X[i],
        "label": i,
    },
    "monai": lambda i: {"image": X[i], "label": i},
    "img": lambda i: {"img": X[i], "target": i},
    "xy": lambda i: {"x": X[i], "y": np.int64(i)},
    "capitals": lambda i: {"Image": X[i], "Label": i},
    "path first": lambda i: {"path": "a.png", "input": X[i], "class": i},
    "three": lambda i: (X[i], i, "a.png"),
    "list": lambda i: [X[i], i],
    "dataclass": lambda i: Sample(X[i], i),
    "named": lambda i: Pair(X[i], i),
}


@pytest.mark.parametrize("kind", READ)
def test_items_of_many_kinds_are_read(kind):
    data = Items(READ[kind])
    images = cvw.ImageSet(data)
    assert torch.equal(images.batch([1, 4]), X[[1, 4]])
    assert [images.label(index) for index in range(6)] == list(range(6))
    assert sweep(identity(), data, progress=False).count == 6


def test_an_image_alone_has_no_label():
    for item in (lambda i: X[i], lambda i: (X[i],), lambda i: {"image": X[i]}):
        images = cvw.ImageSet(Items(item))
        assert torch.equal(images.input(2)[0], X[2])
        assert images.label(2) is None


def test_keys_say_where_image_and_label_are():
    data = Items(lambda i: {"scan": X[i], "grade": i, "image": "a.png"})
    images = cvw.ImageSet(data, keys=("scan", "grade"))
    assert torch.equal(images.input(3)[0], X[3])
    assert images.label(3) == 3
    assert cvw.ImageSet(data, keys="scan").label(3) is None
    assert cvw.ImageSet(Items(lambda i: (i, X[i], 1)), keys=(1, 0)).label(3) == 3


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (
            lambda i: {"scan": X[i], "grade": i},
            r"dict of scan: float32 \(3, 8, 8\), grade: int; expected \(image, label\): .*"
            r"keys=\('scan', 'grade'\)",
        ),
        (lambda i: (i, X[i], 1), r"tuple of 0: int, .*\(image, label\): .*keys=\(1, 2\)"),
        (lambda i: ("a.png", X[i]), r"expected \(image, label\): .*keys=\(1, None\)"),
        (lambda i: {}, r"dict of nothing; expected \(image, label\)"),
        (lambda i: {"pixel_values": X[i : i + 1]}, r"\(1, 3, 8, 8\); .*batch of one: image\[0\]"),
        (lambda i: {"image": X[i].tolist()}, r'got list; .*with_format\("torch"\)'),
        (
            lambda i: (Image.new("L", (8, 9)), 1),
            "got PIL image L 9×8; .*or ImageSet.from",
        ),
        (lambda i: (X[i].numpy(), 1), r"torch.from_numpy; ImageSet.from_images\(data set\) takes"),
        (lambda i: ((X[i] * 255).byte(), 1), r"divide by 255 .*from_images\(data set\)"),
        (lambda i: (X[i], {"boxes": X[0], "labels": [1]}), r"a dict; labels= .*\[None\] \* len"),
        (lambda i: "a.png", "got str; .*from_images"),
        (lambda i: None, "got NoneType"),
    ],
)
def test_what_is_no_image_and_label_is_told_with_the_way_out(item, line):
    with pytest.raises(cvw.InputError, match=line) as caught:
        cvw.ImageSet(Items(item))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("scn", "grade"), "unknown key 'scn'; did you mean 'scan'"),
        (("scan", "label"), "unknown key 'label'"),
        (("scan", "grade", 1), "keys: expected those of image and label"),
        (4.5, "keys: expected"),
    ],
)
def test_keys_that_are_not_there_are_told(keys, line):
    with pytest.raises(cvw.InputError, match=line):
        cvw.ImageSet(Items(lambda i: {"scan": X[i], "grade": i}), keys=keys)


def test_masks_beside_an_image_are_target_pictures():
    mask = np.eye(8, dtype=np.uint8)
    for beside in (mask, Image.fromarray(mask), torch.from_numpy(mask)):
        images = cvw.ImageSet(Items(lambda i, beside=beside: (X[i], beside)))
        assert torch.equal(images.target(2), torch.eye(8).byte())
        assert images.label(2) is None
    with pytest.raises(cvw.InputError, match=r"\(6, 8, 8\), expected \(N,\): .*targets="):
        cvw.ImageSet(X, labels=torch.zeros(6, 8, 8).long())


def test_the_image_of_a_dict_is_the_same_one_wherever_it_is_looked_for():
    empty = torch.zeros(8, 8)
    data = Items(lambda i: {"mask": empty, "Image": X[i], "class": i}, count=4)
    assert torch.equal(cvw.ImageSet(data, keys=("Image", "class")).input(3)[0], X[3])
    assert find_duplicates(data).groups == ()
    batch = loader_batches(DataLoader(data, batch_size=4), 1).batches[0]
    assert torch.equal(batch.images, X[:4])
    assert batch.labels == (0, 1, 2, 3)


class Stream(IterableDataset):
    def __iter__(self):
        return iter([(X[0], 1)] * 3)


@pytest.mark.parametrize(
    ("images", "line"),
    [
        (DataLoader(TensorDataset(X)), r"got DataLoader; give its data set: .*loader\.dataset"),
        (Stream(), r"got Stream; take some of it: ImageSet\(list\(itertools.islice"),
        ((x for x in X), "got generator; take some of it"),
        ({"pixel_values": X, "labels": [1] * 6}, r"got dict; .*ImageSet\(batch\['pixel_values'\]"),
        ({"train": X}, r"got dict; take out what is meant: ImageSet\(data\['train'\]"),
        ((X, torch.arange(6)), r"got float32 \(6, 3, 8, 8\); .*ImageSet\(images, labels\)"),
        ("photos", "got str; ImageSet.from_folder reads pictures"),
        (X[0], r"float32 \(3, 8, 8\); one image has a batch axis, too: image\[None\]"),
        ((X * 255).byte(), "uint8 .*ImageSet.from_images takes it as it is"),
        (X.permute(0, 2, 3, 1).numpy(), r"ndarray .*NHWC: permute.*from_images takes it"),
    ],
)
def test_what_is_no_data_set_is_told_with_the_way_out(images, line):
    with pytest.raises(cvw.InputError, match=line) as caught:
        cvw.ImageSet(images)
    assert "\n" not in str(caught.value)


def test_the_way_out_of_a_stream_is_one():
    assert cvw.ImageSet(list(itertools.islice(Stream(), 2))).label(1) == 1


def test_data_sets_of_torch_are_read():
    data = TensorDataset(X, torch.arange(6))
    assert cvw.ImageSet(Subset(data, [4, 2])).label(0) == 4
    assert cvw.ImageSet(ConcatDataset([data, data])).label(7) == 1


def test_images_of_two_sizes_are_told_with_the_way_out():
    with pytest.raises(cvw.InputError, match=r"image 1 has .*first has .*resize .*size="):
        cvw.ImageSet(Items(lambda i: (torch.zeros(3, 8 + i, 8), 0))).input(1)


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.parametrize(
    ("inputs", "stated", "right"),
    [
        (
            X * 4 - 2,
            {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]},
            "mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)",
        ),
        (X * 2 - 1, {"mean": 127.5, "std": 127.5}, "mean=0.5, std=0.5"),
        (X * 255 - 110, {"mean": [104, 117, 123]}, "std=0.00392157"),
        (X * 4 - 2, {"mean": 0.485, "std": 58.395}, "mean=0.485, std=0.229"),
        (X * 4 - 2, {"mean": 123.675, "std": 0.229}, "mean=0.485, std=0.229"),
        (X, {"std": 255.0}, "mean=0, std=1"),
    ],
)
def test_mean_and_std_of_bytes_are_told_with_the_right_ones(inputs, stated, right):
    with pytest.raises(cvw.InputError, match=r"count in 0 to 255.*divide by 255") as caught:
        cvw.ImageSet(inputs, **stated)
    assert str(caught.value).endswith(right) or f" {right}" in str(caught.value)


def test_mean_and_std_above_one_that_fit_are_taken():
    assert cvw.ImageSet((X - 0.5) / 2, mean=0.5, std=2.0).display(0).shape == (8, 8, 3)
