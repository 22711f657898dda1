"""Prefetching: views' frames at the checkpoints next to the clock are made before it gets there.

A frame is what a view sends to the page for one checkpoint, so that the page can show it without
asking. This client of the background knows no widget: a view, or whatever owns frames, says how one
is made, and how many bytes the page has been sent::

    ahead = state.ahead
    ahead.ask(view, make, drop, fields={"layer", "image"})  # the view shows
    ahead.hold(view, state.frame_key(selection), nbytes)    # it has drawn a frame itself, and sent
    ahead.renew(view)                                       # an option: no frame is right any more
    ahead.leave(view)                                       # it is hidden: what it holds goes first
    ahead.forget(view)                                      # it is closed

``make(selection) -> int`` is called in the background's thread, without any lock, with the
selection as it would be at another checkpoint. There `recorded`, `activation`, `tokens`, `output`,
`logits`, `probabilities`, `weight` and `bias` of the state, given that ``selection=``, read through
the background's own copy of the model: all owners share one load and one forward pass, and none of
it counts as the user's. It returns the bytes that it has sent to the page; 0 where there is nothing
to send, and then it is asked again only after `renew`. Between computing and sending it calls
`pause`. ``drop(keys)``, in whatever thread, says which frames the page is to forget.

A view need not call `renew` where another layer, say, is selected: what depends on one of its
``fields`` is given up as soon as that selection is announced, before anybody draws.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from time import perf_counter

from convviz_widgets.errors import at_least
from convviz_widgets.state.background import Background, Client
from convviz_widgets.state.frame_budget import PAGE, Clock, Dropped, FrameBudget, Shelf
from convviz_widgets.state.model_copy import Stopped
from convviz_widgets.state.publisher import Publisher
from convviz_widgets.state.readings import Readings
from convviz_widgets.state.selection import Selection, at
from convviz_widgets.state.task import Priority, Task
from convviz_widgets.state.timeline import Entry, Timeline

STILL = 0.1
"""Seconds for which nothing is published or drawn before a frame is begun."""

GROWING = 10.0
"""Seconds after new checkpoints or metrics for which the model counts as training."""

MOVING = 3.0
"""Seconds after a move of the clock for which frames are made although the model trains."""

SLICE = 0.5
"""The longest nap, in seconds: the thread must see when the interpreter ends."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class NextFrames:
    """The frames of one checkpoint, to be made together."""

    entry: Entry
    key: int
    selection: Selection
    """What is selected, at that checkpoint."""
    shelves: tuple[tuple[Shelf, int], ...]
    """Those that lack one, each with its generation."""


