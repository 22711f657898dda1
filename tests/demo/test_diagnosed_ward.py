"""A fast part of what ``benchmarks/ward.py`` measures on all patients and ten seeds."""

import dataclasses

import pytest

import convviz_widgets as cvw
from convviz_widgets.demo import ward
from convviz_widgets.demo.ward.patient import admit_case


def findings(name, folder, **shorter):
    """Train a patient, in fewer steps where its illness shows sooner, and diagnose it.

    The code of its findings must give their values; that which goes through the images one by one
    is tested on smaller networks.
    """
    case = dataclasses.replace({**ward.ILLNESSES, **ward.HEALTHY}[name], **shorter)
    patient = admit_case(case, 0, folder)
    state = patient.state()
    given = {
        "run": patient.run,
        "images": patient.images,
        "validation": patient.validation,
        "loader": patient.loader,
    }
    try:
        found = cvw.diagnose(state, **given)
        for finding in (each for each in found if "for image in" not in each.code):
            names = {"state": state, **given}
            exec(finding.code, names)
            assert names["value"] == pytest.approx(finding.value, rel=1e-5), finding.rule
        return found
    finally:
        state.close()


@pytest.mark.parametrize(
    ("name", "shorter"),
    [
        ("rate-too-high", {"steps": 75}),
        ("exploding", {}),
        ("leak", {"steps": 25}),
        ("stopped-early", {}),
    ],
)
def test_the_planted_cause_is_among_the_two_top_findings(name, shorter, tmp_path):
    found = findings(name, tmp_path / name, **shorter)
    top = {finding.rule for finding in found[:2]}
    assert top & set(ward.ILLNESSES[name].rules)


def test_a_healthy_run_raises_no_alarm(tmp_path):
    found = findings("one-cycle", tmp_path / "run", steps=150)
    assert {finding.severity for finding in found} <= {"remark"}
