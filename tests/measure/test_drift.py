"""Chroma and contrast of pictures that can be checked by hand."""

import numpy as np
import pytest
import torch

from convviz_widgets.images import ImageSet
from convviz_widgets.measure.answers import Answers
from convviz_widgets.measure.drift import Drift, picture_drift

RED = torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1).expand(3, 1, 2)
GREY = torch.tensor([0.0, 1.0]).reshape(1, 1, 2).expand(3, 1, 2)


def image_set():
    return ImageSet(torch.zeros(2, 3, 1, 2), targets=torch.stack([RED, GREY]))


def test_chroma_is_the_distance_from_grey_and_contrast_the_deviation_of_luminance():
    outputs = torch.stack([RED / 2, GREY / 2])
    found = picture_drift(outputs, [RED, GREY], image_set())
    full = np.sqrt(2 / 3)  # red from its grey of 1/3: √(4/9 + 1/9 + 1/9)
    np.testing.assert_allclose(found[0], [full / 2, full, 0, 0], atol=1e-7)
    np.testing.assert_allclose(found[1], [0, 0, 0.25, 0.5], atol=1e-7)
    drift = Drift.of(found)
    assert (drift.chroma, drift.contrast) == pytest.approx((0.5, 0.5))
    assert (drift.coloured, drift.contrasted) == (1, 1)


def test_a_picture_without_a_target_of_its_shape_says_nothing():
    found = picture_drift(torch.stack([RED, RED]), [None, GREY[:, :, :1]], image_set())
    assert np.isnan(found).all()
    assert (Drift.of(found).coloured, Drift.of(found).contrasted) == (0, 0)


def test_answers_name_the_image_that_lost_most_colour():
    answers = Answers(image_set())
    answers.add([4, 7], torch.stack([RED / 2, RED / 4]), torch.stack([RED, RED]))
    facts = answers.facts
    assert (facts.images, facts.pictures, facts.palest) == (2, 2, 7)
    assert facts.chroma == pytest.approx(3 / 8)


def test_answers_count_classes_and_labels():
    answers = Answers(ImageSet(torch.zeros(4, 3, 1, 2)))
    scores = torch.eye(3)[[1, 1, 1, 0]]
    answers.add(range(4), scores, torch.tensor([0, 0, 1, 2]))
    facts = answers.facts
    assert (facts.images, facts.commonest, facts.share, facts.label_share) == (4, 1, 0.75, 0.5)
