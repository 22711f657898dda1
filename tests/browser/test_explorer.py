"""What a user does with the Explorer, and with others' widgets, in each of three front ends."""

import numpy as np
import pytest
from playwright.sync_api import expect

from .cells import EXPLORER, MODEL
from .explorer_page import ExplorerPage, covers

WIDGETS = """
import io, numpy as np, bqplot, ipywidgets as widgets
from ipycanvas import Canvas, hold_canvas
from PIL import Image

def grey(level):
    file = io.BytesIO()
    Image.fromarray(np.full((20, 30), level, np.uint8)).save(file, "PNG")
    return file.getvalue()

slider = widgets.IntSlider(description="Step", max=10)
picture = widgets.Image(value=grey(0))
slider.observe(lambda change: picture.set_trait("value", grey(20 * slider.value)), "value")

canvas, scratch = Canvas(width=40, height=20), Canvas(width=1, height=1)

def paint():
    with hold_canvas(canvas):
        canvas.fill_style = "#ff0000"
        canvas.fill_rect(10, 0, 10, 20)
        scratch.clear()

canvas.on_client_ready(paint)
scales = {"x": bqplot.LinearScale(), "y": bqplot.LinearScale()}
bars = bqplot.Bars(x=[1, 2, 3], y=[2, 1, 3], scales=scales)
figure = bqplot.Figure(marks=[bars], layout={"height": "150px", "width": "300px"})
widgets.VBox([slider, picture, canvas, figure])
"""
"""Widgets that are not ours: does the harness see what a user would see?"""

THEMES = {"lab": "light", "notebook7": "light", "voila": "dark"}


@pytest.fixture(scope="module", params=THEMES)
def frontend(request):
    return request.param


@pytest.fixture(scope="module")
def explorer(frontend, frontends):
    opened = getattr(frontends, frontend)([MODEL, EXPLORER, WIDGETS], THEMES[frontend])
    return ExplorerPage(opened)


def test_the_checkpoint_slider_changes_the_mosaic_and_back(explorer):
    first = explorer.pixels("mosaic")
    explorer.later()
    second = explorer.opened.changed(explorer.image("mosaic"), first)
    explorer.earlier()
    again = explorer.opened.changed(explorer.image("mosaic"), second)
    np.testing.assert_array_equal(again, first)
    assert first.shape == second.shape


def test_a_button_of_the_clock_is_pressed_by_a_key(explorer):
    first = explorer.pixels("mosaic")
    for name in ("next checkpoint", "previous checkpoint"):
        before = explorer.pixels("mosaic")
        explorer.view("Checkpoint").get_by_role("button", name=name).press("Enter")
        explorer.opened.changed(explorer.image("mosaic"), before)
    np.testing.assert_array_equal(explorer.pixels("mosaic"), first)


def test_a_clicked_tile_is_enlarged_and_counted(explorer):
    enlarged, bars = explorer.pixels("map"), explorer.bars().inner_html()
    x, y = explorer.pixels("mosaic").shape[1] - 20, 20
    explorer.click("mosaic", x, y)
    explorer.opened.changed(explorer.image("map"), enlarged)
    explorer.opened.until(lambda: explorer.bars().inner_html() != bars, "the bars stayed")
    explorer.opened.until(lambda: covers(explorer.highlight("mosaic"), x, y), "another tile")
    assert explorer.channel() > 0


def test_arrow_keys_move_the_selected_tile(explorer):
    before = explorer.channel()
    explorer.canvas("mosaic").press("ArrowLeft")
    explorer.opened.until(lambda: explorer.channel() == before - 1, "not one channel to the left")
    explorer.canvas("mosaic").press("ArrowRight")
    explorer.opened.until(lambda: explorer.channel() == before, "not back again")


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


@pytest.fixture
def others(explorer):
    return explorer.page.locator(".jp-OutputArea-output:has(img.widget-image)").last


def test_a_slider_moved_by_key_changes_the_bytes_of_an_image(explorer, others):
    image = others.locator("img.widget-image")
    before = explorer.opened.pixels(image)
    others.get_by_role("slider").press("PageUp")  # Notebook 7 keeps the arrow keys
    after = explorer.opened.changed(image, before)
    assert (before.shape, before[0, 0, 0], after[0, 0, 0]) == ((20, 30, 4), 0, 100)


def test_a_canvas_drawn_when_ready_has_its_pixels(explorer, others):
    canvas = others.locator(".jupyter-widgets canvas, canvas.jupyter-widgets").first
    explorer.opened.until(lambda: explorer.opened.pixels(canvas).any(), "nothing was drawn")
    red = np.argwhere(explorer.opened.pixels(canvas)[..., 0] == 255)
    assert (red.min(0).tolist(), red.max(0).tolist()) == ([0, 10], [19, 19])
