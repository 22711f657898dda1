"""Frames in the page: what is seen belongs together, and to what is selected, in a slow kernel."""

import numpy as np
import pytest
from playwright.sync_api import expect

from .cells import MODEL
from .explorer_page import ExplorerPage

SLOW = """
import time

pause = 0.0

class Slowed(nn.Module):
    def forward(self, x):
        time.sleep(pause)
        return x

model.add_module("slowed", Slowed())
"""

STATE = MODEL.replace("def checkpoint", f"{SLOW}\ndef checkpoint").replace("600, 100", "1200, 100")

EXPLORER = """
explorer = cvw.Explorer(state)
mosaic = next(view for view in explorer.views() if isinstance(view, cvw.ActivationMosaic))
explorer
"""

HELD = "len(mosaic.raster._held)"

WATCH = """async ([keys, milliseconds]) => {
    const text = selector => document.querySelector(selector)?.textContent ?? ''
    const view = title => [...document.querySelectorAll('.cvw-view')].find(
        each => each.querySelector('.cvw-title')?.textContent === title)
    const seen = []
    let over = false
    const watching = (async () => {
        while (!over) {
            await new Promise(requestAnimationFrame)
            const said = title => view(title).querySelector('.cvw-quiet.cvw-wrap').textContent
            seen.push([text('.cvw-step'), said('Activation maps'), said('Selected channel'),
                said('Activation values'), document.querySelector('select[size]').value])
        }
    })()
    const slider = document.querySelector('.cvw-slider')
    for (const key of keys) {
        slider.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }))
        await new Promise(done => setTimeout(done, milliseconds))
    }
    over = true
    await watching
    return seen
}"""

COUNT_SENT = """() => {
    const send = WebSocket.prototype.send
    window.cvwSent = 0
    WebSocket.prototype.send = function (data) {
        window.cvwSent += 1
        return send.call(this, data)
    }
}"""


@pytest.fixture(scope="module")
def opened(lab):
    return lab([STATE, EXPLORER])


@pytest.fixture(scope="module")
def explorer(opened):
    return ExplorerPage(opened)


def all_made(opened):
    opened.until(lambda: opened.ask(HELD) == 12, "the frames were not made")


IS_HEARD = """() => [...globalThis['convviz_widgets.page.1'].states.values()].every(
    state => !state.claims.size)"""


def all_heard(opened):
    """Wait until the kernel has answered to all that was done on the page."""
    opened.until(lambda: opened.page.evaluate(IS_HEARD), "the kernel has not answered")


def step_of(line):
    """Return "step 300" of a label or a caption."""
    return next((part.strip() for part in line.split("·") if part.strip().startswith("step ")), "")


def test_picture_caption_and_label_change_together_without_the_kernel(explorer, opened):
    all_made(opened)
    opened.ask("globals().update(pause=0.5)")
    seen = opened.page.evaluate(WATCH, [["ArrowRight"] * 8, 40])
    steps = [tuple(step_of(line) for line in frame[:4]) for frame in seen]
    assert [each for each in steps if len(set(each)) > 1] == []
    assert len(set(steps)) >= 8  # eight steps in 320 ms, of a kernel that takes 500 for one
    opened.ask("globals().update(pause=0.0)")
    opened.until(lambda: opened.ask("state.checkpoint") == 8, "the kernel has not heard")


def test_what_is_seen_is_what_the_kernel_would_have_sent(explorer, opened):
    all_made(opened)
    explorer.slider.press("Home")
    for place in range(1, 4):
        explorer.later()
        opened.until(lambda at=place: opened.ask("state.checkpoint") == at, "not heard")
        sent = np.array(opened.ask("mosaic.raster.pixels.tolist()"))
        np.testing.assert_array_equal(explorer.pixels("mosaic"), sent)


def test_a_page_asks_for_a_frame_that_the_kernel_believed_it_had(explorer, opened):
    all_made(opened)
    place = opened.ask("state.checkpoint")
    opened.ask("mosaic.raster.send({'drop': sorted(mosaic.raster._held)})")
    for _ in range(2):  # of the one that is seen it may keep the frame
        explorer.later()
    opened.until(lambda: opened.ask("state.checkpoint") == place + 2, "not heard")
    wanted = np.array(opened.ask("mosaic.raster.pixels.tolist()"))
    opened.until(lambda: np.array_equal(explorer.pixels("mosaic"), wanted), "not asked for")


def test_no_frame_of_another_layer_is_seen_once_a_layer_is_chosen(explorer, opened):
    all_made(opened)
    opened.ask("globals().update(pause=1.0)")
    before = step_of(explorer.step_line())
    explorer.layers.select_option(label="conv2  Conv2d  16×12×12")
    seen = opened.page.evaluate(WATCH, [["ArrowRight"] * 5, 100])
    mosaics = [frame[1] for frame in seen]
    assert all("conv2" in said or step_of(said) == before for said in mosaics)
    opened.ask("globals().update(pause=0.0)")
    opened.until(lambda: "conv2" in opened.ask("mosaic.caption"), "late")
    all_heard(opened)


def test_nothing_moves_to_a_checkpoint_that_has_yet_to_be_drawn_before_all_does(explorer, opened):
    all_heard(opened)
    opened.ask("globals().update(pause=0.4)")
    opened.ask("state.select(layer='conv1', checkpoint=9) and None")
    seen = opened.page.evaluate(WATCH, [["ArrowRight", "ArrowLeft", "ArrowRight"], 300])
    steps = [tuple(step_of(line) for line in frame[:4]) for frame in seen]
    assert [frame for frame, each in zip(seen, steps, strict=True) if len(set(each)) > 1] == []
    opened.ask("globals().update(pause=0.0)")
    opened.until(lambda: opened.ask("state.checkpoint") == 10, "the kernel has not heard")
    opened.until(lambda: step_of(explorer.step_line()) == "step 1,000", "late")


def test_another_colour_map_is_seen_at_once(explorer, opened):
    all_made(opened)
    before = explorer.pixels("mosaic")
    opened.ask("globals().update(pause=1.0)")
    explorer.view("Activation maps").get_by_label("Colours").select_option("purple-green")
    opened.changed(explorer.image("mosaic"), before)
    opened.ask("globals().update(pause=0.0)")
    caption = explorer.view("Activation maps").locator(".cvw-quiet.cvw-wrap")
    assert "purple-green" in caption.inner_text()


def test_hovering_asks_the_kernel_nothing(explorer, opened):
    opened.page.evaluate(COUNT_SENT)
    room = explorer.canvas("mosaic")
    box = room.bounding_box()
    names = set()
    for number in range(40):
        x, y = 10 + (number * 37) % (box["width"] - 20), 10 + (number * 53) % (box["height"] - 20)
        room.hover(position={"x": x, "y": y})
        names.add(explorer.view("Activation maps").locator(".cvw-quiet").first.inner_text())
    assert len(names) > 8
    assert opened.page.evaluate("window.cvwSent") == 0
    room.click(position={"x": 10, "y": 10})
    assert opened.page.evaluate("window.cvwSent") > 0  # what is sent is counted


def test_a_button_that_leads_no_farther_gives_the_focus_to_the_slider(explorer):
    explorer.slider.press("End")
    first = explorer.view("Checkpoint").get_by_role("button", name="first checkpoint")
    first.press("Enter")
    expect(first).to_be_disabled()
    expect(explorer.slider).to_be_focused()
