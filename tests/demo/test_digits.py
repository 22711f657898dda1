"""The classifier of digits, after a few steps: what it is trained on, and that it is kept."""

import pytest
import torch

from convviz_widgets.demo import digits


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(digits, "CLASSIFIER_STEPS", 40)
    monkeypatch.setattr(digits, "CHECKPOINTS", 2)
    before = torch.get_rng_state()
    made = digits.load_digit_classifier()
    assert torch.equal(torch.get_rng_state(), before)
    return made


def test_it_learns_from_four_fifths_and_is_judged_on_the_rest(run, monkeypatch):
    assert run.checkpoints.steps == (0, 20, 40)
    assert (len(run.images), len(run.validation)) == (1437, 360)
    first = digits.digit_images()
    assert torch.equal(run.validation.input(1), first.input(5))
    assert run.images.label(0) == first.label(1)
    assert run.accuracy > 0.5  # chance: a tenth
    monkeypatch.setattr(digits, "train", None)  # the second time it is read
    again = digits.load_digit_classifier()
    assert again.accuracy == run.accuracy
