"""What counts where a run was started again and steps went back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from convviz_widgets.record.points import Points
from convviz_widgets.record.series import Series


def latest(parts: Iterable[tuple[Points | None, int | None]]) -> Series:
    """Return one metric's points from several event files, each step once, steps ascending.

    A point is void when one of the same or an earlier step was written after it, as TensorBoard's
    data server has it, or when a later file declares its step void.

    Parameters
    ----------
    parts
        In the order of writing, for each file: its points, if it has any, and the step from which
        on it declares earlier files void, if it does.
    """
    kept: list[Series] = []
    simple = True
    for points, void_from in parts:
        if void_from is not None:
            kept = [_only(series, series.steps < void_from) for series in kept]
        if points is not None and len(points):
            simple = simple and points.ascending
            kept.append(points.series())
    if len(kept) == 1 and simple:
        return kept[0]
    return _without_void(_joined(kept))


def _joined(parts: list[Series]) -> Series:
    if not parts:
        return Points().series()
    return Series(
        np.concatenate([part.steps for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.wall_times for part in parts]),
    )


def _without_void(series: Series) -> Series:
    earliest_behind = np.minimum.accumulate(series.steps[::-1])[::-1]
    kept = np.ones(len(series), bool)
    kept[:-1] = series.steps[:-1] < earliest_behind[1:]
    return _only(series, kept)


def _only(series: Series, kept: np.ndarray) -> Series:
    arrays = series.steps[kept], series.values[kept], series.wall_times[kept]
    for array in arrays:
        array.flags.writeable = False
    return Series(*arrays)
