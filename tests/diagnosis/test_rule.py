"""What holds of every rule: its name, its place among the others, the code of its findings."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest

from convviz_widgets.diagnosis import RULES, WARNING, Evidence, Finding, examine, run_curves
from convviz_widgets.diagnosis.rule import rule
from convviz_widgets.diagnosis.rules.gradients import exploding_gradient
from convviz_widgets.diagnosis.rules.loss import loss_jump, loss_surge, slow_learning
from convviz_widgets.diagnosis.rules.non_finite import non_finite
from convviz_widgets.diagnosis.rules.overfit import overfit
from convviz_widgets.diagnosis.rules.updates import update_ratio
from convviz_widgets.record import Series

NAMES = [each.name for each in RULES]


def test_rules_have_distinct_places_and_explain_others_that_exist():
    assert len({each.place for each in RULES}) == len(RULES)
    for each in RULES:
        explained = {*each.hides, *each.hides_later, *each.causes, *each.causes_later}
        assert explained | {*each.graver_with} <= {*NAMES} - {each.name}


def test_a_rule_is_called_as_its_function_is():
    for each in RULES:
        assert each.find.__name__ == each.name.replace("-", "_")


def test_the_thresholds_of_a_rule_are_keyword_arguments_with_defaults():
    for each in RULES:
        parameters = inspect.signature(each.find).parameters.values()
        thresholds = [one for one in parameters if one.kind is one.KEYWORD_ONLY]
        assert all(one.default is not one.empty for one in thresholds)


def test_a_name_is_registered_once():
    with pytest.raises(AssertionError, match="loss-jump"):
        rule("loss-jump", place=1, needs="", takes=lambda e: ())(list)


def test_a_rule_is_asked_only_where_it_has_what_it_needs(monkeypatch):
    def too_many_classes(classes, *, most=10):
        too_many = Finding("too-many-classes", WARNING, f"{classes} classes")
        return [too_many] if classes > most else []

    from convviz_widgets.diagnosis import report, rule

    known = {}
    monkeypatch.setattr(rule, "REGISTERED", known)
    rule.rule(
        "too-many-classes",
        place=5,
        needs="labels",
        takes=lambda e: None if e.classes is None else (e.classes,),
    )(too_many_classes)
    monkeypatch.setattr(report, "RULES", tuple(known.values()))
    monkeypatch.setattr(report, "REGISTERED", known)
    assert examine(Evidence()).unchecked == (("too-many-classes", "labels"),)
    assert examine(Evidence(classes=3)).fine == ("too-many-classes",)
    assert [each.message for each in examine(Evidence(classes=30)).findings] == ["30 classes"]


# -- the code of a finding -----------------------------------------------------------------------


def run_of(**metrics):
    """Return what stands for a run: metrics by name, at steps from 1 on."""
    points = {name: np.asarray(each, float) for name, each in metrics.items()}
    return SimpleNamespace(
        metrics={
            name: Series(np.arange(1, len(each) + 1), each, np.arange(float(len(each))))
            for name, each in points.items()
        }
    )


def grown(run, extra=80):
    """Return the run as it is later: whatever comes then must not change what was found."""
    return run_of(
        **{
            name: np.concatenate([each.values, np.full(extra, 0.5)])
            for name, each in run.metrics.items()
        }
    )


def value_of(finding, run):
    names = {"run": run}
    exec(finding.code, names)
    return names["value"]


JUMPED = run_of(loss=[*np.full(60, 1.0), *np.full(40, 2.0)])
SURGED = run_of(loss=[*np.full(60, 1.0), 3.0, *np.full(39, 1.0)])
FLAT = run_of(loss=np.full(100, 2.0))
LEAPT = run_of(**{"gradient_norm/a": [1.0, 1.0, 1.0, 60.0], "gradient_norm/b": [1.0, 1, 1, 0.0]})
FAST = run_of(**{"update_ratio/a.weight": [1e-3, 0.3, 0.2, 1e-3]})
WARMED_UP = run_of(
    **{
        "update_ratio/a.weight": [*np.full(10, 0.05), *np.full(10, 2e-7), *np.full(10, 1e-9)],
        "lr": [*np.full(10, 1e-5), *np.full(10, 0.1), *np.full(10, 1e-5)],
    }
)
BROKEN = run_of(loss=[1.0, 1.0, np.nan, 1.0])
OVERFIT = run_of(
    **{
        "acc/train": [0.5, 0.6, 0.8, 0.8, 0.8],
        "acc/val": [0.5, 0.6, 0.65, 0.65, 0.6],
        "loss/train": [2.0, 1.0, 0.9, 0.5, 0.3],
        "loss/val": [1.0, 1.0, 1.0, 1.3, 1.3],
    }
)


@pytest.mark.parametrize(
    ("run", "find"),
    [
        (JUMPED, lambda c: loss_jump(c.loss, lasting=30, window=40, floor=0.02)),
        (JUMPED, lambda c: loss_jump(c.loss, sigmas=2.0, lasting=20)),
        (SURGED, lambda c: loss_surge(c.loss, window=30, floor=0.1)),
        (FLAT, lambda c: slow_learning(c.loss, {}, 7, share=0.8)),
        (LEAPT, lambda c: exploding_gradient((), c.gradient_norm, times=20.0, window=3)),
        (FAST, lambda c: update_ratio(c.update_ratios, high=0.15)),
        (WARMED_UP, lambda c: update_ratio(c.update_ratios, c.learning_rate)),
        (BROKEN, lambda c: non_finite(c.loss, c.gradient_norms)),
        (OVERFIT, lambda c: overfit(c, 1000, gap=0.05, evaluations=2)),
        (OVERFIT, lambda c: overfit(c, rise=9.0)),
    ],
)
def test_the_code_of_a_finding_finds_its_value_again_in_the_run_and_when_that_has_grown(run, find):
    (found,) = find(run_curves(run.metrics))
    assert value_of(found, run) == found.value
    assert value_of(found, grown(run)) == found.value


def test_the_code_passes_the_thresholds_that_were_used():
    (found,) = loss_surge(run_curves(SURGED.metrics).loss, window=30, floor=0.1)
    for threshold in ("sigmas=10.0", "window=30", "floor=0.1", "recovery=20"):
        assert threshold in found.code
