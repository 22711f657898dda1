"""A link: two states under one clock, layer, channel and image."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from convviz_widgets.state.model_state import ModelState
from convviz_widgets.state.selection import channel_count
from convviz_widgets.state.timeline import at_or_before


class Link:
    """Whatever is selected in one of two states is selected in the other, as far as it has it.

    The clock goes by step: the other shows its last checkpoint at or before it. Where the
    other lacks a layer or image its own stays selected; its channel is clamped.
    """

    def __init__(self, left: ModelState, right: ModelState) -> None:
        self.states = (left, right)
        self._step = left.selection.step
        self._here = threading.local()  # what one thread carries over, another may still change
        left.observe(self._left_moved, names="selection")
        right.observe(self._right_moved, names="selection")
        self._carry(left, right)

    @property
    def steps(self) -> tuple[int, ...]:
        """Every step that either of the two has, ascending."""
        return tuple(sorted({step for state in self.states for step in state.steps}))

    @property
    def step(self) -> int:
        """What the clock says."""
        return self._step

    def go_to(self, step: int) -> None:
        """Let both show their last checkpoint at or before a step."""
        self._step = step
        with self._carrying():
            for state in self.states:
                state.select(checkpoint=at_or_before(state.steps, step))

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
        if at_or_before(source.steps, self._step) != source.selection.checkpoint:
            self._step = source.selection.step
        with self._carrying():
            other.select(**shared(source, other, self._step))

    @contextmanager
    def _carrying(self) -> Iterator[None]:
        """What this thread selects now is carried over already."""
        self._here.carrying = True
        try:
            yield
        finally:
            self._here.carrying = False


def shared(source: ModelState, other: ModelState, step: int) -> dict[str, Any]:
    """Return what ``other`` has of the selection of ``source``."""
    chosen = source.selection
    changes: dict[str, Any] = {"checkpoint": at_or_before(other.steps, step)}
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
