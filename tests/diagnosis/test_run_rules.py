"""Rules that read several curves; what comes later takes back nothing; explanations stand first."""

import numpy as np
import pytest

from convviz_widgets.diagnosis import (
    RULES,
    Evidence,
    Finding,
    Metric,
    RunCurves,
    examine,
    run_curves,
)
from convviz_widgets.diagnosis.report import ranked
from convviz_widgets.diagnosis.rules.loss import loss_jump, loss_surge
from convviz_widgets.diagnosis.rules.overfit import overfit
from convviz_widgets.record import Series


def curve(name, values, every=10):
    values = np.asarray(values, np.float64)
    return Metric(name, every * np.arange(1, len(values) + 1), values)


def run(train, held, train_loss, held_loss):
    return RunCurves(
        loss=curve("loss/train", train_loss),
        validation_loss=curve("loss/val", held_loss),
        accuracy=curve("acc/train", train),
        validation_accuracy=curve("acc/val", held),
    )


GAP = {"train": [0.5, 0.6, 0.8, 0.8, 0.8], "held": [0.5, 0.6, 0.65, 0.65, 0.65]}
FALLING = [2.0, 1.0, 0.9, 0.5, 0.3]


def test_a_gap_with_a_rising_validation_loss_is_overfitting():
    # 3-point means of the validation loss: 1, 1.1, 1.2: 20 % above its minimum
    curves = run(**GAP, train_loss=FALLING, held_loss=[1, 1, 1, 1.3, 1.3])
    (found,) = overfit(curves, 1000)
    assert (found.severity, found.step) == ("warning", 50)
    assert (found.value, found.n) == (pytest.approx(0.15), 1000)


@pytest.mark.parametrize(
    ("train_loss", "held_loss"),
    [
        (FALLING, [1, 1, 1, 1.2, 1.2]),  # means up to 1.133: 13 %
        ([2.0, 1.0, 0.3, 0.4, 0.5], [1, 1, 1, 1.3, 1.3]),  # training got worse as well
    ],
)
def test_a_gap_alone_is_a_remark(train_loss, held_loss):
    (found,) = overfit(run(**GAP, train_loss=train_loss, held_loss=held_loss), 1000)
    assert found.severity == "remark"
    assert "cannot tell" in found.message


def test_three_standard_errors_may_be_more_than_a_tenth():
    curves = run(**GAP, train_loss=FALLING, held_loss=[1, 1, 1, 1.3, 1.3])
    assert overfit(curves, 80) == []  # 3·√(0.65·0.35/80) is 0.16, the gap 0.15
    assert overfit(curves, 100)


def test_accuracy_in_percent_is_the_same():
    def series(values):
        steps = np.arange(1, 6)
        return Series(steps, np.asarray(values, float), steps.astype(float))

    percent = {"acc/train": [100 * a for a in GAP["train"]], "acc/val": [50, 60, 65, 65, 65]}
    read = run_curves({name: series(values) for name, values in percent.items()})
    assert read.accuracy.values.tolist() == pytest.approx(GAP["train"])
    assert read.validation_accuracy.values[-1] == pytest.approx(0.65)


@pytest.mark.parametrize("rule", [loss_jump, loss_surge])
def test_healthy_steps_behind_take_back_no_finding(rule):
    generator = np.random.default_rng(0)
    noise = np.exp(0.02 * generator.standard_normal(600))
    level = np.where((np.arange(600) > 200) & (np.arange(600) < 330), 3.0, 1.0)
    whole = curve("loss", level * noise, every=1)
    for end in (260, 300, 400, 500):
        early = Metric("loss", whole.steps[:end], whole.values[:end])
        known = {finding.step for finding in rule(early)}
        assert known
        assert known <= {finding.step for finding in rule(whole)}


def test_overfitting_that_was_seen_stays_seen():
    train_loss, held_loss = [*FALLING, 0.2, 0.2, 0.2], [1, 1, 1, 1.3, 1.3, 0.5, 0.5, 0.5]
    train, held = [*GAP["train"], 0.9, 0.9, 0.9], [*GAP["held"], 0.9, 0.9, 0.9]
    (found,) = overfit(run(train, held, train_loss, held_loss), 1000)
    assert (found.severity, found.step) == ("warning", 50)


# -- precedence -------------------------------------------------------------------------------


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
    assert set(report.fine) == {"non-finite", "loss-jump", "loss-surge", "slow-learning"}
    assert report.findings == ()
    assert len(report.unchecked) == len(RULES) - 4
