"""The Worker: does one task after the other in the background, the most urgent first."""

from __future__ import annotations

from typing import Generic, TypeVar

from convviz_widgets.state.background import Background, Stopped, goes_on

Task = TypeVar("Task")


class Worker(Background, Generic[Task]):
    """Takes the next task, does it, and tells the observers, until there is none."""

    def __init__(self) -> None:
        super().__init__()
        self._closed = False

    def close(self) -> None:
        """Take no task any more, and tell nobody."""
        with self._turn:
            self._closed = True
            self._observers = []

    def _next(self) -> Task | None:
        """Return the most urgent task that is not done; the lock is held."""
        raise NotImplementedError

    def _do(self, task: Task) -> None:
        """Do a task; raise `Stopped` to leave it."""
        raise NotImplementedError

    def _fail(self, task: Task, error: Exception) -> None:
        """Note what a task raised, so that it is not tried for ever."""
        raise NotImplementedError

    def _work(self) -> None:
        while True:
            with self._turn:
                task = self._next() if goes_on() else None
                if task is None:
                    self._end()
                    return
            try:
                self._do(task)
            except Stopped:
                pass  # cancelled, or nobody asks any more: no failure to note
            except Exception as error:  # a broken checkpoint must not end the thread
                self._fail(task, error)
            self._tell()
