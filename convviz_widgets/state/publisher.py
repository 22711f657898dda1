"""The publisher of a selection: one lock, and one publication at a time, in one order for all."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from traitlets import Bool, Bunch, HasTraits, TraitType, Undefined

from convviz_widgets.errors import ConvVizError
from convviz_widgets.state.selection import Selection

_LOGGER = logging.getLogger(__name__)

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
        self._afterwards: list[Callable[[], None]] = []

    def here(self) -> bool:
        """Tell whether this thread is publishing or drawing."""
        return self._thread == threading.get_ident()

    @contextmanager
    def hold(self, current: Callable[[], Selection]) -> Iterator[None]:
        """Keep the selection still while this thread draws; then publish what was queued.

        What was left for `afterwards` is called when the lock is free again.
        """
        if self.here():
            yield
            return
        later: list[Callable[[], None]] = []
        try:
            with self.lock:
                try:
                    with self._publishing(current):
                        yield
                finally:  # under the lock: what another thread leaves is its own
                    later, self._afterwards = self._afterwards, []
        finally:
            for callback in later:
                callback()

    def afterwards(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once this thread has published: it may wait for another lock.

        That is the end of its outermost `hold`; code that takes the lock alone must not submit.
        """
        self._afterwards.append(callback)

    def when_free(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` now if no other thread has the lock, else as soon as it is free.

        For a finalizer: the collector runs in whatever thread, amid whatever lock that one has, so
        that waiting for another may be waiting for ever.
        """
        if not self.lock.acquire(blocking=False):
            self.afterwards(callback)
            return
        try:
            callback()
        finally:
            self.lock.release()

    @contextmanager
    def _publishing(self, current: Callable[[], Selection]) -> Iterator[None]:
        self._thread = threading.get_ident()
        raised: Exception | None = None
        try:
            try:
                yield
            except Exception as error:
                raised = error
            raised = self._publish_queued(current, raised)
        finally:
            self._queue.clear()  # something is left only after an interrupt
            self._thread = None
        if raised is not None:
            raise raised

    def _publish_queued(
        self, current: Callable[[], Selection], raised: Exception | None
    ) -> Exception | None:
        """Apply each queued change by itself; return the first error of an observer."""
        while self._queue:
            change = self._queue.popleft()
            try:
                chosen = change(current())
            except ConvVizError as error:  # it fitted when it was queued; no select of now failed
                _LOGGER.warning("dropped a queued selection that no longer fits: %s", error)
                continue
            try:
                self._publish(chosen)
            except Exception as error:
                raised = raised or error
        return raised

    def submit(self, current: Callable[[], Selection], change: Change) -> Selection:
        """Check a change, publish what it leads to, and return the selection after it.

        Whatever the change raises, it raises before anything is written.
        """
        if self.here():
            chosen = change(current())
            self._queue.append(change)
            return chosen
        with self.hold(current):
            self._publish(change(current()))
        return current()


class Selected(TraitType[Any, Any]):
    """A field of the selection. Assigning it *is* ``owner.select(name=value)``."""

    def set(self, obj: Any, value: Any) -> None:
        """Select the value instead of writing it."""
        obj.select(**{str(self.name): value})


class Locked(Bool):
    """A switch that changes, and notifies, only while no other thread is publishing."""

    def set(self, obj: Any, value: Any) -> None:
        """Write the value while the owner's selection is held."""
        with obj.hold():
            super().set(obj, value)


def publish(owner: HasTraits, values: Mapping[str, Any]) -> None:
    """Write values that have been checked, all of them before anybody is told of the first.

    Observers are told in the order of ``values``. ``hold_trait_notifications`` would set each
    trait a second time, and so select again.
    """
    written = owner._trait_values
    before = {name: written.get(name, Undefined) for name in values}
    written.update(values)
    for name, value in values.items():
        old = before[name]
        if old is Undefined or old != value:
            owner.notify_change(Bunch(name=name, old=old, new=value, owner=owner, type="change"))
