"""The background of a state: one thread and one more copy of the model, shared by its clients.

A client (the history, the sweeps, the output history, the embeddings, an examination, a search for
duplicates) has tasks. The background does the most urgent one, lets more urgent ones in between two
batches of images, and has the client notify its observers.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.measure.responses import ImageBatch
from convviz_widgets.probe import Probe
from convviz_widgets.state.model_copy import ModelCopy, Stopped, batch_size
from convviz_widgets.state.recordings import CLOSED
from convviz_widgets.state.task import Priority, Task

TURN = 0.25
"""Seconds after which a task that can go on later lets others of its priority go first."""

LOADS = 5
"""A turn lasts as long as this many loads of a checkpoint, or longer: loading must not fill it."""

Wanted = TypeVar("Wanted", bound=Hashable)


class Client(ABC):
    """Has tasks done in the background, and notifies its observers after each of them.

    What it keeps is written under ``background.lock``, which is held for moments: never while a
    task runs, nor while observers are called.
    """

    def __init__(self, background: Background) -> None:
        self._background = background
        self._lock = background.lock
        self._closed = False
        self._observers: tuple[Callable[[], None], ...] = ()
        background.join(self)

    @abstractmethod
    def next_task(self) -> Task | None:
        """Return what should be done next, None for nothing; the lock is held."""

    def is_busy(self) -> bool:
        """Tell whether anything is left to be done; the lock is held."""
        return self.next_task() is not None

    def rest(self) -> None:
        """Free what only further tasks would need: there are none now; the lock is held."""
        return  # most have nothing to free

    def observe(self, observer: Callable[[], None]) -> None:
        """Call ``observer()`` whenever there is more, from the thread that works."""
        self._observers = (*self._observers, observer)

    def unobserve(self, observer: Callable[[], None]) -> None:
        """Call it no more."""
        self._observers = tuple(each for each in self._observers if each != observer)

    def notify(self) -> None:
        """Call the observers."""
        for observer in self._observers:
            with logged(self, "an observer of the %s failed"):
                observer()

    def wait(self, timeout: float | None = None) -> bool:
        """Return once nothing is left to be done; False when ``timeout`` seconds have passed.

        Not to be called by an observer, nor while a view draws.

        Raises
        ------
        InputError
            The main thread has come to its end, so nothing more is done.
        """
        return self._background.wait(self, timeout)

    def close(self) -> None:
        """Have nothing more done, and call no observer; the lock is held."""
        self._closed = True
        self._observers = ()

    @property
    def forward_count(self) -> int:
        """Forward passes of the background so far, none of which counts as the user's."""
        return self._background.model.forward_count

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise InputError(CLOSED)


class SharedClient(Client, Generic[Wanted]):
    """A client that several owners, such as views, ask for what they show, and leave again."""

    def __init__(self, background: Background) -> None:
        super().__init__(background)
        self._asked: dict[int, tuple[Wanted, ...]] = {}

    def ask(self, owner: object, *wanted: Wanted) -> None:
        """Have these done for ``owner``, in this order, in place of what it asked for before.

        Parameters
        ----------
        owner
            Anything; `leave` with the same object ends it.
        """
        with self._lock:
            self._refuse_if_closed()
            self._asked[id(owner)] = wanted
        self._background.wake(self)

    def leave(self, owner: object) -> None:
        """Do nothing more for ``owner``; what is under way is dropped at the next batch."""
        with self._lock:
            self._asked.pop(id(owner), None)

    def close(self) -> None:
        """Have nothing more done, and forget who asked; the lock is held."""
        super().close()
        self._asked.clear()

    def _is_asked(self, wanted: Wanted) -> bool:
        return any(wanted in each for each in self._asked.values())

    def _in_order(self) -> Iterator[tuple[Wanted, bool]]:
        """Yield what is asked for, the first of each owner first and marked; the lock is held."""
        for asked in self._asked.values():
            yield from ((each, True) for each in asked[:1])
        for asked in self._asked.values():
            yield from ((each, False) for each in asked[1:])


@contextmanager
def logged(client: Client, message: str = "the %s failed in the background") -> Iterator[None]:
    """Log what a client raises, and go on: it must neither stop the others nor keep who waits."""
    try:
        yield
    except BaseException:  # SystemExit, too: it would end the thread of all clients
        logging.getLogger(__name__).exception(message, type(client).__name__)


