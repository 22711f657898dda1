"""OnDemand: a worker for several owners, who ask for what they show and leave again."""

from __future__ import annotations

from typing import Generic, TypeVar

from convviz_widgets.errors import InputError
from convviz_widgets.state.background import goes_on
from convviz_widgets.state.recordings import CLOSED
from convviz_widgets.state.worker import Task, Worker

Wanted = TypeVar("Wanted")


class OnDemand(Worker[Task], Generic[Wanted, Task]):
    """Works while somebody asks for something that is missing."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: dict[int, tuple[Wanted, ...]] = {}

    def ask(self, owner: object, *wanted: Wanted) -> None:
        """Have these done for ``owner``, in this order, in place of what it asked for before.

        Parameters
        ----------
        owner
            Anything; `leave` with the same object ends it.
        """
        with self._turn:
            if self._closed:  # nothing can be done any more, the thread would try for ever
                raise InputError(CLOSED)
            self._asked[id(owner)] = wanted
            if self._next() is not None:
                self._start()

    def leave(self, owner: object) -> None:
        """Do nothing more for ``owner``; what is under way is dropped at the next batch."""
        with self._turn:
            self._asked.pop(id(owner), None)

    def close(self) -> None:
        """Take no task any more, and tell nobody."""
        with self._turn:
            super().close()
            self._asked.clear()

    def _is_asked(self, wanted: Wanted) -> bool:
        with self._turn:
            is_wanted = any(wanted in each for each in self._asked.values())
        return is_wanted and goes_on()
