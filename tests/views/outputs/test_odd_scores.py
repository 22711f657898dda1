"""Predictions where the scores are no numbers, one alone, or of classes with the same name."""

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
