"""One lock, one publication at a time, in one order for everybody."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from convviz_widgets.state.selection import Selection

Change = Callable[[Selection], Selection]


class Publisher:
    """Apply changes to the selection one after the other, and have each of them published.

    The lock is held while the observers draw, so that pictures never arrive out of order. A
    change submitted by an observer, in the middle of a publication, waits for its end.
    """

    def __init__(self, publish: Callable[[Selection], None]) -> None:
        self.lock = threading.RLock()
        self._publish = publish
        self._thread: int | None = None
        self._queue: deque[Change] = deque()

    def here(self) -> bool:
        """Tell whether this thread is publishing or drawing."""
        return self._thread == threading.get_ident()

    @contextmanager
    def hold(self, current: Callable[[], Selection]) -> Iterator[None]:
        """Keep the selection still while this thread draws; then publish what was queued."""
        with self.lock:
            if self.here():
                yield
                return
            self._thread = threading.get_ident()
            try:
                yield
                while self._queue:
                    self._publish(self._queue.popleft()(current()))
            finally:
                self._queue.clear()
                self._thread = None

    def submit(self, current: Callable[[], Selection], change: Change) -> Selection:
        """Check a change, publish what it leads to, and return that selection.

        Whatever the change raises, it raises before anything is written.
        """
        with self.lock:
            chosen = change(current())
            if self.here():
                self._queue.append(change)
                return chosen
            with self.hold(current):
                self._publish(chosen)
            return current()
