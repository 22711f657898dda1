"""Every notebook in a real JupyterLab, each with a kernel of its own: runs, draws, fits."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from .frontends import Frontends
from .pages import TRAINING

FOLDER = Path(__file__).parents[2] / "notebooks"

RUN_BY_THEIR_OWN_TESTS = {"00_tour", "09_live_training"}

NOTEBOOKS = sorted(
    path for path in FOLDER.glob("*.ipynb") if path.stem not in RUN_BY_THEIR_OWN_TESTS
)

UNDRAWN = ":text('Error displaying widget'), :text('Loading widget...')"

OUTPUTS = """() => jupyterapp.shell.currentWidget.content.widgets
    .flatMap(cell => cell.model.toJSON().outputs ?? [])"""


@pytest.fixture
def frontends(browser, server):
    frontends = Frontends(browser, server)
    yield frontends
    frontends.close()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_without_a_warning_draws_its_widgets_and_fits(frontends, path):
    opened = frontends.lab(path, "light", run=False)
    opened.run_all(patience=TRAINING)
    expect(opened.page.locator(UNDRAWN)).to_have_count(0)
    outputs = opened.page.evaluate(OUTPUTS)
    written = ["".join(out["text"]) for out in outputs if out.get("name") == "stderr"]
    assert [text for text in written if "training" not in text] == []
    assert any("application/vnd.jupyter.widget-view+json" in out.get("data", {}) for out in outputs)
    assert opened.too_wide() == []