class FramePlan:
    """Goes outwards from the clock, and tells of which checkpoints frames are lacking.

    Used under the lock of the background.
    """

    def __init__(self, frames: FrameBudget) -> None:
        self.shelves: dict[int, Shelf] = {}
        """By the id of the owner."""
        self.clock = Clock()
        self._frames = frames
        self._walk: Iterator[int] | None = None
        self._next: int | None = None
        self._full: set[Shelf] = set()

    @property
    def shown(self) -> list[Shelf]:
        """The shelves of views that show."""
        return [shelf for shelf in self.shelves.values() if shelf.is_shown]

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is to be made before something else happens."""
        return self._walk is None or not self._frames.nbytes or not self.shown

    @property
    def is_complete(self) -> bool:
        """Whether every frame is there that could be, wherever the clock is."""
        return all(
            self.clock.all_but_selected_in(shelf.frames.keys() | shelf.failed)
            for shelf in self.shown
        )

    def begin(self) -> None:
        """Begin at the clock."""
        self._walk, self._next, self._full = self.clock.outwards(), None, set()

    def close(self) -> None:
        """Let go of the checkpoints, which hold weights."""
        self.shelves.clear()
        self._walk, self.clock = None, Clock()

    def next_frames(self, selection: Selection) -> NextFrames | None:
        """Return the nearest checkpoint of which a frame is lacking for which there is room."""
        while self._walk is not None:
            if self._next is not None:
                key = self.clock.keys[self._next]
                lacking = [
                    (shelf, shelf.generation)
                    for shelf in self.shown
                    if shelf.lacks(key) and self._has_room(shelf, key)
                ]
                if lacking:
                    there = replace(selection, **at(self.clock.entries, self._next))
                    return NextFrames(self.clock.entries[self._next], key, there, tuple(lacking))
            self._next = next(self._walk, None)
            if self._next is None or self._full.issuperset(self.shown):
                self._walk = None
        return None

    def _has_room(self, shelf: Shelf, key: int) -> bool:
        if shelf not in self._full and not self._frames.has_room(shelf, key):
            self._full.add(shelf)  # and for what is farther away there is even less
        return shelf not in self._full


class Pace:
    """Tells when a frame may be begun without being in the way of the user, or of a training.

    Parameters
    ----------
    publisher
        Says since when nothing has been drawn.
    follows
        Tells whether the state goes to each new checkpoint.
    """

    def __init__(self, publisher: Publisher, follows: Callable[[], bool]) -> None:
        self._publisher, self._follows = publisher, follows
        self._moved = self._grown = -inf  # when that was

    def note(self, changed: frozenset[str]) -> None:
        """Note which fields of the selection have changed."""
        if "revision" in changed:
            self._grown = perf_counter()
        elif "checkpoint" in changed:
            self._moved = perf_counter()

    def begins_in(self) -> float | None:
        """Return after how many seconds a frame may be begun; None: not before a selection."""
        still = STILL - self._publisher.still_for
        now = perf_counter()
        if now - self._moved < MOVING:
            return still
        if self._follows():
            return None
        return max(still, GROWING - (now - self._grown))


class Ahead(Client):
    """Makes frames of the checkpoints next to the clock while nothing else is to be done.

    It begins when nothing has been published for `STILL` seconds, and ends amid a forward pass
    when something is. While the model trains it does nothing unless the clock is being moved.

    Parameters
    ----------
    background
        Has the thread, and the copy of the model.
    timeline
        The checkpoints.
    readings
        What owners read through the copy.
    publisher
        Announces selections, and says whether anybody publishes.
    follows
        Tells whether the state goes to each new checkpoint.
    """

    def __init__(
        self,
        background: Background,
        timeline: Timeline,
        readings: Readings,
        publisher: Publisher,
        follows: Callable[[], bool],
    ) -> None:
        super().__init__(background)
        self._timeline, self._readings, self._publisher = timeline, readings, publisher
        self._frames, self._plan = PAGE, FramePlan(PAGE)
        self._pace = Pace(publisher, follows)
        self._selection: Selection | None = None
        self._asked: set[str] = set()  # the layers that owners have asked for
        self._wakes = 0  # how often the background had been woken when this task was chosen
        publisher.announcements.observe(self._announced)

    @property
    def budget(self) -> int:
        """Bytes that the frames of all states of this kernel may take; 0: none is made."""
        return self._frames.nbytes

    @budget.setter
    def budget(self, nbytes: int) -> None:
        _tell(self._frames.resize(at_least(0, "budget", nbytes)))
        self._begin_anew()

    # -- for owners ---------------------------------------------------------------------------

    def ask(
        self,
        owner: object,
        make: Callable[[Selection], int],
        drop: Callable[[tuple[int, ...]], None],
        fields: Iterable[str] = (),
    ) -> None:
        """Have frames made for an owner, such as a view, that shows now.

        To ask the same again costs nothing, so a view may do so whenever it draws.

        Parameters
        ----------
        owner
            Anything; it is the same as long as it is the same object.
        make
            Makes and sends the frame of a selection; returns its bytes. See the module.
        drop
            Is told the numbers of the checkpoints whose frames the page should forget.
        fields
            What the frames depend on beside the checkpoint, of the fields of a selection.
        """
        with self._lock:
            self._refuse_if_closed()
            shelf = self._plan.shelves.get(id(owner))
            if shelf is None:
                shelf = self._plan.shelves[id(owner)] = Shelf(lambda: self._plan.clock)
                self._frames.add(shelf)
            if shelf.take(make, drop, frozenset(fields)):
                self._begin_anew()

    def hold(self, owner: object, key: int, nbytes: int) -> None:
        """Count a frame that an owner has sent itself, so that it is not made again."""
        shelf = self._plan.shelves.get(id(owner))
        if shelf is not None:
            _tell(self._frames.put(shelf, key, nbytes, shelf.generation))

    def renew(self, owner: object) -> None:
        """Give up an owner's frames, which are not right any more, as the page knows already."""
        shelf = self._plan.shelves.get(id(owner))
        if shelf is not None:
            self._frames.renew(shelf)
            self._begin_anew()

    def leave(self, owner: object) -> None:
        """Make no more for an owner; what the page holds stays until it has to go."""
        shelf = self._plan.shelves.get(id(owner))
        if shelf is not None:
            shelf.is_shown = False
            self._begin_anew()

    def forget(self, owner: object) -> None:
        """Make no more for an owner whose frames are not on the page any more."""
        with self._lock:
            shelf = self._plan.shelves.pop(id(owner), None)
        if shelf is not None:
            self._frames.remove(shelf)
            self._begin_anew()

    def pause(self) -> None:
        """Let everything else go first; to be called amid ``make``.

        Raises
        ------
        Stopped
            Something else is to be done, or the frame is not wanted any more. It is no `Exception`.
        """
        if self._closed or self._publisher.is_busy or self._background.wakes != self._wakes:
            raise Stopped

    def close(self) -> None:
        """Make no more, and count nothing; the lock is held."""
        super().close()
        for shelf in self._plan.shelves.values():
            self._frames.remove(shelf)
        self._plan.close()
        self._selection = None

    # -- when the selection changes -----------------------------------------------------------

    def _announced(self, selection: Selection) -> None:
        """Give up what belongs to another selection, and see where the clock goes."""
        with self._lock:
            before, self._selection = self._selection, selection
            changed: frozenset[str] = frozenset() if before is None else selection.changed(before)
            self._pace.note(changed)
            others = [each for each in self._plan.shelves.values() if each.fields & changed]
            for shelf in others:
                self._frames.renew(shelf)
            if others:
                self._asked = set()
            clock = self._plan.clock.among(self._timeline.entries, self._timeline.frame_keys)
            has_grown = "revision" in changed
            self._plan.clock = clock.moved(selection.checkpoint, bool(before) and not has_grown)
            is_new = others or has_grown or not self._plan.is_complete
        if is_new:
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Look for what is lacking from the clock outwards, and stop what is under way."""
        with self._lock:
            if self._closed:
                return
            self._plan.begin()
            if not self._plan.is_at_rest:
                self._background.wake(self)

    # -- work ---------------------------------------------------------------------------------

    def next_task(self) -> Task | None:
        """Return the frames of the next checkpoint, or a nap; the lock is held."""
        if self._closed or self._selection is None or self._plan.is_at_rest:
            return None
        seconds, wakes = self._pace.begins_in(), self._background.wakes
        if seconds is None:
            return None
        if seconds > 0:
            return _least_urgent(partial(self._nap, seconds, wakes))
        found = self._plan.next_frames(self._selection)
        return None if found is None else _least_urgent(partial(self._make, found, wakes))

    def _nap(self, seconds: float, wakes: int) -> None:
        """Wait, but not when there is anything else to be done: whoever wakes us notifies."""
        with self._lock:
            if self._background.wakes == wakes:
                self._lock.wait(min(seconds, SLICE))

    def _make(self, frames: NextFrames, wakes: int) -> None:
        self._wakes = wakes
        model, shown = self._background.model, frames.selection.shown
        with self._readings.through(model, frames.entry, shown, self._asked, self.pause):
            for shelf, generation in frames.shelves:
                self.pause()
                nbytes = _made(shelf, frames.selection)
                _tell(self._frames.put(shelf, frames.key, nbytes, generation))


def _least_urgent(do: Callable[[], None]) -> Task:
    """Return a task that looks itself whether it is still wanted, as `Ahead.pause` does."""
    return Task(do, fail=lambda _: None, is_wanted=lambda: True, priority=Priority.AHEAD)


def _made(shelf: Shelf, selection: Selection) -> int:
    """Return the bytes of a frame that has been made; 0: it cannot be."""
    try:
        return shelf.make(selection)
    except Exception:  # the view will say so itself when the clock is there
        _LOGGER.debug("no frame could be made at %s", selection.label, exc_info=True)
        return 0


def _tell(dropped: Dropped) -> None:
    """Tell the owners of frames what is to go; no lock is held."""
    for shelf, keys in dropped.items():
        try:
            shelf.drop(keys)
        except Exception:
            _LOGGER.exception("the owner of frames failed to drop some")
