"""A training that is still running, followed in JupyterLab by somebody who only looks on."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from torch import nn

from convviz_widgets.record import Recorder

from .explorer_page import ExplorerPage
from .pages import TRAINING

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "09_live_training.ipynb"

ELSEWHERE = """
import torch
from torch import nn
import convviz_widgets as cvw

torch.set_num_threads(1)
run = cvw.Run({folder!r})
model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 2))
state = cvw.ModelState(model, torch.rand(3, 3, 8, 8), checkpoints=run.checkpoints, layer="0")
explorer = cvw.Explorer(state, run=run)
explorer
"""

END = "end of the training"

CLOCK = re.compile(r"step ([\d,]+) · (\d+) of (\d+)")


def longer(notebook, folder):
    """Copy the notebook; its training goes on until there is a file of the name `END` beside it."""
    source, copy = notebook.read_text(), folder / notebook.name
    going = "time.monotonic() < until"
    assert (source.count("seconds = 12"), source.count(going)) == (1, 1)
    asked = f"not __import__('pathlib').Path('{folder / END}').exists()"
    source = source.replace("seconds = 12", "seconds = 600").replace(going, f"{going} and {asked}")
    copy.write_text(source)
    return copy


def clock(explorer):
    """Return step, place and number of checkpoints, as the line below the slider has them."""
    found = CLOCK.search(explorer.view("Checkpoint").inner_text())
    return [int(number.replace(",", "")) for number in found.groups()] if found else [0, 0, 0]


def follow_newest(explorer):
    explorer.root.get_by_label("follow newest").check()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("live")


@pytest.fixture(scope="module")
def training(frontends, folder):
    """The notebook after Run All, no widget touched, its training cell still running."""
    opened = frontends.lab(longer(NOTEBOOK, folder), run=False)
    opened.start_all()
    output = opened.page.locator(".jp-OutputArea-output:has(.cvw-view)").first
    output.wait_for(state="attached", timeout=TRAINING * 1000)
    output.evaluate("output => output.scrollIntoView()")  # the page has gone on to the last cell
    explorer = ExplorerPage(opened)
    opened.until(lambda: clock(explorer)[2] > 2, "no checkpoint came")
    return explorer


def busy(explorer):
    """Tell whether the training cell is running: it prints when it ends."""
    return explorer.page.locator(".jp-OutputArea-output:has-text(' steps')").count() == 0


def test_the_slider_changes_the_picture_while_the_network_trains(training):
    before = training.pixels("mosaic")
    assert clock(training)[:2] == [0, 1]
    training.later()
    training.opened.changed(training.image("mosaic"), before)
    assert clock(training)[:2] == [20, 2]
    assert busy(training)


def test_the_newest_is_followed_while_the_network_trains(training):
    follow_newest(training)
    training.opened.until(lambda: clock(training)[1] > 2, "the clock stayed")
    (_, place, count), before = clock(training), training.pixels("mosaic")
    assert place == count
    training.opened.until(lambda: clock(training)[1] > place, "the clock stopped")
    training.opened.changed(training.image("mosaic"), before)
    assert busy(training)


def test_the_last_step_is_shown_when_the_training_has_ended(training, folder):
    (folder / END).touch()
    training.opened.page.wait_for_function("window.cvwRan")
    said = training.page.locator(".jp-OutputArea-output:has-text(' steps')").inner_text()
    last = int(said.split()[0].replace(",", ""))
    training.opened.until(lambda: clock(training)[0] == last, f"step {last} is not shown")
    training.open_tab("Training")
    expect(training.page.locator(".cvw-view:visible svg.svg-figure").first).to_be_visible()
    training.opened.screenshot("live-light", height=1200)
    assert training.opened.too_wide() == []


def test_a_training_in_another_process_is_followed(frontends, tmp_path):
    """This process records, the notebook's kernel looks on and is never told."""
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 2))
    with Recorder(net, tmp_path, every=10) as recorder:
        explorer = ExplorerPage(frontends.lab([ELSEWHERE.format(folder=str(tmp_path))]))
        assert clock(explorer) == [0, 1, 1]
        before = explorer.pixels("mosaic")
        with torch.no_grad():
            net[0].weight.neg_()
        for _ in range(10):
            recorder.step(loss=1.0)
        explorer.opened.until(lambda: clock(explorer) == [0, 1, 2], "step 10 did not come")
        np.testing.assert_array_equal(explorer.pixels("mosaic"), before)
        follow_newest(explorer)
        after = explorer.opened.changed(explorer.image("mosaic"), before)
        with torch.no_grad():
            net[0].weight.mul_(torch.arange(1.0, 7.0).reshape(6, 1, 1, 1))
        for _ in range(10):
            recorder.step(loss=0.5)
        explorer.opened.until(lambda: clock(explorer) == [20, 3, 3], "step 20 is not shown")
        explorer.opened.changed(explorer.image("mosaic"), after)