class ClientQueue:
    """Tells which client is served next: of the most urgent, the one served longest ago."""

    def __init__(self) -> None:
        self._clients: list[Client] = []  # that may have a task; the one served last comes last
        self._dropped: WeakSet[Client] = WeakSet()
        self._served: Client | None = None
        self._since = 0.0  # when its turn began

    def add(self, client: Client) -> None:
        """Ask this client for tasks, too, until it has none."""
        self._dropped.discard(client)
        if client not in self._clients:
            self._clients.append(client)

    def drop(self, client: Client) -> None:
        """Ask this client, which has raised, for no more tasks until it is added again."""
        self._dropped.add(client)
        if client in self._clients:
            self._clients.remove(client)

    def have_dropped(self, client: Client) -> bool:
        """Tell whether this client is not asked, although it may have tasks."""
        return client in self._dropped

    def task_of(self, client: Client) -> Task | None:
        """Return what a client wants done next; one that raises is dropped."""
        with logged(client):
            return client.next_task()
        self.drop(client)
        return None

    def next(
        self, least: Priority, busy: Collection[Client], seconds: float
    ) -> tuple[Client, Task] | None:
        """Return the most urgent task of at least this priority, and whose it is.

        Parameters
        ----------
        busy
            Clients with a task under way.
        seconds
            Time in which one of equally urgent clients may have one task after the other.
        """
        idle = [client for client in self._clients if client not in busy]
        polled = {client: self.task_of(client) for client in idle}
        waiting = {client: task for client, task in polled.items() if task is not None}
        for client in [each for each in self._clients if each in polled and each not in waiting]:
            self._clients.remove(client)
            with logged(client):
                client.rest()
        found = [
            (client, task)
            for client, task in waiting.items()
            if task.priority <= least and not (busy and task.is_long)
        ]
        if not found:
            return None
        client, task = min(found, key=lambda each: each[1].priority)  # of equal ones the first
        self._serve(client, seconds)
        return client, task

    def _serve(self, client: Client, seconds: float) -> None:
        if client is not self._served:
            self._served, self._since = client, perf_counter()
        is_over = perf_counter() - self._since >= seconds
        self._clients.remove(client)
        self._clients.insert(len(self._clients) if is_over else 0, client)


@dataclass(eq=False)
class RunningTask:
    """A task that has begun."""

    client: Client
    task: Task
    since: float = field(default_factory=perf_counter)


