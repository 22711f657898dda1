"""A page that is reloaded gets its widgets back, however long the kernel takes to answer.

A new page asks on the control comm for the states of all widgets and gives up after 4 s. It then
asks every widget that the kernel lists, one by one, with no limit of time; but a single question
that is never answered leaves the whole page at "Loading widget…". What made answers fail, seen with
ipywidgets 8.1 and ipykernel 7.4, is met here:

- The answer to the first question was computed twice, and not at all if meanwhile another thread
  made or closed a widget, or if a widget refers to a closed one.
- A widget that is closed after it was listed does not answer.
- Thousands of answers at once are more than the sockets hold for a server that is behind; the rest
  is dropped without a word. Of 6,980 widgets 3,821 answers arrived.

What cannot be met from the kernel: a message that is dropped all the same, because the server stood
still for seconds amid the answers for more than a thousand widgets. The page has no second try but
to be loaded again.
"""

from __future__ import annotations

import logging
from functools import cache
from time import monotonic, sleep
from typing import Any

import comm
from IPython import get_ipython
from ipywidgets import Widget
from ipywidgets.widgets import widget as implementation

CONTROL = "jupyter.widget.control"
"""The comm target on which a page asks for everything at once; ipywidgets registers it, too."""

AT_ONCE = 600
"""Answers that are given without delay: with what the kernel says of its being busy they are three
messages each, and the two sockets between kernel and server hold 1,000 each."""

PAUSE = 0.005
"""Seconds between two answers after that."""

QUIET = 5.0
"""Seconds without a question after which the sockets are taken to be empty again."""

NOBODY = {
    "_model_module": "@jupyter-widgets/base",
    "_model_module_version": "2.0.0",
    "_model_name": "LayoutModel",
    "_view_module": "@jupyter-widgets/base",
    "_view_module_version": "2.0.0",
    "_view_name": "LayoutView",
}
"""State of a widget that has been closed, for a page that still waits for it: seen nowhere."""

log = logging.getLogger(__name__)


class AnswerRate:
    """Keeps many answers from being more than the sockets on their way hold."""

    def __init__(self) -> None:
        self._count, self._last = 0, -QUIET

    def wait(self) -> None:
        """Return when the next answer may be given."""
        now = monotonic()
        self._count = 1 if now - self._last > QUIET else self._count + 1
        if self._count > AT_ONCE:
            sleep(PAUSE)
        self._last = monotonic()


@cache
def serve_reloads() -> None:
    """Answer pages that are reloaded, from now on; nothing happens outside a kernel."""
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return
    for measure in (_answer_for_all, _answer_for_each):
        try:
            measure(kernel)
        except Exception:  # another kernel than ipykernel, or a version to come: as it was before
            log.debug("%s does not fit this kernel", measure.__name__, exc_info=True)


def state_of(widget: Widget) -> dict[str, Any]:
    """Return what a page needs of a widget; what refers to a closed widget is left out."""
    try:
        return dict(widget.get_state())
    except Exception:  # one of its traits; the others are worth having
        return {key: value for key in widget.keys for value in _value(widget, key)}


def states_of_all() -> dict[str, dict[str, Any]]:
    """Return model and state of every widget that is not closed, by its model's id."""
    return {
        model_id: {
            "model_name": widget._model_name,
            "model_module": widget._model_module,
            "model_module_version": widget._model_module_version,
            "state": state_of(widget),
        }
        for model_id, widget in list(implementation._instances.items())
        if widget.comm is not None
    }


def _value(widget: Widget, key: str) -> list[Any]:
    try:
        return [widget.get_state(key)[key]]
    except Exception:  # it refers to a closed widget, which has no id any more
        return []


def _answer_for_all(_kernel: Any) -> None:
    """Answer the one question for all states, once and whatever other threads do."""

    def opened(control: Any, _message: Any) -> None:
        control.on_msg(lambda asked: _tell_all(control, asked["content"]["data"]))

    comm.get_comm_manager().register_target(CONTROL, opened)


def _tell_all(control: Any, asked: dict[str, Any]) -> None:
    if asked.get("method") != "request_states":
        return
    states, paths, buffers = implementation._remove_buffers(states_of_all())
    control.send(
        {"method": "update_states", "states": states, "buffer_paths": paths}, buffers=buffers
    )


def _answer_for_each(kernel: Any) -> None:
    """Answer every question for one widget's state, also where the widget has been closed."""
    usual, rate = kernel.shell_handlers["comm_msg"], AnswerRate()

    def handle(stream: Any, ident: Any, message: dict[str, Any]) -> Any:
        model_id, asked = message["content"]["comm_id"], message["content"].get("data")
        if isinstance(asked, dict) and asked.get("method") == "request_state":
            rate.wait()
            widget = implementation._instances.get(model_id)
            if widget is not None and widget.comm is not None:
                return _tell(widget.comm, state_of(widget))
            if comm.get_comm_manager().get_comm(model_id) is None:
                return _tell_of_nobody(kernel, message)
        return usual(stream, ident, message)

    kernel.shell_handlers["comm_msg"] = handle


def _tell(connection: Any, state: dict[str, Any]) -> None:
    bare, paths, buffers = implementation._remove_buffers(state)
    connection.send({"method": "update", "state": bare, "buffer_paths": paths}, buffers=buffers)


def _tell_of_nobody(kernel: Any, message: dict[str, Any]) -> None:
    data = {"method": "update", "state": NOBODY, "buffer_paths": []}
    content = {"comm_id": message["content"]["comm_id"], "data": data}
    kernel.session.send(kernel.iopub_socket, "comm_msg", content, parent=message)
