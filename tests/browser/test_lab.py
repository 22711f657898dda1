"""The Explorer in JupyterLab, where its kernel can be asked what it did."""

import numpy as np
import pytest
from playwright.sync_api import expect

from .cells import EXPLORER, MODEL
from .explorer_page import ExplorerPage, covers

DRAWN = "{type(view).__name__: view.draw_count for view in explorer.views()}"

BUSY = """
import time

started = time.monotonic()
while state.checkpoint == 0 and time.monotonic() - started < 180:
    time.sleep(0.02)
heard = state.checkpoint
"""


@pytest.fixture(scope="module")
def opened(lab):
    opened = lab([MODEL, EXPLORER, BUSY], run=False)
    opened.run_cell(0)
    opened.run_cell(1)
    return opened


@pytest.fixture(scope="module")
def explorer(opened):
    return ExplorerPage(opened)


def press_on_mosaic(explorer, key):
    before = explorer.highlight("mosaic")
    explorer.canvas("mosaic").press(key)
    explorer.opened.until(
        lambda: explorer.highlight("mosaic") not in (None, before), f"{key} moved no highlight"
    )


def test_arrow_keys_on_the_mosaic_move_the_selected_tile(explorer):
    assert explorer.channel() == 0
    press_on_mosaic(explorer, "ArrowRight")
    press_on_mosaic(explorer, "ArrowRight")
    press_on_mosaic(explorer, "ArrowLeft")
    explorer.opened.until(lambda: explorer.channel() == 1, "not one channel to the right")
    press_on_mosaic(explorer, "ArrowDown")
    columns = explorer.opened.until(lambda: explorer.channel() - 1, "not a row further down")
    assert columns > 1


def test_a_click_on_a_mosaic_half_out_of_sight_hits_the_tile_under_the_pointer(explorer):
    canvas = explorer.canvas("mosaic")
    explorer.search.focus()
    window = explorer.page.viewport_size
    cut = int(canvas.bounding_box()["y"]) + 80
    explorer.page.set_viewport_size({"width": window["width"], "height": cut})
    x = explorer.pixels("mosaic").shape[1] - 20
    explorer.click("mosaic", x, 20)
    explorer.opened.until(lambda: covers(explorer.highlight("mosaic"), x, 20), "another tile")
    explorer.page.set_viewport_size(window)


@pytest.mark.parametrize(
    ("key", "role", "name"),
    [
        ("Tab", "button", "previous channel"),
        ("Escape", "checkbox", "own scale per map"),
        ("Shift+Tab", "checkbox", "own scale per map"),
    ],
)
def test_keys_leave_the_mosaic_for_the_control_beside_it(explorer, key, role, name):
    canvas = explorer.canvas("mosaic")
    canvas.focus()
    expect(canvas).to_be_focused()
    canvas.press(key)
    control = explorer.view("Activation maps").get_by_role(role, name=name, exact=True)
    expect(control).to_be_focused()


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("button", "first checkpoint"),
        ("button", "previous checkpoint"),
        ("button", "play the checkpoints"),
        ("button", "next checkpoint"),
        ("checkbox", "follow newest"),
        ("textbox", "Search layers by name or kind"),
        ("listbox", "Layer"),
        ("spinbutton", "Channel"),
        ("spinbutton", "Image"),
        ("button", "page back"),
        ("button", "page on"),
        ("button", "previous image"),
        ("button", "next image"),
    ],
)
def test_every_control_can_be_found_by_its_name(explorer, role, name):
    expect(explorer.root.get_by_role(role, name=name, exact=True)).to_have_count(1)


def test_only_a_new_checkpoint_or_image_needs_a_forward_pass(explorer, opened):
    before = opened.ask("state.forward_count")
    picture = explorer.pixels("mosaic")
    explorer.layers.select_option(label="conv1  Conv2d  12×24×24")
    picture = opened.changed(explorer.image("mosaic"), picture)
    explorer.view("Activation maps").get_by_label("Colours").select_option("purple-green")
    picture = opened.changed(explorer.image("mosaic"), picture)
    assert opened.ask("state.forward_count") == before
    explorer.later()
    opened.changed(explorer.image("mosaic"), picture)
    assert opened.ask("state.forward_count") == before + 1


