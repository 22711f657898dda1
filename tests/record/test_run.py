import os
import shutil
import time

import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

from convviz_widgets.checkpoints import CheckpointSeries, write_checkpoint
from convviz_widgets.errors import InputError
from convviz_widgets.record import Recorder, Run
from convviz_widgets.record.run_checkpoints import CANNOT_TELL

from .training import Training, build_net


def old(path, seconds=60):
    """Make a file look as if nobody had touched it for a while."""
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def log(directory, **scalars):
    with SummaryWriter(directory) as writer:
        for tag, value in scalars.items():
            writer.add_scalar(tag, value, 1)


def test_a_run_that_is_being_recorded_is_followed(tmp_path):
    training = Training()
    with Recorder(training.model, tmp_path, every=2) as recorder:
        run = Run(tmp_path)
        assert (run.metrics, run.checkpoints.steps) == ({}, (0,))
        recorder.step(loss=0.5)
        assert run.refresh() == 3  # the loss, and two update ratios: there are no gradients
        recorder.step(loss=0.25)
        assert run.checkpoints.steps == (0,)
        run.refresh()
    assert run.metrics["loss"].values.tolist() == [0.5, 0.25]
    assert run.checkpoints.steps == (0, 2)
    assert run.refresh() == 0


def test_an_empty_directory_fills_later(tmp_path):
    run = Run(tmp_path)
    assert (run.metrics, len(run.checkpoints), run.integrity) == ({}, 0, "no checkpoints yet")
    Training().record(tmp_path, steps=1)
    run.refresh()
    assert (len(run.metrics["loss/train"]), run.checkpoints.steps) == (1, (0, 1))


def test_nested_runs_have_their_path_in_front(tmp_path):
    log(tmp_path, loss=1.0)
    log(tmp_path / "train", epoch_loss=2.0)
    log(tmp_path / "validation", epoch_loss=3.0)
    log(tmp_path / "a" / "b", loss=4.0)
    log(tmp_path / ".hidden", loss=5.0)
    run = Run(tmp_path)
    values = {name: series.values.tolist() for name, series in run.metrics.items()}
    assert values == {
        "loss": [1],
        "a/b/loss": [4],
        "train/epoch_loss": [2],
        "validation/epoch_loss": [3],
    }
    assert [pair.name for pair in run.pairs] == ["epoch loss"]


def test_links_that_lead_back_end_somewhere(tmp_path):
    log(tmp_path / "a", loss=1.0)
    (tmp_path / "a" / "back").symlink_to(tmp_path)
    assert list(Run(tmp_path).metrics) == ["a/loss"]


@pytest.mark.parametrize(
    "names",
    [
        ["checkpoints/1.safetensors", "checkpoints/2.safetensors"],
        ["1.safetensors", "2.safetensors"],
        ["checkpoint-1/model.safetensors", "checkpoint-2/model.safetensors"],
    ],
)
def test_checkpoints_of_others_are_found_where_they_usually_are(tmp_path, names):
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        write_checkpoint(path, {"a": torch.zeros(1)})
        old(path)
    run = Run(tmp_path)
    assert run.checkpoints.steps == (1, 2)
    assert run.integrity.startswith("no manifest: cannot tell")
    assert (run.problems, run.verify(), run.refresh()) == ({}, {}, 0)


def test_a_checkpoint_that_the_manifest_does_not_know_is_shown_with_a_word(tmp_path):
    Training().record(tmp_path, steps=2)
    stranger = tmp_path / "checkpoints" / "step-00000001.safetensors"
    write_checkpoint(stranger, build_net().state_dict())
    run = Run(tmp_path)
    assert run.checkpoints.steps == (0, 2)  # it may be in the making
    old(stranger)
    run.refresh()
    assert run.checkpoints.steps == (0, 1, 2)
    assert run.problems == {
        stranger.name: f"{stranger.name}: not in the manifest: cannot tell "
        "whether it is what was written"
    }


def test_strangers_of_one_step_are_told_of_and_those_without_one_follow(tmp_path):
    Training().record(tmp_path, steps=2)
    folder = tmp_path / "checkpoints"
    ages = {"a-1": 60, "b-1": 90, "c-2": 60, "best": 60}
    for name, age in ages.items():
        write_checkpoint(folder / f"{name}.safetensors", build_net().state_dict())
        old(folder / f"{name}.safetensors", age)
    run = Run(tmp_path)
    stems = [name.removesuffix(".safetensors") for name in run.checkpoints.names]
    assert run.checkpoints.steps == (0, 1, 2, 3)
    assert stems == ["step-00000000", "a-1", "step-00000002", "best"]
    assert {name.removesuffix(".safetensors"): line for name, line in run.problems.items()} == {
        "a-1": f"a-1.safetensors: {CANNOT_TELL}",
        "b-1": "b-1.safetensors: left out, a-1.safetensors has step 1 too and is newer; "
        "pattern= picks files",
        "c-2": "c-2.safetensors: left out, the manifest's step-00000002.safetensors has step 2",
        "best": f"best.safetensors: {CANNOT_TELL}",
    }


def test_the_home_directory_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    Training().record("~/run", steps=1)
    assert Run("~/run").checkpoints.steps == (0, 1)
    assert (tmp_path / "run").is_dir()


def test_a_checkpoint_that_is_gone_is_a_problem(tmp_path):
    Training().record(tmp_path, steps=2)
    (tmp_path / "checkpoints" / "step-00000000.safetensors").unlink()
    run = Run(tmp_path)
    assert run.checkpoints.steps == (2,)
    assert run.problems == {"step-00000000.safetensors": "step-00000000.safetensors: is gone"}


def test_a_recorded_checkpoint_is_known_by_its_content(tmp_path):
    training = Training()
    training.record(tmp_path, steps=2)
    run = Run(tmp_path)
    key = run.checkpoints.key(1)
    training.record(tmp_path, steps=0, step=2)
    run.refresh()
    assert run.checkpoints.key(1) == key
    training.step()
    training.record(tmp_path, steps=1, step=1)
    run.refresh()
    assert run.checkpoints.steps == (0, 2)
    assert run.checkpoints.key(1) != key


def test_checkpoints_from_elsewhere_can_be_given(tmp_path):
    series = CheckpointSeries.from_state_dicts([(5, build_net().state_dict())])
    run = Run(tmp_path, checkpoints=series)
    assert run.checkpoints is series
    assert run.integrity == "checkpoints from elsewhere: cannot tell whether they were changed"


def test_problems_name_the_file(tmp_path):
    log(tmp_path / "train", loss=1.0)
    (path,) = (tmp_path / "train").iterdir()
    data = bytearray(path.read_bytes())
    data[-6] ^= 1  # in the second record; the first is TensorBoard's, of 72 bytes in 16
    path.write_bytes(data)
    assert Run(tmp_path).problems == {
        f"train/{path.name}": "1 damaged record skipped, the first at byte 88"
    }


def test_what_is_no_directory_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no such directory"):
        Run(tmp_path / "none")
    for other in (None, 3):
        with pytest.raises(InputError, match="expected the path of a directory, got"):
            Run(other)


def test_deleting_a_run_leaves_what_was_read(tmp_path):
    Training().record(tmp_path / "run", steps=1)
    run = Run(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    run.refresh()
    assert (run.metrics, len(run.checkpoints)) == ({}, 0)
