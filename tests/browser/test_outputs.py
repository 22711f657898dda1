"""What comes out, as a user meets it in JupyterLab."""

import re

import pytest
from playwright.sync_api import expect

CELLS = [
    """
import torch
from torch import nn
import convviz_widgets as cvw

torch.set_num_threads(1)
inputs = 9 * torch.eye(3)[[0, 1, 2, 2]].reshape(4, 1, 1, 3)
net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten())
nn.init.ones_(net[0].weight)
images = cvw.ImageSet(inputs, [0, 1, 2, 0], class_names=["cat", "dog", "owl"])
state = cvw.ModelState(net, images)
""",
    """
matrix = cvw.ConfusionMatrix(state)
matrix
""",
    "cvw.OutputGallery(state)",
    """
pictures = torch.rand(11, 1, 4, 4)
noisy = cvw.ModelState(nn.Sequential(nn.Conv2d(1, 1, 1)), cvw.ImageSet(pictures, targets=pictures))
cvw.OutputGallery(noisy)
""",
]


@pytest.fixture(scope="module")
def opened(frontends):
    return frontends.lab(CELLS, "dark")


def test_a_click_on_a_cell_lists_its_images_and_one_on_an_image_selects_it(opened):
    view = opened.page.locator(".cvw-view:has-text('Confusion matrix')")
    expect(view.get_by_text("cat, answered owl: 1 image").first).to_be_visible()
    rasters = view.locator(".cvw-room")
    rasters.nth(0).click(position={"x": 250, "y": 250})  # the last of 3 × 3 cells of 100 pixels
    expect(view.get_by_text("owl, answered owl: 1 image").first).to_be_visible()
    rasters.nth(1).click(position={"x": 20, "y": 20})
    opened.until(lambda: opened.ask("state.selection.image") == 2, "image 2 was not selected")


def test_keys_lead_among_cells_that_have_names(opened):
    view = opened.page.locator(".cvw-view:has-text('Confusion matrix')")
    cells = view.get_by_role("grid", name="Confusion matrix")
    cells.press("Home")
    expect(view.get_by_text("cat, answered cat: 1 image").first).to_be_visible()
    cells.press("ArrowDown")
    expect(view.get_by_text("dog, answered cat: 0 images").first).to_be_visible()
    cells.press("ArrowRight")
    selected = cells.get_by_role("gridcell", name="dog, answered dog: 1 image", selected=True)
    expect(selected).to_have_count(1)
    cells.press("Tab")
    expect(view.get_by_role("grid", name="images of the cell")).to_be_focused()
    cells.press("Escape")
    expect(cells).not_to_be_focused()


def test_the_wrong_answer_comes_first(opened):
    view = opened.page.locator(".cvw-view:has-text('answered wrong: first')")
    expect(view).to_contain_text("1 of 4 labelled images")
    view.locator(".cvw-room").click(position={"x": 20, "y": 20})
    opened.until(lambda: opened.ask("state.selection.image") == 3, "image 3 was not selected")
    assert opened.too_wide() == []


def test_an_arrow_leads_over_the_edge_to_the_next_page(opened):
    view = opened.page.locator(".cvw-view:has-text('difference: output − target')")
    pictures = view.get_by_role("grid", name="the images of this page")
    pictures.press("End")
    opened.until(lambda: opened.ask("noisy.image") == 7, "the last of the page was not selected")
    pictures.press("ArrowRight")
    opened.until(lambda: opened.ask("noisy.image") == 8, "the next page was not reached")
    expect(pictures.get_by_role("gridcell")).to_have_count(3)


def test_the_image_that_is_selected_is_told_on_another_page_at_the_same_place(opened):
    view = opened.page.locator(".cvw-view:has-text('difference: output − target')")
    pictures = view.get_by_role("grid", name="the images of this page")
    for image in (0, 8):
        opened.ask(f"str(noisy.select(image={image}))")
        expect(pictures.get_by_role("gridcell", name=f"image {image}: ")).to_have_count(1)
        selected = pictures.get_by_role("gridcell", selected=True)
        expect(selected).to_have_attribute("aria-label", re.compile(f"^image {image}: "))
