"""Every notebook is committed without outputs and runs from top to bottom in a new kernel."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_no_output_is_stored(path):
    cells = nbformat.read(path, as_version=4).cells
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


# The sockets of the kernel's client are closed when they are collected, later than the test.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_every_cell_runs_without_a_warning(path):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": FOLDER}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    written = [output.text for output in outputs if output.get("name") == "stderr"]
    assert [text for text in written if "training" not in text] == []
    assert any("application/vnd.jupyter.widget-view+json" in out.get("data", {}) for out in outputs)


def test_the_tour_is_short(path):
    if path.stem == "00_tour":
        assert len(nbformat.read(path, as_version=4).cells) <= 12
