"""The raster on the page: sharp on every screen, scrolled, led by keys, touched."""

import numpy as np
import pytest
from playwright.sync_api import expect

from .raster_page import RasterPage, Screen, is_whole_and_sharp

CELLS = [
    """
import torch
from torch import nn
import convviz_widgets as cvw

torch.set_num_threads(1)
torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(3, 13, 5, padding=2), nn.ReLU(), nn.MaxPool2d(4), nn.Conv2d(13, 1024, 1), nn.ReLU()
)
images = torch.rand(4, 3, 24, 24)
states = [cvw.ModelState(model, images, layer=layer) for layer in ("1", "4")]
small, large = [cvw.ActivationMosaic(state) for state in states]
small
""",
    "large",
    "\n" * 60,  # so that there is something to scroll to
]

RATIOS = {
    ("small", "light"): [0.8, 1, 1.25, 1.5, 2],
    ("small", "dark"): [1.5],
    ("large", "light"): [0.8, 1.25],
}
"""Pixels of the screen for one of CSS: of 1, 1.5 and 2 at a zoom from 80 to 200 %."""

ACCENT = (0xD9, 0x48, 0x0F)


@pytest.fixture(scope="module")
def opened(lab):
    return lab(CELLS)


@pytest.fixture(scope="module")
def small(opened):
    raster = RasterPage(opened, 0)
    raster.tile(12).wait_for(state="attached")
    return raster


@pytest.fixture(scope="module")
def large(opened):
    raster = RasterPage(opened, 1)
    raster.tile(1023).wait_for(state="attached")
    return raster


@pytest.fixture
def screen(opened):
    screen = Screen(opened.page)
    yield screen
    screen.close()


@pytest.fixture
def outlines_hidden(opened):
    style = opened.page.add_style_tag(
        content=".cvw-outlines { visibility: hidden } .cvw-scroll { border-radius: 0 }"
    )
    yield
    style.evaluate("style => style.remove()")


@pytest.fixture
def back_at_the_top(opened, small, large):
    """Leave the page as it was: unscrolled, with the first tile selected."""
    yield
    opened.ask("[state.select(channel=0).channel for state in states]")
    for raster in (small, large):
        raster.scroll(0)
    small.bring_into_view()


def channel(opened, which=0):
    return opened.ask(f"states[{which}].channel")


# -- what stands below ------------------------------------------------------------------------


def box_of(locator):
    box = locator.bounding_box()
    return box["y"], box["height"]


def test_the_colour_bar_stands_close_below_a_small_picture_and_moves_nothing(opened, small):
    bar, line = small.root.locator(".cvw-bar"), small.root.locator("xpath=following-sibling::*[1]")
    below = box_of(line)[0]
    room = small.root.locator(".cvw-room")
    try:
        opened.ask("states[0].select(layer='2').channel")
        opened.until(
            lambda: "6×6" in room.get_attribute("aria-label"), "the other layer is not seen"
        )
        top, height = box_of(small.canvas)
        assert 0 <= box_of(bar)[0] - (top + height) < 4
        assert box_of(line)[0] == below
    finally:
        opened.ask("states[0].select(layer='1').channel")
    opened.until(
        lambda: "24×24" in room.get_attribute("aria-label"), "the layer does not come back"
    )


def test_a_bar_without_limits_of_its_own_keeps_its_colours(opened, small):
    bar = small.root.locator(".cvw-bar")
    opened.ask("setattr(small, 'per_channel', True)")
    expect(bar).to_have_text("each tile on its own scale")
    expect(bar.locator(".cvw-strip")).to_be_visible()
    opened.ask("setattr(small, 'per_channel', False)")
    expect(bar).not_to_have_text("each tile on its own scale")


# -- sharp ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("outlines_hidden")
@pytest.mark.parametrize(("which", "theme"), RATIOS)
def test_every_pixel_is_seen_and_none_is_blurred_on_any_screen(
    opened, small, large, screen, which, theme
):
    raster = {"small": small, "large": large}[which]
    opened.wear(theme)
    picture = raster.picture()
    for ratio in RATIOS[which, theme]:
        screen.change(ratio)
        raster.bring_into_view()
        assert is_whole_and_sharp(raster.on(screen), picture, max(1, ratio)), ratio


