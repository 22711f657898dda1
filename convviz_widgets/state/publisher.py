"""The publisher of a selection: one lock, and one publication at a time, in one order for all."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from time import perf_counter
from typing import Any

from traitlets import Bool, Bunch, HasTraits, TraitType, Undefined

from convviz_widgets.errors import ConvVizError
from convviz_widgets.state.selection import Selection

_LOGGER = logging.getLogger(__name__)

Change = Callable[[Selection], Selection]


class Announcements:
    """Tell of a selection that has been checked, before it is written and anybody draws for it.

    So a view can say at once which pictures on the page are no longer right, however long it takes
    to draw the new ones.
    """

    def __init__(self) -> None:
        self._observers: list[Callable[[Selection], None]] = []

    def observe(self, observer: Callable[[Selection], None]) -> None:
        """Call ``observer(selection)`` with each selection that comes.

        The lock of the state is held: it must be quick, and must not select. What it raises is
        logged and stops nothing.
        """
        self._observers.append(observer)

    def unobserve(self, observer: Callable[[Selection], None]) -> None:
        """Call it no more."""
        with suppress(ValueError):
            self._observers.remove(observer)

    def make(self, selection: Selection) -> None:
        """Call the observers."""
        for observer in tuple(self._observers):
            try:
                observer(selection)
            except Exception:
                _LOGGER.exception("an observer of announcements failed")

    def close(self) -> None:
        """Forget the observers."""
        self._observers.clear()


class Publisher:
    """Apply changes to the selection one after the other, and have each of them published.

    The lock is held while the observers draw, so that pictures never arrive out of order. A
    change submitted by an observer, in the middle of a publication, waits for its end.
    """

    def __init__(self, publish: Callable[[Selection], None]) -> None:
        self.lock = threading.RLock()
        self.announcements = Announcements()
        """Who is told of a selection before it is published."""
        self._publish = publish
        self._thread: int | None = None
        self._free_since = perf_counter()
        self._queue: deque[Change] = deque()
        self._afterwards: list[Callable[[], None]] = []

    def here(self) -> bool:
        """Tell whether this thread is publishing or drawing."""
        return self._thread == threading.get_ident()

    @property
    def is_busy(self) -> bool:
        """Whether any thread is publishing or drawing."""
        return self._thread is not None

    @property
    def still_for(self) -> float:
        """Seconds since anything was published or drawn; 0 while that goes on."""
        return 0.0 if self.is_busy else perf_counter() - self._free_since

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
            self._free_since = perf_counter()
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
                self._announce_and_publish(current(), chosen)
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
            before = current()
            self._announce_and_publish(before, change(before))
        return current()

    def _announce_and_publish(self, before: Selection, chosen: Selection) -> None:
        if chosen != before:
            self.announcements.make(chosen)
        self._publish(chosen)


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
