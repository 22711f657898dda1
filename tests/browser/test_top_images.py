"""The top images, as a user meets them in JupyterLab: swept on request, clicked, looked at."""

import pytest
from playwright.sync_api import expect

from .cells import MODEL

VIEW = """
top = cvw.TopImages(state)
top
"""

NINTH = {"x": 240, "y": 260}
"""A pixel of the last patch."""


@pytest.fixture(scope="module")
def opened(frontends):
    return frontends.lab([MODEL, VIEW], "dark")


@pytest.fixture(scope="module")
def view(opened):
    return opened.page.locator(".cvw-view:has-text('Top images')")


def test_a_button_sweeps_and_the_patches_appear(opened, view):
    expect(view.get_by_text("step 0: not swept yet")).to_be_visible()
    view.get_by_role("button", name="Sweep this step").click()
    expect(view.get_by_text("20 of 20 images swept")).to_be_visible()
    expect(view.get_by_text("relu1, channel 0: top 9 of n = 20 images")).to_be_visible()
    opened.screenshot("top-images-dark")
    assert opened.too_wide() == []


def test_a_click_on_a_patch_selects_its_image(opened, view):
    view.locator(".cvw-room").click(position=NINTH)
    expect(view.get_by_role("combobox").last).to_have_value("9: image " + _ninth(opened))


def _ninth(opened):
    return opened.ask("str(top.painted.patches[8].image)").strip("'")


def test_a_dead_channel_is_called_dead(opened, view):
    opened.ask("str(state.select(channel=5))")
    expect(view.get_by_text("dead at step 0: zero everywhere on all 20 images")).to_be_visible()