class Background:
    """One thread and one copy of the model, shared by all the clients of a state.

    The most urgent task goes first; of equally urgent ones, that of the client who was served
    longest ago. A task that a view waits for is done between two batches of another one, which
    may be such a task of another client. The thread ends when there is nothing left to be done,
    and with the interpreter.

    Parameters
    ----------
    probe, images, lock
        As for `ModelCopy`; without them no task runs a model.
    """

    def __init__(
        self,
        probe: Probe | None = None,
        images: ImageSet | None = None,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.lock = threading.Condition()
        """The lock of all clients; it is notified after every task."""
        self.model = ModelCopy(probe, images, lock or nullcontext())
        self.wakes = 0
        """Counts the calls of `wake`, by which a task that gives way to everything is told."""
        self._all: WeakSet[Client] = WeakSet()
        self._queue = ClientQueue()
        self._running: list[RunningTask] = []  # each waits for the one behind it
        self._thread: threading.Thread | None = None
        self._closed = False

    def close(self) -> None:
        """Close every client and let go of the model; what is under way ends at its next batch."""
        with self.lock:
            self._closed = True
            self.model.close()
            for client in list(self._all):
                client.close()
            self.lock.notify_all()

    # -- for clients --------------------------------------------------------------------------

    def join(self, client: Client) -> None:
        """Close this client when the background is closed; it may be already."""
        with self.lock:
            self._all.add(client)
            client._closed = self._closed

    def wake(self, client: Client) -> None:
        """Look whether this client has anything to do, and do it."""
        with self.lock:
            self.wakes += 1
            self._queue.add(client)
            self.lock.notify_all()
            if self._thread is None and self._goes_on() and self._queue.task_of(client) is not None:
                # No daemon, which could be cut off amid torch. No executor, which waits for what
                # it runs before anything running could learn that the interpreter ends.
                thread = threading.Thread(target=self._work, name="convviz-background")
                thread.start()  # may be refused; it takes the lock before it does anything
                self._thread = thread

    def wait(self, client: Client, timeout: float | None) -> bool:
        """Return as `Client.wait` does."""
        with self.lock:
            self.lock.wait_for(lambda: self._is_idle(client), timeout)
            if self._closed or not self._is_left(client):
                return True
            if not self._goes_on() and not threading.current_thread().daemon:  # which ends now
                raise InputError("the script has come to its end, so nothing more is measured")
            return False

    # -- for tasks ----------------------------------------------------------------------------

    def pause(self) -> None:
        """Let what is more urgent go first; called by a task between two batches.

        Raises
        ------
        Stopped
            The task is not asked for any more.
        """
        here = self._running[-1]
        self._stop_unless_wanted(here)
        while (urgent := self._urgent_one()) is not None:
            self._do(urgent)
            self._stop_unless_wanted(here)
            if urgent.task.priority == here.task.priority:
                return  # equally urgent ones take turns: here one batch, there one task

    def turn_is_over(self) -> bool:
        """Tell a task that can go on later whether to leave the rest for its next turn."""
        turn = max(TURN, LOADS * self.model.load_seconds)
        return perf_counter() - self._running[-1].since > turn

    def batches(self, indices: Sequence[int], size: int | None = None) -> Iterator[ImageBatch]:
        """Yield images of the state with what belongs to them; `pause` before each batch."""
        size = size or batch_size(self.model.probe().layers)
        for start in range(0, len(indices), size):
            self.pause()
            yield self.model.read(indices[start : start + size])

    # -- the thread ---------------------------------------------------------------------------

    def _work(self) -> None:
        while (begun := self._most_urgent()) is not None:
            self._do(begun)

    def _most_urgent(self) -> RunningTask | None:
        """Begin the most urgent task; None: there is none, and the thread ends."""
        with self.lock:
            begun = self._begun(Priority.AHEAD)
            if begun is None:
                self._thread = None
                self.lock.notify_all()
            return begun

    def _stop_unless_wanted(self, here: RunningTask) -> None:
        with self.lock:
            if not (self._goes_on() and here.task.is_wanted()):
                raise Stopped

    def _urgent_one(self) -> RunningTask | None:
        """Begin a task that a view waits for, unless one such has interrupted another already."""
        with self.lock:
            shown = [each for each in self._running if each.task.priority == Priority.SHOWN]
            return self._begun(Priority.SHOWN) if len(shown) < 2 else None

    def _begun(self, least: Priority) -> RunningTask | None:
        """Begin the most urgent task of at least this priority; the lock is held."""
        if not self._goes_on():
            return None
        busy = [each.client for each in self._running]
        found = self._queue.next(least, busy, LOADS * self.model.load_seconds)
        if found is None:
            return None
        self._running.append(RunningTask(*found))
        return self._running[-1]

    def _do(self, begun: RunningTask) -> None:
        try:
            self._try(begun)
            if self._goes_on():  # else drawing would keep a script from its end
                begun.client.notify()
        finally:
            with self.lock:  # only now: whoever waits for a client finds its observers notified
                self._running.remove(begun)
                self.lock.notify_all()

    def _try(self, begun: RunningTask) -> None:
        try:
            begun.task.do()
        except Stopped:
            pass  # cancelled, or not asked for any more: no failure to note
        except Exception as error:  # a broken checkpoint must not end the thread
            self._fail(begun, error)
        except BaseException as error:  # nor must a model that calls sys.exit()
            self._fail(begun, InputError(f"{type(error).__name__}: {error}"))

    def _fail(self, begun: RunningTask, error: Exception) -> None:
        """Have a failure noted; a client that cannot do so would have the task tried for ever."""
        is_noted = False
        with logged(begun.client):
            begun.task.fail(error)
            is_noted = True
        if not is_noted:
            with self.lock:
                self._queue.drop(begun.client)

    def _is_idle(self, client: Client) -> bool:
        return self._thread is None or not self._is_left(client)

    def _is_left(self, client: Client) -> bool:
        """Tell whether a client has anything left to be done; the lock is held."""
        is_running = any(each.client is client for each in self._running)
        return is_running or (not self._queue.have_dropped(client) and _is_busy(client))

    def _goes_on(self) -> bool:
        """Tell whether any task may begin: no thread should outlive the main one for long."""
        return not self._closed and threading.main_thread().is_alive()


def _is_busy(client: Client) -> bool:
    with logged(client):
        return client.is_busy()
    return False
