"""A page that is loaded again while its kernel does not answer for longer than a page waits."""

import os
import signal
import threading

import pytest

from .cells import EXPLORER, MODEL
from .explorer_page import ExplorerPage

STILL = 6.0
"""Seconds; ipywidgets gives up its first question after 4."""

CHANGING = """
import os
import ipywidgets as widgets

leaving = widgets.Label("closed after the kernel has listed it, before the page asks for it")
gone = widgets.Label("closed")
keeper = widgets.Box([gone])
gone.close()

kernel = get_ipython().kernel
listed = kernel.shell_handlers["comm_info_request"]

async def list_and_close(*message):
    await listed(*message)
    leaving.close()

kernel.shell_handlers["comm_info_request"] = list_and_close
"""

WAITING = """
import time
ready = True
time.sleep(12)
"""


@pytest.fixture(scope="module")
def opened(lab):
    opened = lab([MODEL, EXPLORER, WAITING, CHANGING], run=False)
    opened.run_cell(0)
    opened.run_cell(1)
    return opened


@pytest.fixture(scope="module")
def explorer(opened):
    return ExplorerPage(opened)


@pytest.fixture(scope="module")
def changing(explorer, opened):
    """Have widgets that come and go; what has run before is over."""
    opened.wait_idle()
    opened.run_cell(3)
    return opened


@pytest.fixture
def stalled(frontends):
    """Return a function that loads a page again, its kernel standing still when it is asked."""
    timers = []

    def reload(opened, pid):
        def sent(frame):
            content = frame if isinstance(frame, bytes) else frame.encode()
            if b"request_states" in content and not timers:
                os.kill(pid, signal.SIGSTOP)
                timers.append(threading.Timer(STILL, os.kill, (pid, signal.SIGCONT)))
                timers[0].start()

        opened.page.on("websocket", lambda socket: socket.on("framesent", sent))
        opened.reload()
        opened.until(lambda: timers, "the page did not ask for its widgets")

    yield reload
    for timer in timers:
        timer.join()


def test_a_kernel_that_runs_a_cell(explorer, opened):
    before = explorer.pixels("mosaic")
    opened.save()
    opened.start_cell(2)
    opened.page.reload()
    explorer.wait_for_drawing()
    explorer.later()
    opened.changed(explorer.image("mosaic"), before)


def test_states_are_told_at_once_though_one_widget_refers_to_a_closed_one(explorer, changing):
    changing.save()
    changing.reload()
    explorer.wait_for_drawing()
    assert changing.ask("leaving.comm is not None")  # the page never had to ask one by one


def test_a_kernel_that_stands_still_while_widgets_come_and_go(
    explorer, changing, stalled, frontends
):
    before = explorer.pixels("mosaic")
    changing.save()
    stalled(changing, changing.ask("os.getpid()"))
    explorer.wait_for_drawing()
    assert (explorer.pixels("mosaic") == before).all()
    explorer.later()
    changing.changed(explorer.image("mosaic"), before)
    assert changing.ask("leaving.comm is None")
    # JupyterLab complains of a widget that is closed before the page has heard of it.
    assert all("Comm not found" in error for error in frontends.take_errors())
