"""Strokes on the sketch pad in JupyterLab, by mouse and by finger, and who follows them."""

import io
import math

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from .pages import KERNEL

CELLS = [
    """
import time
import torch
import convviz_widgets as cvw
from convviz_widgets import demo

torch.set_num_threads(1)
run = demo.load_digit_classifier()
state = cvw.ModelState(run.model, run.images, checkpoints=run.checkpoints, layer="relu2", image=3)
""",
    """
pad = cvw.Sketchpad(state, size=1)
answer, maps = cvw.Predictions(state), cvw.ActivationMosaic(state)
maps.layout.order = answer.layout.order = "1"
from ipywidgets import VBox
VBox([pad, maps, answer])
""",
    """
end = time.time() + 180
while state.image != 5 and time.time() < end:
    time.sleep(0.01)
""",
]

ZERO = [(4, 0.5), (2.5, 2), (2.2, 4), (2.5, 6), (4, 7.4), (5.5, 6), (5.8, 4), (5.5, 2), (4, 0.5)]
"""A nought on a grid of 8 × 8."""

PIXEL = 37
"""Screen pixels of one of the picture."""


@pytest.fixture(scope="module")
def opened(frontends):
    page = frontends.lab(CELLS, "dark", run=False)
    page.run_cell(0)
    page.run_cell(1)
    return page


@pytest.fixture(scope="module")
def pad(opened):
    return opened.page.locator(".cvw-view:has(.cvw-pad)")


def corner(pad):
    pad.locator("canvas").scroll_into_view_if_needed()
    box = pad.locator("canvas").bounding_box()
    return box["x"], box["y"]


def draw(opened, pad, points, steps=12):
    """Draw with the mouse through these places of the picture."""
    left, top = corner(pad)
    mouse = opened.page.mouse
    places = [(left + x * PIXEL, top + y * PIXEL) for x, y in points]
    mouse.move(*places[0])
    mouse.down()
    for place in places[1:]:
        mouse.move(*place, steps=steps)
    mouse.up()


def seen(opened, pad):
    """What the page shows, one number a pixel of the picture."""
    return opened.pixels(pad.locator(".cvw-pad img"))[..., 0].astype(float)


def test_a_stroke_of_the_mouse_is_what_the_model_sees_and_every_view_follows(opened, pad):
    page = opened.page
    answer = page.locator(".cvw-view:has-text('Predicted classes')")
    mosaic = page.locator(".cvw-view:has-text('Activation maps') canvas.cvw-picture").first
    before = opened.pixels(mosaic)
    pad.get_by_role("button", name="Clear").click()
    opened.changed(mosaic, before)
    passes, frames = opened.ask("(state.forward_count, pad.frames)")
    draw(opened, pad, ZERO)
    expect(answer.locator("tr").first).to_contain_text("a 0")
    expect(answer.get_by_text("painted over", exact=False)).to_be_visible()
    assert opened.ask("pad.wait(20)")
    now_passes, now_frames = opened.ask("(state.forward_count, pad.frames)")
    assert 1 <= now_passes - passes <= now_frames - frames
    assert not np.array_equal(opened.pixels(mosaic), before)
    model_input = np.array(opened.ask("state.input()[0].mul(255).round().tolist()"))
    opened.until(lambda: np.array_equal(seen(opened, pad), model_input), "the page lags behind")
    assert 8 < (model_input == 255).sum() < 40
    opened.screenshot("sketchpad-dark", height=1150)
    assert opened.too_wide() == []


def test_a_finger_draws_and_does_not_scroll_the_page(opened, pad):
    pad.get_by_role("button", name="Clear").click()
    opened.until(lambda: not seen(opened, pad).any(), "the sheet was not cleared")
    left, top = corner(pad)
    session = opened.page.context.new_cdp_session(opened.page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True})

    def touch(kind, *points):
        places = [{"x": left + x * PIXEL, "y": top + y * PIXEL} for x, y in points]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    touch("touchStart", (3.5, 0.5))
    for step in range(1, 15):
        touch("touchMove", (3.5, 0.5 + step / 2))
    touch("touchEnd")
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
    expected = np.zeros((8, 8))
    expected[:, 3] = 255
    opened.until(lambda: np.array_equal(seen(opened, pad), expected), "no line was drawn")
    assert corner(pad) == (left, top)


def test_strokes_are_painted_while_a_cell_runs(opened, pad):
    pad.get_by_role("button", name="Back to the image").click()
    image = np.array(opened.ask("run.images.display(3)[..., 0].tolist()"))
    opened.until(lambda: np.array_equal(seen(opened, pad), image), "the image is not back")
    opened.page.evaluate(
        """() => { jupyterapp.shell.currentWidget.content.activeCellIndex = 2
        window.cvwBusy = true
        jupyterapp.commands.execute('notebook:run-cell').then(() => { window.cvwBusy = false }) }"""
    )
    opened.page.wait_for_function(f"{KERNEL}?.status === 'busy'")
    circle = [(4 + 3 * math.cos(i / 8), 4 + 3 * math.sin(i / 8)) for i in range(50)]
    draw(opened, pad, circle, steps=1)
    opened.until(lambda: (seen(opened, pad) == 255).sum() > 15, "the stroke is not seen")
    assert opened.page.evaluate("window.cvwBusy"), "the cell ended before the stroke was seen"
    number = pad.get_by_role("spinbutton", name="Image")
    number.fill("5")
    number.press("Enter")
    opened.page.wait_for_function("!window.cvwBusy")
    opened.wait_idle()
    assert opened.ask("(state.image, state.drawing, time.time() < end)") == [5, None, True]


@pytest.mark.parametrize(
    ("key", "role", "name"), [("Tab", "button", "Clear"), ("Escape", "checkbox", "soft")]
)
def test_keys_leave_the_sheet_for_the_control_beside_it(pad, key, role, name):
    canvas = pad.locator("canvas")
    canvas.focus()
    expect(canvas).to_be_focused()
    canvas.press(key)
    expect(pad.get_by_role(role, name=name, exact=True)).to_be_focused()


def test_a_picture_is_uploaded_without_a_pointer(opened, pad):
    before = opened.pixels(pad.locator(".cvw-pad img"))
    out = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(out, "PNG")
    file = {"name": "ramp.png", "mimeType": "image/png", "buffer": out.getvalue()}
    with opened.page.expect_file_chooser() as chooser:
        pad.get_by_role("button", name="Upload").press("Enter")
    chooser.value.set_files([file])
    opened.changed(pad.locator(".cvw-pad img"), before)
    expect(pad.get_by_text("replaced by ramp.png", exact=False)).to_be_visible()
    np.testing.assert_array_equal(seen(opened, pad), np.arange(64.0).reshape(8, 8))
