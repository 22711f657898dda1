"""What a user does with the Explorer, in JupyterLab, Notebook 7 and Voila."""

import numpy as np
import pytest
from playwright.sync_api import expect

from .cells import EXPLORER, MODEL
from .explorer_page import ExplorerPage, covers

PAGE_KEYS = {"notebook7": ("PageDown", "PageUp")}


THEMES = {"lab": "light", "notebook7": "light", "voila": "dark"}


@pytest.fixture(scope="module", params=THEMES)
def frontend(request):
    return request.param


@pytest.fixture(scope="module")
def explorer(frontend, frontends):
    opened = getattr(frontends, frontend)([MODEL, EXPLORER], THEMES[frontend])
    return ExplorerPage(opened, PAGE_KEYS.get(frontend, ("ArrowLeft", "ArrowRight")))


def test_the_checkpoint_slider_changes_the_mosaic_and_back(explorer):
    first = explorer.pixels("mosaic")
    explorer.later()
    second = explorer.opened.changed(explorer.image("mosaic"), first)
    explorer.earlier()
    again = explorer.opened.changed(explorer.image("mosaic"), second)
    np.testing.assert_array_equal(again, first)
    assert first.shape == second.shape


def test_a_clicked_tile_is_enlarged_and_counted(explorer):
    enlarged, bars = explorer.pixels("map"), explorer.bars().inner_html()
    x, y = explorer.pixels("mosaic").shape[1] - 20, 20
    explorer.click("mosaic", x, y)
    explorer.opened.changed(explorer.image("map"), enlarged)
    explorer.opened.until(lambda: explorer.bars().inner_html() != bars, "the bars stayed")
    explorer.opened.until(lambda: covers(explorer.highlight("mosaic"), x, y), "another tile")
    assert explorer.channel() > 0


def test_a_clicked_thumbnail_changes_the_mosaic(explorer):
    before = explorer.pixels("mosaic")
    explorer.click("images", 80, 20)
    explorer.opened.changed(explorer.image("mosaic"), before)


def test_the_search_box_filters_the_layers(explorer):
    everything = explorer.layer_names()
    explorer.search.fill("conv")
    explorer.opened.until(
        lambda: explorer.layer_names() == ["conv1", "conv2"], "the list was not filtered"
    )
    explorer.search.fill("")
    explorer.opened.until(lambda: explorer.layer_names() == everything, "the list stayed short")


def test_another_layer_has_another_mosaic(explorer):
    before = explorer.pixels("mosaic")
    explorer.layers.select_option(label="conv2  Conv2d  16×12×12")
    explorer.opened.changed(explorer.image("mosaic"), before)
    expect(explorer.view("Channel")).to_contain_text("0 to 15")


def test_nothing_is_wider_than_the_page(explorer):
    assert explorer.opened.too_wide() == []


def test_a_tab_that_is_left_at_once_is_whole_when_it_is_shown_again(explorer):
    for tab in ("Filters", "Activations", "Filters"):
        explorer.open_tab(tab)
    explorer.opened.until(lambda: explorer.tallest_bar("Weights") > 0, "there are no bars")


@pytest.mark.parametrize("tab", ["Filters", "Outputs", "Activations"])
def test_every_tab_can_be_looked_at(explorer, frontend, tab):
    explorer.open_tab(tab)
    explorer.root.locator(".cvw-tabs .bqplot:visible .tick").last.wait_for()
    explorer.opened.screenshot(f"{frontend}-{THEMES[frontend]}-{tab.lower()}", height=1500)
    assert explorer.opened.too_wide() == []
