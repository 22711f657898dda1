"""What DistributionHistory draws: which layer's values, on which axis, in which colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convviz_widgets.errors import InputError
from convviz_widgets.instrument import PRE_ACTIVATIONS, Measurement
from convviz_widgets.tensors import (
    PERCENTILES,
    SEQUENTIAL,
    Distribution,
    common_edges,
    grouped,
    log_limits,
    paint_shares,
    palette,
    palette_png,
    shares,
)

WHOLE_RUN, MIDDLE, THIS_STEP = "whole run", "middle 99 %", "this step"
RANGES = (WHOLE_RUN, MIDDLE, THIS_STEP)

FEWEST_ROWS = 24


@dataclass(frozen=True, eq=False)
class Distributions:
    """One quantity of one layer at every checkpoint; None where it has not been measured."""

    layer: str
    quantity: str
    steps: tuple[int, ...]
    columns: tuple[Distribution | None, ...]
    images: int
    """How many images the values come from; 0 for weights and biases."""
    instead_of: str = ""
    """The selected layer, where that has no such quantity."""

    @property
    def known(self) -> list[Distribution]:
        """Those that have been measured and hold a finite value."""
        return [each for each in self.columns if each is not None and each.finite]


@dataclass(frozen=True, eq=False)
class DistributionPicture:
    """All checkpoints on one axis of values, and the one that the clock shows."""

    data: Distributions
    index: int
    """The checkpoint of the clock."""
    edges: np.ndarray
    """Edges of the rows."""
    png: bytes
    """The heat map."""
    limits: tuple[float, float]
    """Shares at the ends of its scale of colours."""
    group: int
    """Checkpoints in one of its columns."""
    levels: np.ndarray
    """Percentiles (checkpoints, 9); NaN where nothing has been measured."""

    @property
    def here(self) -> Distribution | None:
        """The distribution at the clock's step."""
        return self.data.columns[self.index]


def layer_with(quantity: str, layer: str, layers: Sequence[str], known: set[str]) -> str:
    """Return the layer whose values are shown when ``layer`` is selected.

    The layer itself, if it has any. Else, for pre-activations the next activation that runs; for
    everything else the last layer before it.

    Raises
    ------
    InputError
        When no layer has this quantity.
    """
    if layer in known:
        return layer
    place = layers.index(layer)
    before = [name for name in layers[:place] if name in known]
    after = [name for name in layers[place:] if name in known]
    if not before and not after:
        raise InputError(f"no layer of this model has {quantity}")
    nearest = [*after[:1], *before[-1:]] if quantity == PRE_ACTIVATIONS else [*before[-1:], *after]
    return nearest[0]


def distributions_of(
    measured: Sequence[Measurement | None],
    steps: Sequence[int],
    layers: Sequence[str],
    layer: str,
    quantity: str,
) -> Distributions | None:
    """Return one quantity of one layer at every checkpoint; None before the first is measured."""
    first = next((each for each in measured if each is not None), None)
    if first is None:
        return None
    known = {name for name, what in first.distributions if what == quantity}
    shown = layer_with(quantity, layer, layers, known)
    columns = tuple(
        None if each is None else each.distributions.get((shown, quantity)) for each in measured
    )
    instead = "" if shown == layer else layer
    return Distributions(shown, quantity, tuple(steps), columns, first.images, instead)


def value_limits(data: Distributions, shown_range: str, index: int) -> tuple[float, float]:
    """Return the ends of the axis of values; a constant gets an axis around it."""
    here = data.columns[index]
    if shown_range == THIS_STEP and here is not None and here.finite:
        low, high = here.low, here.high
    elif shown_range == MIDDLE:
        ends = np.array([each.percentiles((0.5, 99.5)) for each in data.known])
        low, high = ends[:, 0].min(), ends[:, 1].max()
    else:
        low, high = min(d.low for d in data.known), max(d.high for d in data.known)
    if low == high:
        room = abs(low) * 0.5 or 0.5
        low, high = low - room, high + room
    return float(low), float(high)


def picture_of(
    data: Distributions, index: int, shown_range: str, height: int, width: int
) -> DistributionPicture:
    """Return the picture in ``height`` × ``width`` pixels, with as many rows as n is worth."""
    rows = round(math.sqrt(min(each.finite for each in data.known)))
    limits = value_limits(data, shown_range, index)
    edges = common_edges(data.known, *limits, rows=min(height, max(FEWEST_ROWS, rows)))
    columns = grouped(data.columns, width)
    found = shares(columns, edges)
    colours = log_limits(found)
    unknown = np.full(len(PERCENTILES), np.nan)
    levels = [unknown if each is None else each.percentiles() for each in data.columns]
    return DistributionPicture(
        data,
        index,
        edges,
        palette_png(paint_shares(found, colours, height, width), palette(SEQUENTIAL[0])),
        colours,
        group=-(-len(data.columns) // len(columns)),
        levels=np.array(levels),
    )
