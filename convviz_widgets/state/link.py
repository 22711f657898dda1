"""A link: two states under one clock, layer, channel and image."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from convviz_widgets.checkpoints import Steps, has_number
from convviz_widgets.checkpoints.training_time import STEP, UNKNOWN
from convviz_widgets.state.log_steps import log_steps
from convviz_widgets.state.model_state import ModelState
from convviz_widgets.state.selection import channel_count
from convviz_widgets.state.timeline import at_or_before


class Link:
    """Whatever is selected in one of two states is selected in the other, as far as it has it.

    The clock goes by step: the other shows its last checkpoint at or before it. Where one counts
    epochs and the other steps it goes by the steps that they had done; where these are not known,
    by the numbers as they are, and `misfit` says so. Where the other lacks a layer or image its own
    stays selected; its channel is clamped.
    """

    def __init__(self, left: ModelState, right: ModelState) -> None:
        self.states = (left, right)
        self._step = self._now(left)
        self._here = threading.local()  # what one thread carries over, another may still change
        left.observe(self._left_moved, names="selection")
        right.observe(self._right_moved, names="selection")
        self._carry(left, right)

    @property
    def steps(self) -> Steps:
        """Every step that either of the two has, ascending; in the unit that they share."""
        units = {state.steps.unit for state in self.states}
        in_steps = self._in_steps
        unit = STEP if in_steps else units.pop() if len(units) == 1 else UNKNOWN
        called: dict[int, list[str]] = defaultdict(list)
        for state in self.states:
            for number, label in zip(self.numbers(state), _labels(state, in_steps), strict=True):
                called[number].append(label)
        numbers = sorted(called)
        labels = [" / ".join(dict.fromkeys(called[number])) for number in numbers]
        return Steps(numbers, unit, labels)

    @property
    def misfit(self) -> str:
        """Why the two cannot be held against each other; empty where they can."""
        units = [state.steps.unit for state in self.states]
        if units[0] == units[1] or self._in_steps:
            return ""
        counts = " and ".join("numbers of unknown unit" if u == UNKNOWN else f"{u}s" for u in units)
        return f"one clock for {counts} as if they were the same: steps_per_epoch= or steps= helps"

    @property
    def _in_steps(self) -> bool:
        """Whether both are to go by training steps, for their checkpoints count otherwise."""
        units = {state.steps.unit for state in self.states}
        done = [_done(state) for state in self.states]
        return len(units) > 1 and all(each and None not in each for each in done)

    def numbers(self, state: ModelState) -> tuple[int, ...]:
        """Return where the checkpoints of one of the two stand on the clock.

        Those without a number, as ``best.pt``, stand behind all of both.
        """
        in_steps = self._in_steps
        own = _placed(state, in_steps)
        last = max((n for each in self.states for n in _placed(each, in_steps)[-1:]), default=-1)
        behind = len(state.steps) - len(own)
        return (*own, *range(last + 1, last + 1 + behind))

    def _now(self, state: ModelState) -> int:
        return self.numbers(state)[state.selection.checkpoint]

    @property
    def step(self) -> int:
        """What the clock says."""
        return self._step

    def go_to(self, step: int) -> None:
        """Let both show their last checkpoint at or before a step."""
        self._step = step
        with self._carrying():
            for state in self.states:
                state.select(checkpoint=at_or_before(self.numbers(state), step))

    def close(self) -> None:
        """Unlink the two states."""
        left, right = self.states
        left.unobserve(self._left_moved, names="selection")
        right.unobserve(self._right_moved, names="selection")

    def _left_moved(self, _change: Any) -> None:
        self._moved(*self.states)

    def _right_moved(self, _change: Any) -> None:
        self._moved(*reversed(self.states))

    def _moved(self, source: ModelState, other: ModelState) -> None:
        if not getattr(self._here, "carrying", False):
            source.afterwards(lambda: self._carry(source, other))

    def _carry(self, source: ModelState, other: ModelState) -> None:
        """Select in the other state what is selected in this one."""
        if at_or_before(self.numbers(source), self._step) != source.selection.checkpoint:
            self._step = self._now(source)
        with self._carrying():
            checkpoint = at_or_before(self.numbers(other), self._step)
            other.select(checkpoint=checkpoint, **shared(source, other))

    @contextmanager
    def _carrying(self) -> Iterator[None]:
        """What this thread selects now is carried over already."""
        self._here.carrying = True
        try:
            yield
        finally:
            self._here.carrying = False


def _count(steps: Steps) -> int:
    """Return how many checkpoints, from the first on, have a number."""
    return max((i + 1 for i in range(len(steps)) if has_number(steps, i)), default=0)


def _done(state: ModelState) -> tuple[int | None, ...]:
    """Return how many steps the checkpoints with a number had done, as far as that is known."""
    return log_steps(state.steps).done[: _count(state.steps)]


def _placed(state: ModelState, in_steps: bool) -> tuple[int, ...]:
    """Return the numbers of the checkpoints that have one."""
    if in_steps:
        return tuple(step for step in _done(state) if step is not None)
    return tuple(state.steps[: _count(state.steps)])


def _labels(state: ModelState, in_steps: bool) -> tuple[str, ...]:
    placed = _placed(state, in_steps) if in_steps else ()
    return (*Steps(placed).labels, *state.steps.labels[len(placed) :])


def shared(source: ModelState, other: ModelState) -> dict[str, Any]:
    """Return what ``other`` has of the selection of ``source``, the checkpoint apart."""
    chosen = source.selection
    changes: dict[str, Any] = {}
    known = {info.name: info for info in other.layers}
    if chosen.layer in known:
        last = channel_count(known[chosen.layer]) - 1
        changes |= {"layer": chosen.layer, "channel": min(chosen.channel, last)}
    if chosen.image < len(other.image_set):
        changes["image"] = chosen.image
        if other.image_set is source.image_set:
            changes["drawing"] = chosen.drawing
    changes["direction"] = chosen.direction
    return changes
