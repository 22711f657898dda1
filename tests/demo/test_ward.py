import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch

import convviz_widgets as cvw
from convviz_widgets import demo
from convviz_widgets.demo import PHOTOGRAPHS, ward
from convviz_widgets.demo.ward.cases import build
from convviz_widgets.demo.ward.patient import PLANTED, Batches, admit_case, prepare

CASES = {**ward.ILLNESSES, **ward.HEALTHY}


def tiny(name):
    """A case cut down to two steps on few patches; 12 patches a photograph hold what is planted."""
    return dataclasses.replace(
        CASES[name], steps=2, every=2, patches=12, validation_patches=6, batch_size=16
    )


def test_the_demonstrations_bring_the_ward_along():
    """In a process of its own: here it has been imported before."""
    subprocess.run(
        [sys.executable, "-c", "from convviz_widgets import demo; demo.ward.admit"], check=True
    )
    assert "ward" in demo.__all__


def pictures(images):
    """Return the bytes of every image as it is fed in."""
    return [image.numpy().tobytes() for image in images.batch(range(len(images)))]


@pytest.fixture(scope="module")
def ward_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ward")


@pytest.mark.parametrize("name", CASES)
def test_every_case_trains_and_can_be_looked_at(name, ward_folder):
    patient = admit_case(tiny(name), 0, ward_folder / name)
    assert patient.checkpoints.steps == (0, 2)
    assert {"loss/train", "loss/val"} <= patient.run.metrics.keys()
    state = patient.state()
    output = state.output()
    expected = patient.images.expected([0])
    assert patient.loss(output, expected).ndim == 0
    assert len(next(iter(patient.loader))[0]) == 16
    assert bool(patient.rules) == (name in ward.ILLNESSES)
    state.close()


def test_a_patient_is_the_same_whenever_it_is_admitted_and_draws_no_global_number(tmp_path):
    before = torch.get_rng_state()
    first = admit_case(tiny("one-cycle"), 3, tmp_path / "first")
    torch.rand(5)
    again = admit_case(tiny("one-cycle"), 3, tmp_path / "again")
    other = admit_case(tiny("one-cycle"), 4, tmp_path / "other")
    torch.testing.assert_close(again.model.state_dict(), first.model.state_dict(), rtol=0, atol=0)
    assert pictures(again.images) == pictures(first.images) != pictures(other.images)
    torch.set_rng_state(before)
    admit_case(tiny("residual"), 0, tmp_path / "residual")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_finished_run_is_read_and_half_a_run_is_trained_again(tmp_path, monkeypatch):
    case, folder = tiny("one-cycle"), tmp_path / "run"
    first = admit_case(case, 0, folder)
    (folder / "finished").unlink()
    half = admit_case(case, 0, folder)
    assert half.checkpoints.steps == (0, 2)
    torch.testing.assert_close(half.model.state_dict(), first.model.state_dict(), rtol=0, atol=0)
    monkeypatch.setattr("convviz_widgets.demo.ward.patient.train", None)
    assert admit_case(case, 0, folder).checkpoints.steps == (0, 2)


def test_an_unknown_patient_names_the_choices(tmp_path):
    with pytest.raises(cvw.InputError, match=r"unknown patient 'overfitt'.*rate-too-high"):
        ward.admit("overfitt", 0, tmp_path)


def test_only_the_planted_sets_share_patches():
    shared = {name: prepare(tiny(name), 0) for name in ("one-cycle", "leak", "duplicates")}
    found = {
        name: (
            len(set(pictures(data.images)) & set(pictures(data.validation))),
            len(data.images) - len(set(pictures(data.images))),
        )
        for name, data in shared.items()
    }
    assert found == {"one-cycle": (0, 0), "leak": (PLANTED, 0), "duplicates": (0, PLANTED)}


def test_a_stuck_loader_gives_one_batch_again_and_a_sound_one_gives_each_sample_once():
    sound = [index for batch in Batches(100, 10, 0, repeats=False) for index in batch]
    assert sorted(sound) == list(range(100))
    stuck = [tuple(batch) for batch in Batches(100, 10, 0, repeats=True)]
    assert stuck[3] == stuck[6] == stuck[9] == stuck[2]
    assert len(set(stuck)) == 7


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("one-cycle", -4, 4), ("off-centre", 0, 1), ("bad-input-scale", 0, 255)],
)
def test_inputs_lie_where_their_scaling_says_and_show_the_photograph(name, low, high):
    images = prepare(tiny(name), 0).images
    inputs = images.batch(range(len(images)))
    assert low <= inputs.min() < inputs.max() <= high
    np.testing.assert_array_equal(
        images.display(5), prepare(tiny("one-cycle"), 0).images.display(5)
    )


def test_exploding_weights_are_three_times_those_of_he():
    network = build(CASES["exploding"], len(PHOTOGRAPHS), seed=0)
    fan_in = 16 * 9
    assert network.conv5.weight.std().item() == pytest.approx(3 * (2 / fan_in) ** 0.5, rel=0.05)
