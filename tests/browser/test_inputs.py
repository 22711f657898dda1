"""The gallery of inputs, as a user meets it in JupyterLab."""

import pytest
from playwright.sync_api import expect

CELLS = [
    """
import torch
from torch import nn
import convviz_widgets as cvw

torch.set_num_threads(1)
inputs = torch.arange(100_000, dtype=torch.int32).view(torch.uint8).reshape(-1, 1, 2, 2) / 255
inputs[9] = inputs[4]
state = cvw.ModelState(nn.Sequential(nn.Conv2d(1, 2, 2)), cvw.ImageSet(inputs, mean=0.0, std=1.0))
""",
    """
gallery = cvw.InputGallery(state)
gallery
""",
]


@pytest.fixture(scope="module")
def opened(frontends):
    return frontends.lab(CELLS, "dark")


@pytest.fixture(scope="module")
def gallery(opened):
    return opened.page.locator(".cvw-view:has-text('Inputs')")


def test_the_page_lets_the_search_go_on_to_its_end(opened, gallery):
    found = gallery.locator(".cvw-quiet:has-text('duplicates in 100,000 images: 1 surplus')")
    expect(found.first).to_be_visible()
    assert opened.ask("gallery.painted.tiles.labels[4]").endswith("equals image 9")


def test_a_click_and_the_slider_select_and_turn_pages(opened, gallery):
    picture = gallery.locator("canvas.cvw-picture")
    before = opened.pixels(picture)
    gallery.locator(".cvw-room").click(position={"x": 2 + 49 * 9 + 20, "y": 20})
    opened.until(lambda: opened.ask("state.selection.image") == 9, "image 9 was not selected")
    gallery.get_by_role("slider").press("PageUp")
    opened.changed(picture, before)
    expect(gallery.get_by_text("of 100,000", exact=False).first).to_be_visible()
    opened.screenshot("inputs-dark", height=900)
    assert opened.too_wide() == []
