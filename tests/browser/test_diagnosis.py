"""The diagnosis, as a user meets it in JupyterLab."""

import re

import pytest
from playwright.sync_api import expect

from .cells import MODEL

PANEL = """
patient = torch.rand(256, 3, 24, 24)
weights = [checkpoint(0), checkpoint(100)]
weights[1][1]["conv2.weight"][3, 0, 0, 0] = 12.5
ill = cvw.ModelState(
    model,
    cvw.ImageSet(patient, torch.arange(256) % 3),
    checkpoints=cvw.CheckpointSeries.from_state_dicts(weights),
    layer="relu1",
    checkpoint=0,
)
panel = cvw.DiagnosisPanel(ill)
panel
"""


@pytest.fixture(scope="module")
def opened(frontends):
    return frontends.lab([MODEL, PANEL], "dark")


def test_a_finding_leads_to_its_evidence_and_gives_its_code(opened):
    view = opened.page.locator(".cvw-view:has-text('Diagnosis')")
    view.get_by_text("Not checked (").wait_for()
    summary = view.locator(".cvw-wrap", has_text="Not checked (")
    tall, cut = summary.evaluate(
        "(box) => [box.scrollHeight, box.querySelector('.widget-html-content').scrollHeight]"
    )
    assert tall >= cut  # the rest of the text can be scrolled to
    findings = view.get_by_role("listbox", name="Findings")
    lines = findings.locator("option").all_text_contents()
    findings.select_option(index=next(i for i, line in enumerate(lines) if "abnormal" in line))
    expect(view.get_by_text("conv2: a weight of size 12.5")).to_be_visible()
    view.get_by_role("button", name="Show code").click()
    code = view.get_by_label("Code of the finding")
    expect(code).to_have_value(re.compile(r"state\.weight\('conv2'\)"))
    run = f"(lambda given: exec({code.input_value()!r}, given) or given['value'])(dict(state=ill))"
    assert opened.ask(run) == 12.5
    view.get_by_role("button", name="Show me").click()
    opened.until(lambda: opened.ask("[ill.checkpoint, ill.layer]") == [1, "conv2"], "it moves")
    assert opened.too_wide() == []
    opened.screenshot("diagnosis-dark")


def test_the_page_has_no_error(opened, frontends):
    assert frontends.take_errors() == []
