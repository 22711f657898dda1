"""A loader's batches are looked at, and its next epoch is the one that it would have been."""

import random
import warnings

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, WeightedRandomSampler

from convviz_widgets.errors import InputError
from convviz_widgets.images import loader_batches, sample_digests


class Noisy:
    """Twenty images with a transform that draws from everything there is to draw from."""

    def __init__(self):
        self.own = np.random.default_rng(3)
        self.transforms = [{"rng": random.Random(4)}, torch.Generator().manual_seed(5)]

    def __len__(self):
        return 20

    def __getitem__(self, index):
        noise = [
            torch.rand(()).item(),
            torch.empty(1).normal_().item(),
            torch.nn.functional.dropout(torch.ones(8)).sum().item(),
            torch.randint(9, (1,), generator=self.transforms[1]).item(),
            self.own.random(),
            self.transforms[0]["rng"].random(),
            np.random.rand(),  # noqa: NPY002 - the one that users' transforms draw from
            random.random(),
        ]
        return torch.tensor([index, *noise], dtype=torch.float32).reshape(1, 3, 3), index % 3


class Plain(Noisy):
    def __getitem__(self, index):
        return torch.full((1, 3, 3), float(index)), index % 3


class Counting(RandomSampler):
    """A sampler that goes on where it was."""

    epoch = 0

    def __iter__(self):
        self.epoch += 1
        self.generator.manual_seed(self.epoch)
        return super().__iter__()


def seed(number=0):
    torch.manual_seed(number)
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002


def global_states():
    return (
        sample_digests(torch.get_rng_state()[None]),
        random.getstate(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        np.random.get_state()[2],  # noqa: NPY002
    )


def epoch(loader):
    return [sample_digests(images) for images, _labels in loader]


def make(kind, dataset):
    generator = torch.Generator().manual_seed(11)
    if kind == "shuffled":
        return DataLoader(dataset, batch_size=4, shuffle=True)
    if kind == "own generator":
        return DataLoader(dataset, batch_size=4, shuffle=True, generator=generator)
    if kind == "weighted":
        sampler = WeightedRandomSampler(torch.ones(20), 20, generator=generator)
        return DataLoader(dataset, batch_size=4, sampler=sampler)
    if kind == "batch sampler":
        sampler = BatchSampler(RandomSampler(dataset), 4, drop_last=True)
        return DataLoader(dataset, batch_sampler=sampler)
    sampler = Counting(dataset, generator=generator)
    return DataLoader(dataset, batch_size=4, sampler=sampler)


KINDS = ["shuffled", "own generator", "weighted", "batch sampler", "counting"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_epoch_is_the_one_that_it_would_have_been(kind):
    expected = []
    for look in (False, True):
        seed()
        loader = make(kind, Noisy())
        epoch(loader)
        if look:
            before = global_states()
            seen = loader_batches(loader, 3)
            assert global_states() == before
        expected.append(epoch(loader))
    assert expected[0] == expected[1]
    assert [sample_digests(batch.images) for batch in seen.batches] == expected[0][:3]


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_are_left_alone_too(persistent):
    expected = []
    for look in (False, True):
        seed()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a process that forks may have threads
            loader = DataLoader(
                Plain(), batch_size=4, shuffle=True, num_workers=1, persistent_workers=persistent
            )
            epoch(loader)
            if look:
                before, iterator = global_states(), loader._iterator
                seen = loader_batches(loader, 2)
                assert global_states() == before
                assert loader._iterator is iterator
            expected.append(epoch(loader))
            if persistent:
                loader._iterator._shutdown_workers()
    assert expected[0] == expected[1]
    assert [sample_digests(batch.images) for batch in seen.batches] == expected[0][:2]


def test_a_loader_with_fewer_batches_gives_what_it_has():
    found = loader_batches(DataLoader(Plain(), batch_size=8), 10)
    assert [len(batch.images) for batch in found.batches] == [8, 8, 4]
    assert found.batches[2].labels == (1, 2, 0, 1)
    assert found.failures == {}


def test_a_batch_that_raises_is_named_and_the_next_one_is_there():
    class Broken(Plain):
        def __getitem__(self, index):
            if index == 5:
                raise OSError("truncated file")
            return super().__getitem__(index)

    found = loader_batches(DataLoader(Broken(), batch_size=4), 3)
    assert [batch.number for batch in found.batches] == [0, 2]
    assert found.failures == {1: "batch 1: OSError: truncated file"}


@pytest.mark.parametrize(
    "collate",
    [
        torch.stack,
        lambda images: {"image": torch.stack(images)},
        lambda images: torch.stack(images).numpy(),
        lambda images: [torch.stack(images), ["a", "b", "c", "d"]],
    ],
)
def test_batches_of_any_make_have_images(collate):
    class Alone(Plain):
        def __getitem__(self, index):
            return super().__getitem__(index)[0]

    loader = DataLoader(Alone(), batch_size=4, collate_fn=collate)
    (batch,) = loader_batches(loader, 1).batches
    assert batch.images.shape == (4, 1, 3, 3)
    assert batch.labels == (None,) * 4


def test_what_is_no_loader_is_refused():
    with pytest.raises(InputError, match="expected a DataLoader, got list"):
        loader_batches([1, 2])
