"""The gravest finding comes first, and what explains others stands above them."""

import numpy as np
import pytest

from convviz_widgets.diagnosis import RULES, Evidence, Finding, Metric, RunCurves, examine
from convviz_widgets.diagnosis.report import ranked


def curve(name, values, every=10):
    values = np.asarray(values, np.float64)
    return Metric(name, every * np.arange(1, len(values) + 1), values)


def finding(rule, severity="warning", step=100):
    return Finding(rule, severity, rule, step=step)


def order(*findings):
    return [each.rule for each in ranked(findings)]


def test_the_gravest_comes_first():
    findings = (
        finding("dead-filter", "remark"),
        finding("overfit"),
        finding("non-finite", "error"),
    )
    assert order(*findings) == ["non-finite", "overfit", "dead-filter"]


def test_a_dead_layer_explains_vanishing_and_slow():
    findings = [finding(rule) for rule in ("slow-learning", "vanishing-gradient", "dead-layer")]
    assert order(*findings) == ["dead-layer"]
    assert order(*findings[:2]) == ["vanishing-gradient"]


def test_a_bad_input_scale_stands_above_the_layers_that_it_killed():
    found = ranked([finding("dead-layer", "error"), finding("input-scale")])
    assert [(each.rule, each.severity) for each in found] == [
        ("input-scale", "error"),
        ("dead-layer", "error"),
    ]
    assert "explains dead-layer" in found[0].message


def test_a_jump_explains_what_dies_after_it_and_not_before():
    jump = finding("loss-jump", step=150)
    assert order(jump, finding("dead-layer", "error", step=200)) == ["loss-jump", "dead-layer"]
    assert order(jump, finding("dead-layer", "error", step=50)) == ["dead-layer", "loss-jump"]
    assert order(jump, finding("loss-surge", step=150)) == ["loss-jump"]
    assert order(jump, finding("loss-surge", step=20)) == ["loss-jump", "loss-surge"]


@pytest.mark.parametrize("cause", ["overfit", "slow-learning"])
def test_noisy_filters_are_an_alarm_beside_their_cause(cause):
    noisy = finding("noisy-filter", "remark")
    assert ranked([noisy])[0].severity == "remark"
    assert ranked([noisy, finding(cause)])[1].severity == "warning"


def test_every_rule_is_found_fine_or_not_checked():
    empty = examine(Evidence())
    assert [name for name, _ in empty.unchecked] == [rule.name for rule in RULES]
    healthy = curve("loss/train", 2 * 0.99 ** np.arange(300), every=1)
    report = examine(Evidence(curves=RunCurves(loss=healthy)))
    assert set(report.fine) >= {"non-finite", "loss-jump", "loss-surge", "slow-learning"}
    assert report.findings == ()
    assert len(report.unchecked) == len(RULES) - len(report.fine)
