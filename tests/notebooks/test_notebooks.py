"""Every notebook is committed as it was written; the browser tests run them all."""

from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_no_output_is_stored(path):
    cells = nbformat.read(path, as_version=4).cells
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


def test_the_tour_is_short(path):
    if path.stem == "00_tour":
        assert len(nbformat.read(path, as_version=4).cells) <= 12
