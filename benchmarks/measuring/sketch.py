"""From the pointer to the prediction: what a stroke on the sketch pad takes, in JupyterLab."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Locator

from measuring.report import Goal
from tests.browser.chromium import chromium
from tests.browser.frontends import Frontends
from tests.browser.pages import NotebookPage
from tests.browser.server import Server

CELL = """
import torch
import convviz_widgets as cvw
from convviz_widgets import demo
from ipywidgets import VBox

torch.set_num_threads(1)
run = demo.load_digit_classifier()
state = cvw.ModelState(run.model, run.images, checkpoints=run.checkpoints, layer="relu2")
pad = cvw.Sketchpad(state, size=2, soft=True)
VBox([pad, cvw.Predictions(state), cvw.ActivationMosaic(state)])
"""

EVENTS = 500
"""Of the pointer in the long stroke."""

WARM_UP = 2

# A page shows what has changed in the frame after the change.
CLOCK = """() => {
    const table = document.querySelector('.cvw-view table').closest('.widget-html')
    const watch = window.cvwStroke = { pressed: 0, moved: 0, answered: 0, first: 0 }
    document.addEventListener('mousedown', () => {
        Object.assign(watch, { pressed: performance.now(), first: 0 })
    }, { capture: true })
    document.addEventListener('mousemove', () => { watch.moved = performance.now() },
        { capture: true })
    new MutationObserver(() => requestAnimationFrame(() => {
        watch.answered = performance.now()
        watch.first ||= watch.answered
    })).observe(table, { childList: true, subtree: true, characterData: true })
}"""

Samples = dict[str, list[float]]

TITLE = "a stroke on the sketch pad, pointer to prediction in JupyterLab"


def strokes(rounds: int) -> tuple[dict[str, Samples], list[Goal]]:
    """Time the first answer to a press, and the last one to a stroke of many events."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        server = Server(Path(folder))
        try:
            server.wait()
            page = Frontends(browser, server).lab([CELL])
            return _measured(page, rounds)
        finally:
            server.stop()


def _measured(page: NotebookPage, rounds: int) -> tuple[dict[str, Samples], list[Goal]]:
    page.ask("state.output_history.wait(60)")  # the ribbons take passes of their own
    page.page.evaluate(CLOCK)
    canvas = page.page.locator(".cvw-pad canvas")
    taken: Samples = {"press to first answer": [], f"event {EVENTS} to last answer": []}
    most = 0.0
    for number in range(WARM_UP + rounds):
        page.page.get_by_role("button", name="Clear").click()
        page.until(lambda: page.ask("bool(state.input().eq(0).all())"), "the sheet is not clear")
        before = page.ask("(state.forward_count, pad.frames)")
        first, last = _stroke(page, canvas, number)
        passes, frames = (
            now - then
            for now, then in zip(page.ask("(state.forward_count, pad.frames)"), before, strict=True)
        )
        most = max(most, passes / frames)
        if number >= WARM_UP:
            taken["press to first answer"].append(first)
            taken[f"event {EVENTS} to last answer"].append(last)
    goals = [
        Goal("stroke: forward passes a frame, at most", most, 1),
        Goal(
            "stroke: press to first answer, the slowest",
            max(taken["press to first answer"]),
            200,
            " ms",
        ),
        Goal(
            f"stroke: from the last of {EVENTS} pointer events to the last answer, the slowest",
            max(taken[f"event {EVENTS} to last answer"]),
            200,
            " ms",
        ),
    ]
    return {TITLE: taken}, goals


def _stroke(page: NotebookPage, canvas: Locator, number: int) -> tuple[float, float]:
    """Draw zigzags over all of the sheet; return both times in milliseconds."""
    box = canvas.bounding_box()
    assert box is not None
    mouse, rows = page.page.mouse, 10
    left, right = box["x"] + 20, box["x"] + box["width"] - 20
    mouse.move(left, box["y"] + 20 + number)
    mouse.down()
    for row in range(rows):
        x = right if row % 2 == 0 else left
        mouse.move(x, box["y"] + 20 + number + row * 25, steps=EVENTS // rows)
    page.page.wait_for_timeout(1500)
    mouse.up()
    assert page.ask("pad.wait(10)")
    seen = page.page.evaluate("window.cvwStroke")
    return seen["first"] - seen["pressed"], seen["answered"] - seen["moved"]
