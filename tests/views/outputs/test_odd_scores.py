"""Predictions where the scores are no numbers, one alone, or of classes with the same name."""

import pytest
import torch
from torch import nn

from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState
from convviz_widgets.views import Predictions


def scoring(*scores: float) -> ModelState:
    """Return a state on one image for which the net puts out these scores; it is of class 0."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(1, len(scores)))
    nn.init.zeros_(net[1].weight)
    with torch.no_grad():
        net[1].bias.copy_(torch.tensor(scores))
    return ModelState(net, ImageSet(torch.ones(1, 1, 1, 1), labels=[0]))


def test_scores_that_are_no_numbers_are_no_probabilities():
    view = Predictions(scoring(1.0, float("nan"), float("inf")))
    said = "2 of 3 outputs are NaN or infinite at step 0: there are no probabilities"
    assert view.problem == said
    assert "nan" not in view.table.value


def test_a_class_ruled_out_by_an_infinite_score_has_no_share():
    state = scoring(1.0, float("-inf"))
    assert Predictions(state).compute(state.selection).answer.probabilities == (1.0, 0.0)


def test_one_output_is_no_choice_between_classes():
    view = Predictions(scoring(2.0))
    assert "one output: 2, the bar is its sigmoid" in view.caption
    assert "softmax" not in view.caption
    assert "88.1%" in view.table.value
    assert "✓" not in view.table.value


def test_of_two_classes_of_one_name_one_is_true():
    images = ImageSet(torch.rand(1, 1, 2, 2), labels=[1], class_names=["crane", "crane", "dog"])
    view = Predictions(ModelState(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), images))
    assert view.table.value.count("✓") == 1


def test_one_logit_of_labelled_images_has_two_classes():
    net = nn.Sequential(nn.Flatten(), nn.Linear(1, 1))
    nn.init.zeros_(net[1].weight)
    nn.init.constant_(net[1].bias, 2.0)
    images = ImageSet(torch.ones(2, 1, 1, 1), labels=[0, 1], class_names=["healthy", "ill"])
    state = ModelState(net, images)
    view = Predictions(state)
    found = view.compute(state.selection)
    assert found.names == ("ill", "healthy")
    assert found.probabilities == pytest.approx((0.8808, 0.1192), abs=1e-4)
    assert "sigmoid of one logit, 2, that of ill" in view.caption
    assert view.table.value.count("✓") == 1


def test_several_labels_are_marked_and_only_one_has_a_ribbon():
    net = nn.Sequential(nn.Flatten(), nn.Linear(1, 3))
    nn.init.zeros_(net[1].weight)
    with torch.no_grad():
        net[1].bias.copy_(torch.tensor([2.0, -2.0, 1.0]))
    state = ModelState(net, ImageSet(torch.ones(2, 1, 1, 1), targets=torch.tensor([[1, 0, 1]] * 2)))
    view = Predictions(state)
    assert state.output_history.wait(60)
    found = view.compute(state.selection)
    assert found.probabilities == pytest.approx((0.8808, 0.7311, 0.1192), abs=1e-4)
    assert view.table.value.count("✓") == 2
    assert "true classes: class 0, class 2" in view.caption
    assert found.picture.names == ("class 0",)
    assert "what is missing from 100%: 11.9%" in found.picture.at(0, 0.95)
