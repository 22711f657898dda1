"""The ticker: runs an action at most once a frame, however many events ask for it.

Beside the thread of the background it is the other one that there may be: a stroke of the brush
must show at once, while the background is amid a batch of images that takes a second. It works with
the page's own model, and only while somebody paints.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import perf_counter, sleep

FRAME = 0.033
"""Seconds from the beginning of one frame to that of the next."""


class Ticker:
    """Run an action soon after it was asked for, at most once a frame, in a thread of its own.

    Pointer events reach the kernel one by one, however many have come meanwhile. A view that only
    notes what they say, and asks a ticker to act on all of it, never falls behind: after each run
    as much time as it took is left to other threads, which would wait for the interpreter else.

    Parameters
    ----------
    action
        Acts on the latest of what was noted.
    frame
        Seconds from one run to the next.
    """

    def __init__(self, action: Callable[[], None], frame: float = FRAME) -> None:
        self.count = 0
        """How often the action was run."""
        self._action, self._frame = action, frame
        self._turn = threading.Condition()  # held for moments, never while the action runs
        self._asked = False
        self._thread: threading.Thread | None = None

    def ask(self) -> None:
        """Have the action run after this call; returns at once."""
        with self._turn:
            self._asked = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="convviz-frames")
                self._thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Return once nothing is asked for; False when ``timeout`` seconds have passed.

        Not to be called by the action, nor while holding a lock that it needs.
        """
        with self._turn:
            return self._turn.wait_for(lambda: self._thread is None, timeout)

    def close(self) -> None:
        """Forget what was asked for; a run that is under way ends."""
        with self._turn:
            self._asked = False

    def _work(self) -> None:
        # The thread ends with the last frame: a cell that is run again leaves none behind.
        while self._is_asked():
            started = perf_counter()
            try:
                self._action()
            except Exception:  # it must not end the frames to come
                logging.getLogger(__name__).exception("a frame failed")
            self.count += 1
            taken = perf_counter() - started
            sleep(max(self._frame - taken, taken))

    def _is_asked(self) -> bool:
        with self._turn:
            asked, self._asked = self._asked, False
            if not asked:
                self._thread = None
                self._turn.notify_all()
            return asked