def test_hidden_tabs_compute_nothing_until_they_are_shown(explorer, opened):
    drawn, forwards = opened.ask(DRAWN), opened.ask("state.forward_count")
    assert not {"FilterMosaic", "WeightHistogram", "Predictions"} & set(drawn)
    explorer.open_tab("Filters")
    explorer.canvas("filters").wait_for()
    opened.until(lambda: opened.ask(DRAWN).get("FilterMosaic") == 1, "the filters were not drawn")
    hidden = opened.ask(DRAWN)["ActivationMosaic"]
    before = explorer.pixels("filters")
    explorer.later()
    opened.changed(explorer.image("filters"), before)
    assert opened.ask(DRAWN)["ActivationMosaic"] == hidden
    explorer.open_tab("Activations")
    opened.until(lambda: opened.ask(DRAWN)["ActivationMosaic"] == hidden + 1, "not caught up")
    assert opened.ask("state.forward_count") == forwards + 1


def test_an_explorer_whose_cell_has_been_run_again_computes_nothing(explorer, opened):
    assert opened.ask("bool(globals().setdefault('replaced', explorer))")
    drawn = "sum(view.draw_count for view in replaced.views())"
    opened.run_cell(1)
    explorer.wait_for_drawing()
    awake = "sum(view.awake for view in replaced.views())"
    opened.until(lambda: opened.ask(awake) == 0, "it is still on the page")
    before, picture = opened.ask(drawn), explorer.pixels("mosaic")
    explorer.later()
    opened.changed(explorer.image("mosaic"), picture)
    assert opened.ask(drawn) == before
    assert opened.ask("replaced.close()") is None  # a page that is reloaded asks for every widget


def test_a_reloaded_page_shows_the_same_picture_and_still_listens(explorer, opened):
    before, highlight = explorer.pixels("mosaic"), explorer.highlight("mosaic")
    opened.save()
    opened.reload()
    explorer.wait_for_drawing()
    np.testing.assert_array_equal(explorer.pixels("mosaic"), before)
    assert explorer.highlight("mosaic") == highlight
    explorer.later()
    opened.changed(explorer.image("mosaic"), before)


def test_a_histogram_that_was_hidden_during_a_reload_is_drawn_when_shown(explorer, opened):
    explorer.open_tab("Filters")
    opened.until(lambda: explorer.tallest_bar("Weights") > 100, "no bars before the reload")
    explorer.open_tab("Activations")
    opened.save()
    opened.reload()
    explorer.wait_for_drawing()
    explorer.open_tab("Filters")
    opened.until(lambda: explorer.tallest_bar("Weights") > 100, "no bars after the reload")
    explorer.open_tab("Activations")
    opened.until(lambda: explorer.tallest_bar() > 100, "the figure was not put back")


def test_playing_goes_through_the_checkpoints_and_stops_at_the_last(explorer):
    button = explorer.view("Checkpoint").get_by_role("button", name="play the checkpoints")
    button.click()
    explorer.opened.until(lambda: "6 of 6" in explorer.step_line(), "not at the last checkpoint")
    expect(button).to_have_count(1)
    explorer.view("Checkpoint").get_by_role("button", name="first checkpoint").click()
    explorer.opened.until(lambda: "1 of 6" in explorer.step_line(), "not back at the first")


def test_the_dark_theme_can_be_looked_at(explorer, opened):
    opened.wear("dark")
    for tab in ("Filters", "Outputs", "Activations"):
        explorer.open_tab(tab)
        explorer.root.locator(".cvw-tabs .bqplot:visible .tick").last.wait_for()
        opened.screenshot(f"lab-dark-{tab.lower()}", height=1500)
    opened.wear("light")


def test_the_slider_is_heard_while_a_cell_runs(explorer, opened):
    assert opened.ask("state.checkpoint") == 0
    before = explorer.pixels("mosaic")
    opened.start_cell(2)
    explorer.later()
    opened.changed(explorer.image("mosaic"), before)
    opened.wait_idle()
    assert opened.ask("heard") == 1
