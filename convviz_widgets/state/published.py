"""PublishedStates: what pages are told of each state, whichever thread selects."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Any
from uuid import uuid4

from convviz_widgets.state.model_state import ModelState
from convviz_widgets.state.selection import Selection

SELECTED = ("layer", "image", "channel", "target", "direction")
"""Fields of a selection that a page is told of, beside the checkpoint."""


class Causes(threading.local):
    """What this thread answers to, while it does: page and move, by state. Others select, too."""

    def __init__(self) -> None:
        self.by_state: weakref.WeakKeyDictionary[ModelState, list[Any]] = (
            weakref.WeakKeyDictionary()
        )


class PublishedStates:
    """What pages are told of each state: who it is, what is selected, and what led to that."""

    def __init__(self) -> None:
        self._ids: weakref.WeakKeyDictionary[ModelState, str] = weakref.WeakKeyDictionary()
        self._last: weakref.WeakKeyDictionary[ModelState, tuple[Selection, dict[str, Any]]] = (
            weakref.WeakKeyDictionary()
        )
        self._causes = Causes()
        self._serials = count()

    def name(self, state: ModelState) -> str:
        """Return the name of a state, unlike any other's."""
        return self._ids.setdefault(state, uuid4().hex)

    def now(self, state: ModelState, selection: Selection) -> dict[str, Any]:
        """Return what is selected, for a page; numbered in the order of the publications.

        To be called while the selection is held, or announced: else another thread may have told of
        a newer one already.
        """
        last = self._last.get(state)
        if last is None or last[0] is not selection:
            told = {
                "state": self.name(state),
                "serial": next(self._serials),
                "key": state.frame_key(selection),
                "selection": {name: getattr(selection, name) for name in SELECTED},
                "cause": self._causes.by_state.get(state),
            }
            last = self._last[state] = (selection, told)
        return last[1]

    @contextmanager
    def answering(self, state: ModelState, page: str, order: int) -> Iterator[None]:
        """Have what this thread publishes say that it answers to this move on this page."""
        self._causes.by_state[state] = [page, order]
        try:
            yield
        finally:
            del self._causes.by_state[state]


PUBLISHED = PublishedStates()


def lock_of_pages() -> AbstractContextManager[Any]:
    """Return a lock for an owner that tells pages something from several threads.

    Held while it notes what pages have and while it tells them, so that they hear it in that order.
    """
    return threading.RLock()
