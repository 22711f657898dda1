"""The panel lists findings, leads to their evidence, and says what was checked."""

from contextlib import closing

import numpy as np
import pytest
import torch
from ipywidgets import HTML
from torch import nn

import convviz_widgets as cvw
from convviz_widgets.record.event_files import EventFileWriter
from convviz_widgets.views import DiagnosisPanel
from convviz_widgets.widgets import widget_tree
from convviz_widgets.widgets.text import STYLE

PATIENCE = 60


def net(alive=4):
    made = nn.Sequential(
        nn.Conv2d(1, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    with torch.no_grad():
        made[0].weight.fill_(1.0)
        made[0].bias.copy_(torch.where(torch.arange(4) < alive, 0.1, -2.0))
        made[4].weight.copy_(torch.linspace(-0.3, 0.3, 12).reshape(3, 4))
        made[4].bias.zero_()
    return made


@pytest.fixture
def run(tmp_path):
    with closing(EventFileWriter(tmp_path)) as log:
        for step, loss in enumerate([*[2.0] * 60, 12.0, *np.linspace(2.0, 1.0, 60)], start=1):
            log.write(step, {"loss/train": float(loss)})
    return cvw.Run(tmp_path)


@pytest.fixture
def state():
    generator = torch.Generator().manual_seed(3)
    pictures = torch.rand(300, 1, 4, 4, generator=generator)
    images = cvw.ImageSet(pictures, [index % 3 for index in range(300)])
    weights = [(0, net().state_dict()), (60, net(alive=2).state_dict())]
    made = cvw.ModelState(
        net(), images, checkpoints=cvw.CheckpointSeries.from_state_dicts(weights), checkpoint=0
    )
    yield made
    made.close()


@pytest.fixture
def panel(state, run):
    made = DiagnosisPanel(state, run=run)
    assert made.examination.wait(PATIENCE)
    yield made
    made.close()


def rules(panel):
    return [finding.rule for finding in panel.findings]


def pick(panel, rule):
    panel.control("Findings").index = rules(panel).index(rule)


def test_the_findings_of_diagnose_are_listed_in_its_order(panel, state, run):
    assert rules(panel) == [finding.rule for finding in cvw.diagnose(state, run=run)]
    assert rules(panel)[:2] == ["dead-layer", "loss-surge"]
    assert len(panel.control("Findings").options) == len(rules(panel))
    assert panel.problem == ""


def test_show_me_moves_clock_layer_and_channel(panel, state):
    pick(panel, "dead-layer")
    panel.control("Show me").click()
    chosen = state.selection
    assert (chosen.checkpoint, chosen.layer, chosen.channel) == (1, "1", 2)


def test_show_code_gives_lines_that_compute_the_number(panel, state, run):
    for index, finding in enumerate(panel.findings):
        panel.control("Findings").index = index
        panel.control("Show code").click()
        names = {"state": state, "run": run}
        exec(panel.control("Code of the finding").value, names)
        assert names["value"] == pytest.approx(finding.value, rel=1e-3)


def test_the_filter_keeps_one_rule(panel):
    panel.control("Rule").value = "loss-surge"
    assert rules(panel) == ["loss-surge"]
    panel.rule = ""
    assert len(rules(panel)) > 1


def test_what_is_fine_and_what_was_not_checked_is_said(panel):
    said = panel.summary
    fine, unchecked = said.split("Not checked")
    assert "loss-jump" in fine
    assert "overfit: needs a run with accuracies" in unchecked


def test_a_panel_without_a_run_says_what_the_curves_need(state):
    panel = DiagnosisPanel(state)
    assert panel.examination.wait(PATIENCE)
    assert "loss-surge" in panel.summary.split("Not checked")[1]
    assert rules(panel)[0] == "dead-layer"
    panel.close()


def test_a_hidden_panel_measures_nothing_until_it_is_shown(state, run):
    panel = DiagnosisPanel(state, run=run, visible=False)
    assert not panel.examination.is_running
    assert state.history.get("parameters", 0) is None
    panel.visible = True
    assert panel.examination.wait(PATIENCE)
    assert rules(panel)
    panel.close()


def test_new_metrics_are_judged_after_a_refresh(panel, state, tmp_path):
    with closing(EventFileWriter(tmp_path)) as log:
        log.write(122, {"loss/train": float("nan")})
    state.refresh()
    assert panel.examination.wait(PATIENCE)
    assert rules(panel)[0] == "non-finite"
    panel.control("Show me").click()


def test_names_are_escaped(panel):
    from convviz_widgets.diagnosis import Finding, Report

    panel.examination.latest = Report((Finding("overfit", "warning", "<img src=x>", layer="<b>"),))
    panel.redraw()
    assert panel.message == "<img src=x>"
    written = [part.value for part in widget_tree(panel) if isinstance(part, HTML)]
    assert "&lt;img src=x&gt;" in written


def test_what_could_not_be_measured_is_not_called_fine():
    class OfTwo(nn.Sequential):
        def forward(self, x):
            if len(x) > 2:
                raise RuntimeError("takes one or two images")
            return super().forward(x)

    pictures = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(3)) - 0.5
    images = cvw.ImageSet(pictures, [index % 3 for index in range(60)])
    with closing(cvw.ModelState(OfTwo(*net()), images)) as state:
        panel = DiagnosisPanel(state)
        assert panel.examination.wait(PATIENCE)
        panel.redraw()
        assert rules(panel) == []
        said = "Nothing abnormal was found in what could be measured; 3 of 6 parts could not be"
        assert panel.message.startswith(said)
        assert "takes one or two images" in panel.message
        names, failed, reason = panel.summary.rpartition("; ")[2].partition(
            ": could not be measured"
        )
        assert "stuck-output" in names
        assert failed
        assert "takes one or two images" in reason
        panel.close()


def test_a_long_summary_can_be_scrolled_to_its_end(panel):
    texts = (part for part in widget_tree(panel) if isinstance(part, HTML))
    summary = next(part for part in texts if part.value.startswith("Checked and fine"))
    assert summary.layout.overflow == "auto"
    assert "cvw-wrap" in summary.get_state()["_dom_classes"]
    # What is inside must not cut its text off itself: only what sticks out of it is scrolled to.
    _, _, rule = STYLE.rpartition(".cvw-wrap > .widget-html-content {")
    assert "overflow: visible" in rule.partition("}")[0]


def test_after_a_sweep_of_more_images_the_finding_that_is_looked_at_has_their_number(run):
    pictures = torch.rand(1100, 1, 4, 4, generator=torch.Generator().manual_seed(3))
    images = cvw.ImageSet(pictures, [index % 3 for index in range(1100)])
    with closing(cvw.ModelState(net(alive=2), images)) as state:
        panel = DiagnosisPanel(state, run=run)
        assert panel.examination.wait(PATIENCE)
        pick(panel, "loss-surge")
        pick(panel, "dead-layer")
        assert panel.finding.n == 1024
        panel.visible = False
        state.sweeps.ask(0)
        assert state.sweeps.wait(PATIENCE)
        panel.visible = True
        assert panel.examination.wait(PATIENCE)
        panel.redraw()
        assert (panel.finding.rule, panel.finding.n) == ("dead-layer", 1100)
        panel.close()
