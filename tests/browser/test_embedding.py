"""EmbeddingScatter as a user meets it in JupyterLab: pointed at, drawn around, scrubbed."""

from math import cos, pi, sin

import pytest
from playwright.sync_api import expect

from .cells import MODEL

VIEW = """
view = cvw.EmbeddingScatter(state)
view
"""

SIDE = 396


@pytest.fixture(scope="module")
def opened(frontends):
    page = frontends.lab([MODEL, VIEW], "dark")
    page.page.set_viewport_size({"width": 1280, "height": 1000})
    return page


@pytest.fixture(scope="module")
def view(opened):
    found = opened.page.locator(".cvw-view:has-text('Embedding')")
    expect(found.get_by_text("6 of 6 measured")).to_be_visible()
    return found


@pytest.fixture(scope="module")
def corner(view):
    canvas = view.locator("canvas[tabindex]").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert (box["width"], box["height"]) == (SIDE, SIDE)
    return box["x"], box["y"]


def points(opened):
    """Return where the images are, in pixels of the plot."""
    return [tuple(map(float, each)) for each in opened.ask("view.plot.places.tolist()")]


def test_every_image_has_a_point_where_the_kernel_says(opened, view):
    drawn = opened.pixels(view.locator(".cvw-frame img").first)
    assert drawn.shape[:2] == (SIDE, SIDE)
    for x, y in points(opened):
        assert drawn[int(y), int(x), 3] > 200


def test_pointing_shows_an_image_and_a_click_selects_it(opened, view, corner):
    x, y = points(opened)[7]
    opened.page.mouse.move(corner[0] + x, corner[1] + y)
    expect(view.get_by_text("under the pointer")).to_be_visible()
    opened.page.mouse.click(corner[0] + x, corner[1] + y)
    opened.until(lambda: opened.ask("state.image") != 0, "no image is selected")


def test_a_line_around_points_lists_their_images(opened, view, corner):
    mouse = opened.page.mouse
    ring = [(SIDE / 2 * (1 + 0.96 * cos(a)), SIDE / 2 * (1 + 0.96 * sin(a))) for a in circle()]
    mouse.move(corner[0] + ring[0][0], corner[1] + ring[0][1])
    mouse.down()
    for x, y in ring:
        mouse.move(corner[0] + x, corner[1] + y)
    mouse.up()
    expect(view.get_by_text("20 chosen: coffee 7, rocket 7, cat 6")).to_be_visible()
    opened.screenshot("embedding-dark")
    assert opened.too_wide() == []


def test_a_group_can_be_chosen_and_cleared_without_a_pointer(view):
    view.get_by_role("combobox", name="Choose").select_option("rocket")
    expect(view.get_by_text("7 chosen: rocket 7")).to_be_visible()
    view.get_by_role("button", name="Clear").click()
    expect(view.get_by_text("No images are listed")).to_be_visible()


def circle(corners=40):
    return [2 * pi * corner / corners for corner in range(corners + 1)]
