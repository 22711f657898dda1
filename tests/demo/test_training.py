import dataclasses

import pytest
import torch
from torch import nn

from convviz_widgets.checkpoints import read_checkpoint
from convviz_widgets.demo import training
from convviz_widgets.demo.training import _batches, accuracy, checkpoint_name, train


def trained(recipe, image_sets, directory):
    directory.mkdir()
    return train(recipe, image_sets[0], directory)


def test_checkpoints_hold_the_steps_of_the_recipe(tiny, image_sets, tmp_path):
    trained(tiny, image_sets, tmp_path / "run")
    written = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert written == [checkpoint_name(step) for step in (0, 2, 4)]


def test_the_last_checkpoint_is_the_network_that_is_returned(tiny, image_sets, tmp_path):
    network = trained(tiny, image_sets, tmp_path / "run")
    last = read_checkpoint(tmp_path / "run" / checkpoint_name(4))
    torch.testing.assert_close(last, network.state_dict(), rtol=0, atol=0)


def test_training_repeats_exactly_and_draws_no_global_number(tiny, image_sets, tmp_path):
    before = torch.get_rng_state()
    first = trained(tiny, image_sets, tmp_path / "first").state_dict()
    torch.rand(3)
    second = trained(tiny, image_sets, tmp_path / "second").state_dict()
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.set_rng_state(before)
    trained(tiny, image_sets, tmp_path / "third")
    assert torch.equal(torch.get_rng_state(), before)


def test_training_works_where_gradients_are_switched_off(tiny, image_sets, tmp_path):
    with torch.no_grad():
        network = trained(tiny, image_sets, tmp_path / "run")
    first = read_checkpoint(tmp_path / "run" / checkpoint_name(0))
    assert not torch.equal(network.conv1.weight, first["conv1.weight"])


@pytest.mark.parametrize(("before", "during"), [(1, 1), (2, 2), (3, 2)])
def test_training_borrows_two_threads_at_most(
    tiny, image_sets, tmp_path, monkeypatch, before, during
):
    monkeypatch.setattr(training, "_save", lambda *_, **__: seen.append(torch.get_num_threads()))
    seen, usual = [], torch.get_num_threads()
    try:
        torch.set_num_threads(before)
        train(dataclasses.replace(tiny, steps=2), image_sets[0], tmp_path)
        assert torch.get_num_threads() == before
    finally:
        torch.set_num_threads(usual)
    assert set(seen) == {during}


@pytest.mark.parametrize("flip", [False, True])
def test_a_batch_holds_images_of_its_labels(tiny, image_sets, flip):
    images, _ = image_sets
    inputs, labels = next(_batches(images, dataclasses.replace(tiny, flip=flip)))
    assert inputs.shape == (8, 3, 32, 32)
    for image, label in zip(inputs, labels, strict=True):
        own = [images.input(i)[0] for i in range(len(images)) if images.label(i) == label]
        mirrored = [candidate.flip(2) for candidate in own] if flip else []
        assert any(torch.equal(image, candidate) for candidate in own + mirrored)


def test_accuracy_counts_the_images_that_are_right(image_sets):
    class AlwaysBrick(nn.Module):
        def forward(self, inputs):
            return nn.functional.one_hot(torch.ones(len(inputs), dtype=torch.long), 12)

    _, validation = image_sets
    bricks = sum(validation.label(index) == 1 for index in range(len(validation)))
    assert accuracy(AlwaysBrick(), validation) == pytest.approx(bricks / len(validation))
