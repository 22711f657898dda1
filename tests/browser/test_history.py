"""The views over training, as a user meets them in JupyterLab."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from .cells import EXPLORER, MODEL

SLOW = """
import time

class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = model

    def forward(self, x):
        time.sleep(0.3)
        return self.inner(x)

slow = cvw.ModelState(Slow(), images, checkpoints=cvw.CheckpointSeries.from_state_dicts(
    [(step, {f"inner.{name}": value for name, value in model.state_dict().items()})
     for step in range(60)]
))
view = cvw.SparsityHistory(slow)
view
"""

BUSY = """
def busy_while(condition):
    ended = time.time() + 180
    while condition() and time.time() < ended:
        sum(range(1000))

def measured():
    return slow.history.progress("activations").done

busy_while(lambda: not view.stopped)
slow.history.wait()  # what was under way still comes in
at_rest = measured()
print(f"at rest: {at_rest} of 60 measured")
busy_while(lambda: view.stopped)
print("ended")
"""
"""A cell that runs until the measuring has been cancelled and goes on."""

ALONE = ".jp-OutputArea-output:not(:has([role=tablist])) .cvw-view"
"""The view that is shown by itself, beside an Explorer with one of the same name."""

AT_REST = ".jp-OutputArea-output:has-text('at rest')"

ENDED = ".jp-OutputArea-output:has-text('ended')"


@pytest.fixture(scope="module")
def opened(frontends):
    opened = frontends.lab([MODEL, EXPLORER, SLOW, BUSY], "dark", run=False)
    opened.run_cell(0)
    opened.run_cell(1)
    return opened


def quiet(view, text):
    return view.locator(f".cvw-quiet:has-text('{text}')")


@pytest.fixture(scope="module")
def history(opened):
    opened.page.get_by_role("tab", name="History", exact=True).click()
    view = opened.page.locator(".cvw-view:has-text('Distribution over training')")
    quiet(view, "6 of 6 measured").wait_for()
    return view


def test_a_click_on_the_heat_map_moves_the_clock(opened, history):
    plot = history.locator(".cvw-room").first
    plot.click(position={"x": 60, "y": 120})
    expect(opened.page.get_by_text("step 0 · 1 of 6")).to_be_visible()
    plot.click(position={"x": 365, "y": 120})
    expect(opened.page.get_by_text("step 500 · 6 of 6")).to_be_visible()


SENT = """__import__('base64').b64encode(
    next(explorer.pages['History'].views()).plots.heat_map).decode()"""


def test_the_page_shows_the_pixels_that_the_kernel_sent(opened, history):
    """Not scaled: the page would mix or drop some of them."""
    encoded = opened.ask(" ".join(SENT.split()))
    sent = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA"))
    history.locator(".cvw-room").first.scroll_into_view_if_needed()
    box = history.locator("svg image").first.bounding_box()
    shown = Image.open(io.BytesIO(opened.page.screenshot(clip=box))).convert("RGB")
    coloured = sent[..., 3] > 0
    coloured[:, -70:] = False  # under the cursor, which frames the last of six columns
    assert coloured.sum() > 1000
    np.testing.assert_array_equal(np.asarray(shown)[coloured], sent[coloured][:, :3])


@pytest.mark.parametrize(
    ("chapter", "title"),
    [("Sparsity", "Sparsity over training"), ("Gradients", "Gradient flow")],
)
def test_every_chapter_can_be_looked_at(opened, history, chapter, title):
    opened.page.get_by_role("button", name=chapter, exact=True).click()
    view = opened.page.locator(f".cvw-view:has-text('{title}'):visible")
    quiet(view, "6 of 6 measured").wait_for()
    expect(view.locator("svg.svg-figure").first).to_be_visible()
    opened.screenshot(f"history-{chapter.lower()}-dark", height=1200)
    assert opened.too_wide() == []


def test_the_ticks_name_the_steps(opened, history):
    opened.page.get_by_role("button", name="Distributions", exact=True).click()
    ticks = history.locator(".tick text")
    opened.until(lambda: "400" in ticks.all_text_contents(), "no tick names step 400")


def test_cancel_arrives_while_a_cell_runs(opened):
    opened.run_cell(2)
    opened.start_cell(3)
    view = opened.page.locator(ALONE)
    quiet(view, "measuring:").wait_for()
    view.get_by_role("button", name="Cancel").click()
    quiet(view, "cancelled:").wait_for()
    at_rest = opened.page.locator(AT_REST)
    at_rest.wait_for()
    assert opened.page.locator(ENDED).count() == 0
    assert "60 of 60" not in at_rest.inner_text()
    view.get_by_role("button", name="Continue").click()
    quiet(view, "measuring:").wait_for()
