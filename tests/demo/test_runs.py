import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import convviz_widgets as cvw
from convviz_widgets import demo
from convviz_widgets.demo import __main__ as command
from convviz_widgets.demo import runs
from convviz_widgets.demo.photographs import PHOTOGRAPHS, read_photograph


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    return runs.load_recipe(tiny, tmp_path_factory.mktemp("demo") / "run")


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
    monkeypatch.setattr(runs, "train", no_training)
    assert runs.load_recipe(tiny, run.directory).accuracy == run.accuracy


@pytest.mark.parametrize("lost", ["recipe.json", "step-000002.safetensors"])
def test_half_a_training_is_done_again(run, folder, tiny, lost):
    (folder / lost).unlink()
    again = runs.load_recipe(tiny, folder).checkpoints
    assert again.steps == (0, 2, 4)
    torch.testing.assert_close(again.load(1), run.checkpoints.load(1), rtol=0, atol=0)


def test_a_training_that_stops_leaves_no_result(folder, tiny, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    (folder / "step-000004.safetensors").unlink()
    monkeypatch.setattr(runs, "train", stop)
    with pytest.raises(KeyboardInterrupt):
        runs.load_recipe(tiny, folder)
    assert not (folder / "recipe.json").exists()


def test_an_unknown_run_names_the_choices():
    with pytest.raises(cvw.InputError, match=r"unknown run 'dmeo'.*demo, undertrained"):
        demo.load("dmeo")


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("/somewhere", Path("/somewhere/convviz_widgets")),
        ("relative", Path.home() / ".cache/convviz_widgets"),
        ("", Path.home() / ".cache/convviz_widgets"),
    ],
)
def test_runs_lie_in_the_cache_folder_of_the_user(monkeypatch, variable, expected):
    monkeypatch.setenv("XDG_CACHE_HOME", variable)
    assert runs.cache_folder() == expected


def test_the_command_makes_every_run_and_says_where(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for module in (command, runs):
        monkeypatch.setattr(module, "RECIPES", {"tiny": tiny})
    assert command.main() == 0
    folder = tmp_path / "convviz_widgets" / f"tiny-{tiny.fingerprint}"
    assert f"tiny: 3 checkpoints in {folder}" in capsys.readouterr().out
