"""LayerCurves: curves of all layers over the checkpoints, one of them selected."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from bqplot import Mark

from convviz_widgets.state import label_at
from convviz_widgets.widgets.plot import (
    CheckpointPlot,
    as_lines,
    draw_line,
    mark_powers_of_ten,
    mark_values,
    send,
    with_room,
)
from convviz_widgets.widgets.text import ACCENT, QUIET

REACH = 24
"""Pixels from a curve within which a click on the plot means its layer."""


@dataclass(frozen=True, eq=False)
class Curves:
    """A number of every layer at every checkpoint."""

    layers: tuple[str, ...]
    steps: tuple[int, ...]
    values: np.ndarray
    """(layers, checkpoints); NaN where it has not been measured, or is undefined."""
    logarithmic: bool = False
    """Whether the values are powers of ten."""
    limits: tuple[float, float] | None = None
    """Ends of the axis; None: those of the values."""


class LayerCurves(CheckpointPlot):
    """The plot of some `Curves`: grey, the selected layer in the accent colour, with a cursor.

    ``picked`` is called with the checkpoint and the layer of the curve that is clicked, None
    without one. `curves` are those that are shown; None before the first.
    """

    name: ClassVar[str] = "the layers over the checkpoints"
    curves: Curves | None = None

    def marks(self) -> list[Mark]:
        """Return the curves of all layers but one, and that one's."""
        self._others = self.plot.new_line(colors=[QUIET], opacities=[0.6], stroke_width=1.2)
        self._chosen = self.plot.new_line(colors=[ACCENT], stroke_width=2.5)
        return [self._others, self._chosen]

    def show(self, curves: Curves, layer: str, index: int) -> None:
        """Send the curves, with ``layer`` selected and the cursor at a checkpoint."""
        self.curves = curves
        mark = mark_powers_of_ten if curves.logarithmic else mark_values
        self.set_axes(curves.steps, curves.limits or with_room(curves.values), mark)
        others = [i for i, name in enumerate(curves.layers) if name != layer]
        chosen = [i for i, name in enumerate(curves.layers) if name == layer]
        send(self._others, *_measured(curves.values[others]))
        send(self._chosen, *_measured(curves.values[chosen]))
        self.overlay.paint(partial(draw_line, plot=self.plot, index=index))

    def _layer_at(self, index: int, y: int) -> str | None:
        """Return the layer whose curve is within reach of a pixel at a checkpoint."""
        curves = self.curves
        assert curves is not None
        away = np.abs(self.plot.to_row(curves.values[:, index]) - y)
        if not np.isfinite(away).any():
            return None
        nearest = int(np.nanargmin(away))
        return curves.layers[nearest] if away[nearest] <= REACH else None

    def pick_at(self, x: int, y: int) -> None:
        """Pick the checkpoint at a pixel, and the layer of a curve within reach."""
        if self.steps:
            index = self.checkpoint_at(x)
            self._picked(index, self._layer_at(index, y))

    def words_of(self, index: int, y: int) -> str:
        """Say which step, layer and value lie at a checkpoint, ``y`` pixels from the top."""
        curves, layer = self.curves, self._layer_at(index, y)
        step = label_at(self.steps, index)
        if curves is None or layer is None:
            return step
        value = curves.values[curves.layers.index(layer), index]
        return f"{layer}, {step}: {10.0**value if curves.logarithmic else value:.3g}"


def _measured(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the checkpoints that have a value of some curve, and the curves there.

    Curves without any value are left out: a page complains of a line without a point.
    """
    values = values[np.isfinite(values).any(axis=1)]
    known = np.isfinite(values).any(axis=0)
    return as_lines(np.flatnonzero(known).astype(float), values[:, known])
