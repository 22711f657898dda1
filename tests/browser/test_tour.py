"""The tour in a real JupyterLab: one clock moves every view."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from .explorer_page import ExplorerPage
from .pages import TRAINING

FOLDER = Path(__file__).parents[2] / "notebooks"
TOUR = FOLDER / "00_tour.ipynb"

UNDRAWN = ":text('Error displaying widget'), :text('Loading widget...')"


def run(frontends, notebook, theme):
    """Open a notebook; return its page when its cells have run and its widgets are drawn."""
    opened = frontends.lab(notebook, theme, run=False)
    opened.run_all(patience=TRAINING)
    expect(opened.page.locator(UNDRAWN)).to_have_count(0)
    return opened


@pytest.fixture(scope="module")
def tour(frontends):
    return run(frontends, TOUR, "dark")


def test_the_tour_moves_every_view_with_one_clock(tour):
    explorer = ExplorerPage(tour)
    alone = tour.page.locator(".cvw-view:has-text('Activation maps') .cvw-raster canvas.cvw-picture").last
    in_explorer, outside = explorer.pixels("mosaic"), tour.pixels(alone)
    explorer.earlier()
    tour.changed(explorer.image("mosaic"), in_explorer)
    tour.changed(alone, outside)


def test_the_tour_can_be_looked_at_and_is_not_too_wide(tour):
    explorer = ExplorerPage(tour)
    explorer.root.scroll_into_view_if_needed()
    tour.screenshot("tour-dark", height=1500)
    tour.wear("light")
    tour.screenshot("tour-light", height=1500)
    assert tour.too_wide() == []
