"""Networks of patches: the recipe, the network, its training, and the run that comes of it."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch

import convviz_widgets as cvw
from convviz_widgets import demo
from convviz_widgets.checkpoints import read_checkpoint
from convviz_widgets.demo import PHOTOGRAPHS, RECIPES, patches
from convviz_widgets.demo.patches import _batches, build_network, load_recipe, train
from convviz_widgets.demo.photographs import read_photograph
from convviz_widgets.demo.runs import checkpoint_name

OTHER_VALUES = {"name": "other", "flip": False, "decay": 0.5}


# -- the recipe


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(RECIPES["demo"])])
def test_the_fingerprint_changes_with_every_field(field):
    recipe = RECIPES["demo"]
    value = OTHER_VALUES.get(field, 7)
    assert dataclasses.replace(recipe, **{field: value}).fingerprint != recipe.fingerprint


def test_equal_recipes_have_equal_fingerprints():
    recipe = RECIPES["demo"]
    assert dataclasses.replace(recipe).fingerprint == recipe.fingerprint


@pytest.mark.parametrize(("steps", "every", "expected"), [(4, 2, (0, 2, 4)), (5, 2, (0, 2, 4, 5))])
def test_checkpoints_are_written_from_the_start_to_the_end(steps, every, expected):
    recipe = dataclasses.replace(RECIPES["demo"], steps=steps, every=every)
    assert recipe.checkpoint_steps == expected


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_run_has_about_thirty_checkpoints(recipe):
    assert len(recipe.checkpoint_steps) == 31


# -- the network


def test_logits_have_one_column_a_class():
    assert build_network(12, seed=0)(torch.zeros(2, 3, 32, 32)).shape == (2, 12)


def test_weights_depend_on_the_seed_alone():
    first, again, other = (build_network(12, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.conv2.weight, again.conv2.weight)
    assert not torch.equal(first.conv2.weight, other.conv2.weight)


def test_building_draws_no_global_random_number():
    before = torch.get_rng_state()
    build_network(12, seed=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_fill_the_range_of_the_default_initialisation():
    weight = build_network(12, seed=0).conv1.weight
    bound = (3 * 7 * 7) ** -0.5
    assert 0.99 * bound < weight.abs().max() <= bound
    assert abs(weight.mean()) < 0.02 * bound


def test_first_scale_shrinks_the_first_filters_alone():
    usual, small = build_network(12, seed=0), build_network(12, seed=0, first_scale=0.1)
    torch.testing.assert_close(small.conv1.weight, usual.conv1.weight * 0.1)
    assert torch.equal(small.conv1.bias, usual.conv1.bias)
    assert torch.equal(small.conv2.weight, usual.conv2.weight)


# -- its training


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


@pytest.mark.parametrize("flip", [False, True])
def test_a_batch_holds_images_of_its_labels(tiny, image_sets, flip):
    images, _ = image_sets
    inputs, labels = next(_batches(images, dataclasses.replace(tiny, flip=flip)))
    assert inputs.shape == (8, 3, 32, 32)
    for image, label in zip(inputs, labels, strict=True):
        own = [images.input(i)[0] for i in range(len(images)) if images.label(i) == label]
        mirrored = [candidate.flip(2) for candidate in own] if flip else []
        assert any(torch.equal(image, candidate) for candidate in own + mirrored)


# -- the run


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    return load_recipe(tiny, tmp_path_factory.mktemp("demo") / "run")


@pytest.fixture
def folder(run, tmp_path):
    """A copy of the run's folder, to be damaged."""
    return shutil.copytree(run.directory, tmp_path / "run")


def no_training(*_):
    raise AssertionError("this run was trained already")


def test_a_run_is_ready_to_look_at(run, tiny):
    assert run.checkpoints.steps == tiny.checkpoint_steps
    assert run.directory.joinpath("recipe.json").is_file()
    assert not run.model.training
    last = run.checkpoints.load(len(run.checkpoints) - 1)
    torch.testing.assert_close(last, run.model.state_dict(), rtol=0, atol=0)


def test_a_run_cannot_be_changed(run):
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.accuracy = 1.0


def test_images_carry_names_labels_and_sources(run):
    assert run.images.class_names == tuple(photograph.name for photograph in PHOTOGRAPHS)
    assert [run.images.label(index) for index in range(12)] == list(range(12))
    assert run.images.name(4).startswith("coffee ")
    assert run.images.groups[4] == "coffee"


def test_training_images_are_normalised(run):
    inputs = run.images.batch(range(len(run.images)))
    torch.testing.assert_close(inputs.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        inputs.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("index", [0, 11])
def test_normalisation_is_undone_to_the_photograph(run, index):
    x, y = map(int, run.validation.name(index).split()[1].split(","))
    photograph = read_photograph(PHOTOGRAPHS[run.validation.label(index)])
    np.testing.assert_array_equal(run.validation.display(index), photograph[y : y + 32, x : x + 32])


def test_a_finished_run_is_not_trained_again(run, tiny, monkeypatch):
    monkeypatch.setattr(patches, "train", no_training)
    assert load_recipe(tiny, run.directory).accuracy == run.accuracy


@pytest.mark.parametrize("lost", ["recipe.json", "step-000002.safetensors"])
def test_half_a_training_is_done_again(run, folder, tiny, lost):
    (folder / lost).unlink()
    again = load_recipe(tiny, folder).checkpoints
    assert again.steps == (0, 2, 4)
    torch.testing.assert_close(again.load(1), run.checkpoints.load(1), rtol=0, atol=0)


def test_a_training_that_stops_leaves_no_result(folder, tiny, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    (folder / "step-000004.safetensors").unlink()
    monkeypatch.setattr(patches, "train", stop)
    with pytest.raises(KeyboardInterrupt):
        load_recipe(tiny, folder)
    assert not (folder / "recipe.json").exists()


def test_an_unknown_run_names_the_choices():
    with pytest.raises(cvw.InputError, match=r"unknown run 'dmeo'.*demo, undertrained"):
        demo.load("dmeo")