@pytest.mark.parametrize("ratio", [0.8, 1.5])
def test_the_outline_lies_around_its_tile_on_any_screen(opened, small, screen, ratio):
    screen.change(ratio)
    small.bring_into_view()
    x, y = small.middle_of(0)
    box = small.outline.bounding_box()
    assert (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) == pytest.approx(
        (x, y), abs=1
    )
    assert (small.on(screen) == ACCENT).all(axis=-1).sum() > 4 * 90 * ratio


# -- the wheel --------------------------------------------------------------------------------


@pytest.mark.usefixtures("back_at_the_top")
def test_the_wheel_scrolls_the_page_over_a_picture_that_does_not_scroll(small):
    small.scroll_page_to(0)
    before = small.page_scrolled()
    small.turn_wheel(150)
    assert small.page_scrolled() > before
    assert small.scrolled() == 0


@pytest.mark.usefixtures("back_at_the_top")
def test_the_wheel_scrolls_a_large_mosaic_and_the_page_at_its_ends(large):
    large.bring_into_view()
    before = large.page_scrolled()
    large.turn_wheel(200)
    assert (large.scrolled(), large.page_scrolled()) == (200, before)
    large.scroll(100_000)
    large.turn_wheel(200)
    assert large.page_scrolled() > before
    large.scroll(0)
    large.turn_wheel(-150)
    assert large.page_scrolled() == pytest.approx(before, abs=60)


# -- keys -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("back_at_the_top")
def test_keys_lead_from_tile_to_tile(opened, small):
    small.room.focus()
    for key, tile in [
        ("ArrowRight", 1),
        ("ArrowDown", 6),
        ("ArrowLeft", 5),
        ("ArrowUp", 0),
        ("ArrowUp", 0),
        ("ArrowLeft", 0),
        ("End", 12),
        ("ArrowRight", 12),
        ("ArrowDown", 12),
        ("Home", 0),
        ("PageDown", 10),
        ("PageUp", 0),
    ]:
        small.page.keyboard.press(key)
        assert small.active() == tile, key  # in the page, at once
        assert small.is_in_view()
    small.page.keyboard.press("ArrowRight")
    opened.until(lambda: channel(opened) == 1, "the kernel has not heard of it")
    expect(small.room.locator("[aria-selected=true]")).to_have_count(1)


@pytest.mark.usefixtures("back_at_the_top")
def test_the_selected_tile_of_a_large_mosaic_is_always_in_view(opened, large):
    large.room.focus()
    columns = large.columns()
    for key, tile in [
        ("End", 1023),
        ("Home", 0),
        *[("ArrowDown", place * columns) for place in range(1, 15)],
        ("ArrowLeft", 14 * columns - 1),
    ]:
        large.page.keyboard.press(key)
        assert large.active() == tile, key
        assert large.is_in_view(), key
    large.page.keyboard.press("PageDown")
    assert large.active() > 14 * columns
    assert large.active() % columns == columns - 1
    assert large.is_in_view()
    opened.until(lambda: channel(opened, 1) == large.active(), "the kernel has not heard of it")
    opened.ask("states[1].select(channel=777).channel")
    opened.until(lambda: large.active() == 777 and large.is_in_view(), "not led to by the kernel")


@pytest.mark.usefixtures("back_at_the_top")
def test_enter_selects_the_tile_under_the_pointer(opened, small):
    small.room.focus()
    small.page.mouse.move(*small.middle_of(7))
    small.page.keyboard.press("Enter")
    assert small.active() == 7
    opened.until(lambda: channel(opened) == 7, "the kernel has not heard of it")


def test_there_is_one_tab_stop_which_tab_and_escape_leave(small):
    assert small.root.locator("[tabindex], a, button, input, select").count() == 1
    before = small.root.locator("xpath=preceding::input[1]")
    before.focus()
    small.page.keyboard.press("Tab")
    expect(small.room).to_be_focused()
    small.page.keyboard.press("Tab")
    expect(small.room).not_to_be_focused()
    small.page.keyboard.press("Shift+Tab")
    expect(small.room).to_be_focused()
    small.page.keyboard.press("Shift+Tab")
    expect(before).to_be_focused()
    small.room.focus()
    small.page.keyboard.press("Escape")
    expect(small.room).not_to_be_focused()


