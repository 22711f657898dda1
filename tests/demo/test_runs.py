"""What all trainings share: the cache folder, one thread, one process at a time, the command."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from convviz_widgets.demo import __main__ as command
from convviz_widgets.demo import digits, patches, ward
from convviz_widgets.demo.runs import accuracy, cache_folder, train_once
from convviz_widgets.demo.ward.patient import admit_case


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
    assert cache_folder() == expected


# -- one thread


def train_patches(recipe, folder):
    patches.load_recipe(recipe, folder)


def train_digits(_, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.setattr(digits, "AUTOENCODER_STEPS", 1)
        digits.load_digits()


def train_digit_classifier(_, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.setattr(digits, "CLASSIFIER_STEPS", 1)
        digits.load_digit_classifier()


def train_patient(_, folder):
    case = dataclasses.replace(ward.HEALTHY["sgd"], steps=1, every=1, patches=2)
    admit_case(case, 0, folder)


@pytest.fixture
def threads_of_steps():
    """The number of torch's threads at each step of any optimizer."""
    seen = []
    hook = register_optimizer_step_pre_hook(lambda *_: seen.append(torch.get_num_threads()))
    yield seen
    hook.remove()


@pytest.mark.parametrize("before", [1, 3])
@pytest.mark.parametrize(
    "training", [train_patches, train_digits, train_digit_classifier, train_patient]
)
def test_every_training_takes_one_thread_and_gives_the_others_back(
    training, before, threads_of_steps, tiny, tmp_path
):
    usual = torch.get_num_threads()
    try:
        torch.set_num_threads(before)
        training(tiny, tmp_path / "run")
        assert torch.get_num_threads() == before
    finally:
        torch.set_num_threads(usual)
    assert set(threads_of_steps) == {1}


def test_a_run_is_the_same_from_one_thread_and_from_three(tiny, tmp_path):
    usual, weights = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            weights.append(patches.load_recipe(tiny, tmp_path / str(threads)).model.state_dict())
    finally:
        torch.set_num_threads(usual)
    torch.testing.assert_close(*weights, rtol=0, atol=0)


# -- one process at a time

ANOTHER_PROCESS = """
import sys
from pathlib import Path
from convviz_widgets.demo.runs import train_once

run, finished = map(Path, sys.argv[1:])
train_once(run, finished.is_file, lambda: sys.exit("it was trained twice"))
"""


def test_a_second_process_waits_for_the_first_and_reads_what_it_trained(tmp_path):
    run, finished = tmp_path / "run", tmp_path / "finished"
    others = []

    def train():
        arguments = [sys.executable, "-c", ANOTHER_PROCESS, run, finished]
        others.append(subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True))
        said = others[0].stderr.readline()
        assert said == "run: waiting for the process that is training it\n"
        finished.touch()

    train_once(run, finished.is_file, train)
    _, errors = others[0].communicate(timeout=60)
    assert (others[0].returncode, errors) == (0, "")


def test_a_training_that_failed_is_tried_again(tmp_path):
    def fail():
        raise OSError("the disk is full")

    for _ in range(2):  # the lock was given back
        with pytest.raises(OSError, match="full"):
            train_once(tmp_path / "run", lambda: False, fail)


# -- python -m convviz_widgets.demo


@pytest.fixture
def two_runs(tiny, tmp_path, monkeypatch):
    """Two short recipes, kept below a new cache folder; returns the folders of both."""
    other = dataclasses.replace(tiny, name="other", seed=1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for module in (command, patches):
        monkeypatch.setattr(module, "RECIPES", {"tiny": tiny, "other": other})
    return [
        tmp_path / "convviz_widgets" / f"{recipe.name}-{recipe.fingerprint}"
        for recipe in (tiny, other)
    ]


def test_the_command_makes_every_run_and_says_where(two_runs, capsys):
    assert command.main(["tiny", "other"]) == 0
    said = capsys.readouterr().out
    assert f"tiny: 3 checkpoints in {two_runs[0]}" in said
    assert f"other: 3 checkpoints in {two_runs[1]}" in said


def test_the_command_makes_the_first_run_alone_and_says_how_many_there_are(two_runs, capsys):
    assert command.main([]) == 0
    said = capsys.readouterr().out
    assert f"network 1 of 2, tiny: 3 checkpoints in {two_runs[0]}" in said
    assert "network 2 of 2, other: trained when it is first loaded" in said
    assert not two_runs[1].exists()
    patches.load("other")
    assert two_runs[1].is_dir()


def test_the_command_names_the_choices_where_it_knows_no_such_run(two_runs, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(["tyni"])
    assert "unknown run 'tyni'; the demonstration has tiny, other" in capsys.readouterr().err


# -- accuracy


def test_accuracy_counts_the_images_that_are_right(image_sets):
    class AlwaysBrick(nn.Module):
        def forward(self, inputs):
            return nn.functional.one_hot(torch.ones(len(inputs), dtype=torch.long), 12)

    _, validation = image_sets
    bricks = sum(validation.label(index) == 1 for index in range(len(validation)))
    assert accuracy(AlwaysBrick(), validation) == pytest.approx(bricks / len(validation))
