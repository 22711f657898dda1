"""Background: a thread that works beside the page, and tells those who observe it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import ClassVar


class Stopped(Exception):
    """Nobody asks any more for what is under way, or the state has been closed."""


class Background:
    """Works in a thread of its own, which ends when there is nothing left to be done."""

    thread_name: ClassVar[str] = "convviz"

    def __init__(self) -> None:
        self._turn = threading.Condition()  # held for moments, never while working or telling
        self._thread: threading.Thread | None = None
        self._observers: list[Callable[[], None]] = []

    def observe(self, observer: Callable[[], None]) -> None:
        """Call ``observer()`` whenever there is more, from the thread that works."""
        self._observers = [*self._observers, observer]

    def unobserve(self, observer: Callable[[], None]) -> None:
        """Call it no more."""
        self._observers = [each for each in self._observers if each != observer]

    def wait(self, timeout: float | None = None) -> bool:
        """Return once nothing is left to be done; False when ``timeout`` seconds have passed.

        Not to be called by an observer, nor while a view draws.
        """
        with self._turn:
            return self._turn.wait_for(lambda: self._thread is None, timeout)

    def _start(self) -> None:
        """Begin to work, if there is no thread that does; the lock is held."""
        if self._thread is None:
            # No daemon, which could be cut off amid torch; it ends once the main thread has.
            self._thread = threading.Thread(target=self._work, name=self.thread_name)
            self._thread.start()

    def _end(self) -> None:
        """Let go of the thread, whose work is done; the lock is held."""
        self._thread = None
        self._turn.notify_all()

    def _work(self) -> None:
        """Do what there is to do, then `_end`."""
        raise NotImplementedError

    def _tell(self) -> None:
        for observer in self._observers:
            try:
                observer()
            except Exception:
                name = type(self).__name__
                logging.getLogger(__name__).exception("an observer of the %s failed", name)


def goes_on() -> bool:
    """Tell whether the process still has its main thread: no other should outlive it for long."""
    return threading.main_thread().is_alive()