def test_the_focus_is_seen(small, screen):
    small.root.locator("xpath=preceding::input[1]").focus()
    without = (small.on(screen) == ACCENT).all(axis=-1).sum()
    small.page.keyboard.press("Tab")
    height, width = small.picture().shape[:2]
    with_focus = (small.on(screen) == ACCENT).all(axis=-1).sum()
    assert with_focus - without > 2 * (height + width)  # around all of it, 2 px wide
    small.page.keyboard.press("Escape")


# -- what is read ------------------------------------------------------------------------------


def test_tiles_and_the_picture_have_names(opened, small):
    expect(small.room).to_have_role("grid")
    values = opened.ask("small.painted.tiles.values.reshape(13, -1).tolist()")
    for tile in (0, 4, 12):
        name = small.tile(tile).get_attribute("aria-label")
        low, high = min(values[tile]), max(values[tile])
        zeros = np.mean(np.array(values[tile]) == 0)
        assert name == f"channel {tile}: {low:.3g} to {high:.3g}, {zeros:.0%} zero"
    said = small.room.get_attribute("aria-label")
    for words in ("1 · 13 channels of 24×24", "step 0", "zeros ", " to "):
        assert words in said
    rows = small.room.get_by_role("row")
    assert rows.count() == 3
    assert rows.first.get_by_role("gridcell").count() == 5


def test_the_page_says_what_is_under_the_pointer(opened, small):
    view = opened.page.locator(".cvw-view").first
    for tile in (3, 8):
        small.page.mouse.move(*small.middle_of(tile))
        expect(view.get_by_text(small.tile(tile).get_attribute("aria-label"))).to_be_visible()


# -- touch ------------------------------------------------------------------------------------


@pytest.fixture
def fingers(opened):
    session = opened.page.context.new_cdp_session(opened.page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})

    def touch(*places):
        """Put fingers down, move them, and lift them: each move has a place for each finger."""
        for place, points in enumerate(places):
            kind = "touchMove" if place else "touchStart"
            at = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(points)]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    yield touch
    session.send("Emulation.setPageScaleFactor", {"pageScaleFactor": 1})
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
    session.detach()


@pytest.mark.usefixtures("back_at_the_top")
def test_a_tap_selects_a_tile(opened, small, fingers):
    fingers([small.middle_of(6)])
    opened.until(lambda: small.active() == 6, "the tap selected nothing")
    opened.until(lambda: channel(opened) == 6, "the kernel has not heard of it")


@pytest.mark.usefixtures("back_at_the_top")
def test_a_pinch_and_a_swipe_select_nothing(opened, small, large, fingers):
    x, y = small.middle_of(6)
    fingers(*[[(x - by, y), (x + by, y)] for by in (20, 30, 50, 80)])
    fingers(*[[(x, y - by)] for by in (0, 20, 60, 120)])
    opened.page.wait_for_timeout(300)  # so long a tap would take to select something
    assert (small.active(), channel(opened)) == (0, 0)
    assert opened.page.evaluate("visualViewport.scale") > 1  # two fingers zoom the page
    large.bring_into_view()
    x, y = large.middle_of(24)
    fingers(*[[(x, y - by)] for by in (0, 20, 60, 120)])
    opened.until(lambda: large.scrolled() > 50, "a finger does not scroll the mosaic")
    assert (large.active(), channel(opened, 1)) == (0, 0)


# -- as a user has set the system ----------------------------------------------------------------


@pytest.mark.usefixtures("outlines_hidden")
def test_forced_colours_leave_the_picture_and_show_what_is_selected(opened, small, screen):
    opened.page.emulate_media(forced_colors="active")
    try:
        small.bring_into_view()
        assert is_whole_and_sharp(small.on(screen), small.picture(), 1)
        border = "e => [getComputedStyle(e).borderWidth, getComputedStyle(e).borderStyle]"
        assert small.outline.evaluate(border) == ["2px", "solid"]
    finally:
        opened.page.emulate_media(forced_colors="none")
