"""The axis that a log's points are put on, and which of them have no place on that of steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from convviz_widgets.errors import number_of
from convviz_widgets.record.series import Series, WrittenPoints, counting, only

KEEPS = "Run(..., axis='order') or axis='wall-time' keeps all"
"""What can be done about points that have no place on the axis of steps."""


def on_axis(axis: str, written: Mapping[str, WrittenPoints]) -> dict[str, Series]:
    """Return name to series.

    Parameters
    ----------
    axis : "step": each step once, and of several points the one that was written last. "order":
        all points in the order of writing, numbered from 0; a point has the number of the last one
        written before it, whatever metric that is of, or the next where its own metric has that
        number already. "wall-time": all points, in seconds since the first.
    written : name to the points of each metric.
    """
    if axis == "step":
        return {name: each.series() for name, each in written.items()}
    orders = {name: _in_time(each) for name, each in written.items()}
    clocks = [clock for _, clock in orders.values()]
    places = _moments(clocks) if axis == "order" else _seconds(clocks)
    return {
        name: replace(only(written[name].points, order), steps=place, axis=axis)
        for (name, (order, _)), place in zip(orders.items(), places, strict=True)
    }


def _in_time(written: WrittenPoints) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of a metric's points in time, and when each was written.

    Several files may be written at once. A clock that was set back does not change in which order
    each of them was written.
    """
    ends = np.flatnonzero(np.diff(written.files)) + 1
    parts = np.split(written.points.wall_times, ends)
    clock = np.concatenate([np.maximum.accumulate(part) for part in parts])
    order = np.argsort(clock, kind="stable")
    return order, clock[order]


def _seconds(clocks: list[np.ndarray]) -> list[np.ndarray]:
    first = min((clock[0] for clock in clocks if len(clock)), default=0.0)
    return [_frozen(clock - first) for clock in clocks]


def _moments(clocks: list[np.ndarray]) -> list[np.ndarray]:
    """Return the numbers of all points in the order of writing: what is written together shares."""
    metrics = np.repeat(np.arange(len(clocks)), [len(clock) for clock in clocks])
    order = np.argsort(np.concatenate([np.empty(0), *clocks]), kind="stable")
    numbers = np.empty(len(order), np.int64)
    last, now = [-1] * len(clocks), 0
    for place, metric in zip(order.tolist(), metrics[order].tolist(), strict=True):
        last[metric] = now = max(now, last[metric] + 1)
        numbers[place] = now
    ends = np.cumsum([len(clock) for clock in clocks])
    return [_frozen(part) for part in np.split(numbers, ends)[: len(clocks)]]


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


# -- what has no place on the axis of steps --------------------------------------------------------


def left_out(written: WrittenPoints) -> str:
    """Return one line on the points without a place on the axis of steps; nothing if all have one.

    Points that a training replaced, because it was resumed in a new event file from an earlier
    step, are void and no matter to speak of, and neither is one written twice with one value.
    """
    if written.ascending:
        return ""
    files = _files(written)
    lost = sum(each.within + each.between for each in files)
    if not lost:
        return ""
    reasons = [each.why for each in files if each.within][:1]
    reasons += [_of_files(files)] * any(each.between for each in files)
    count = number_of(len(written.points), "point")
    return f"{lost:,} of {count} left out: {' and '.join(reasons)}; {KEEPS}"


@dataclass(frozen=True)
class _File:
    """What one event file has of a metric, and how many points of it are lost."""

    first: int
    start: float
    end: float
    within: int
    """Those that others of the same file replace, by another value."""
    why: str
    between: int
    """Those that later files replace, though nothing was resumed."""


def _files(written: WrittenPoints) -> list[_File]:
    points = written.points
    starts = np.flatnonzero(np.diff(written.files, prepend=-1))
    counts = counting(points.steps)
    parts = [slice(*ends) for ends in zip(starts, [*starts[1:], len(points)], strict=True)]
    begun = [points.wall_times[part][0] for part in parts]
    found = []
    for number, part in enumerate(parts):
        steps, clock = points.steps[part], points.wall_times[part]
        within, why = _lost(steps, points.values[part])
        replaced = counting(steps) & ~counts[part]
        at_once = any(start < clock[-1] for start in begun[number + 1 :])
        is_resumed = counts[part].any() and not at_once
        between = 0 if is_resumed else int(replaced.sum())
        found.append(_File(int(steps[0]), clock[0], clock[-1], within, why, between))
    return found


def _lost(steps: np.ndarray, values: np.ndarray) -> tuple[int, str]:
    """Return how many points of one file others of it replace by another value, and why."""
    kept = counting(steps)
    places = np.flatnonzero(kept)
    behind = places[np.clip(np.searchsorted(steps[kept], steps), 0, len(places) - 1)]
    same = (steps[behind] == steps) & np.isclose(values[behind], values, 0, 0, equal_nan=True)
    lost = int((~kept & ~same).sum())
    return lost, _why(steps) if lost else ""


def _why(steps: np.ndarray) -> str:
    if steps.min() == steps.max():
        return f"all are logged at step {steps[0]:,}, as they are without a step"
    back = np.flatnonzero(np.diff(steps) < 0) + 1
    if not len(back):
        return "several are logged at one step, as if each batch were given its epoch's number"
    times = "once" if len(back) == 1 else f"{len(back):,} times"
    if (steps[back] <= steps[0]).all():
        return (
            f"the step begins again {times}, at {steps[back[-1]]:,}, as a count of an epoch's "
            "batches does"
        )
    return f"the step goes back {times}"


def _of_files(files: list[_File]) -> str:
    if any(after.start < before.end for before, after in pairwise(files)):
        return "event files written at the same time share their steps"
    count = sum(each.between > 0 for each in files)
    later, begin = number_of(count, "later event file"), "begins" if count == 1 else "begin"
    return f"{later} {begin} again at step {files[-1].first:,}"
