"""Elements of a page: what is sent to pages, and what pages say."""

from typing import Any, NamedTuple

import pytest


class Sent(NamedTuple):
    """One message to the pages that show a widget."""

    kind: str
    """update, or custom."""
    content: dict[str, Any]
    buffers: list[Any]


@pytest.fixture
def sent_by():
    """Return what begins to list all that a widget sends to pages."""

    def listening(widget):
        sent = []

        def publish(_kind, data, buffers=None, **_more):
            if data:  # else it is closed
                content = data["state"] if data["method"] == "update" else data["content"]
                sent.append(Sent(data["method"], content, list(buffers or [])))

        widget.comm.publish_msg = publish
        return sent

    return listening


def says(widget, message):
    """Have a page send a message to a widget."""
    data = {"method": "custom", "content": message}
    widget.comm.handle_msg({"content": {"data": data}, "buffers": []})


def acts(widget, **what):
    """Have the user do something on a page."""
    sets(widget, act={"page": "a page", "order": 1, **what})


def points(raster, **what):
    """Have the user move the pointer on a page."""
    sets(raster, pointer=what)


def sets(widget, **traits):
    """Have a page set traits of a widget."""
    data = {"method": "update", "state": traits, "buffer_paths": []}
    widget.comm.handle_msg({"content": {"data": data}, "buffers": []})


@pytest.fixture
def page():
    """Return what a page does, such as ``page.acts(widget, pick=1)``."""

    class Page(NamedTuple):
        says: Any
        acts: Any
        points: Any
        sets: Any

    return Page(says, acts, points, sets)
