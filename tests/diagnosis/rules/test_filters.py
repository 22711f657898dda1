"""Noisy filters are a remark that says why."""

import pytest

from convviz_widgets.diagnosis import FiltersAt
from convviz_widgets.diagnosis.rules.filters import noisy_filter
from convviz_widgets.measure import FilterFacts


def noise(*numbers, step=100, **given):
    return FiltersAt("conv1", step, FilterFacts(*numbers, **given))


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ({"cosine": 0.8, "update_share": 0.0}, "initial noise"),
        ({"cosine": 0.1, "update_share": 0.9}, "regularise"),
        ({}, "cannot tell"),
    ],
)
def test_noisy_filters_are_a_remark_that_says_why(origin, words):
    (found,) = noisy_filter([noise(0.26, 16, **origin)])
    assert found.severity == "remark"
    assert words in found.message
    assert noisy_filter([noise(0.25, 16, **origin)]) == []


def test_filters_are_judged_at_the_latest_checkpoint():
    noisy, smooth = noise(0.9, 16, step=0), noise(0.1, 16)
    assert noisy_filter([noisy, smooth]) == []


def test_the_cause_is_told_by_the_thresholds_that_are_given():
    learned = noise(0.2, 16, cosine=0.4, update_share=0.2)
    (found,) = noisy_filter([learned], share=0.1, update_share=0.1)
    assert "learned noise: regularise (cosine to the initial weights 0.40)" in found.message
    (found,) = noisy_filter([learned], share=0.1, cosine=0.3)
    assert "mostly still its initial noise" in found.message
    (found,) = noisy_filter([learned], share=0.1)
    assert "cannot tell" in found.message
