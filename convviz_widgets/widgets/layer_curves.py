"""Curves of all layers over the checkpoints, one of them selected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from bqplot import Lines

from convviz_widgets.widgets.plot import (
    PointedPlot,
    as_lines,
    checkpoint_at,
    draw_line,
    make_plot,
    mark_powers_of_ten,
    mark_steps,
    mark_values,
    span,
)
from convviz_widgets.widgets.text import ACCENT, QUIET

MARGIN = {"top": 10, "bottom": 44, "left": 50, "right": 12}

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


class LayerCurves(PointedPlot):
    """The plot of some `Curves`: grey, the selected layer in the accent colour, with a cursor.

    Parameters
    ----------
    width, height
        Of the whole plot in pixels.
    picked
        Called with the checkpoint and the layer of the curve that is clicked, None without one.
    pointed
        Called with what is under the pointer, in words.

    Attributes
    ----------
    curves : those that are shown; None before the first.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        picked: Callable[[int, str | None], Any],
        pointed: Callable[[str], Any],
    ) -> None:
        super().__init__(make_plot(width, height, "step", "", margin=MARGIN), pointed)
        line = {"x": np.zeros(1), "y": np.zeros(1), "scales": self._scales()}
        self._others = Lines(colors=[QUIET], opacities=[0.6], stroke_width=1.2, **line)
        self._chosen = Lines(colors=[ACCENT], stroke_width=2.5, **line)
        self.plot.figure.marks = [self._others, self._chosen]
        self.curves: Curves | None = None
        self._picked = picked

    def show(self, curves: Curves, layer: str, index: int) -> None:
        """Send the curves, with ``layer`` selected and the cursor at a checkpoint."""
        self.curves = curves
        plot = self.plot
        plot.show(span(len(curves.steps)), curves.limits or _ends(curves.values))
        mark_steps(plot, curves.steps)
        (mark_powers_of_ten if curves.logarithmic else mark_values)(plot)
        others = [i for i, name in enumerate(curves.layers) if name != layer]
        chosen = [i for i, name in enumerate(curves.layers) if name == layer]
        for mark, rows in ((self._others, others), (self._chosen, chosen)):
            x, values = _measured(curves.values[rows])
            with mark.hold_sync():
                mark.visible = bool(values.size)
                if values.size:
                    mark.x, mark.y = as_lines(x, values)
        self.overlay.paint(partial(draw_line, plot=plot, index=index))

    def _scales(self) -> dict[str, Any]:
        return {"x": self.plot.x, "y": self.plot.y}

    def _nearest(self, x: int, y: int) -> tuple[int, str | None]:
        """Return the checkpoint at a pixel, and the layer whose curve is within reach."""
        curves = self.curves
        assert curves is not None
        index = checkpoint_at(self.plot, x, len(curves.steps))
        top, bottom = self.plot.top_and_bottom
        low, high = self.plot.y.min, self.plot.y.max
        heights = bottom - (curves.values[:, index] - low) / (high - low) * (bottom - top)
        away = np.abs(heights - y)
        if not np.isfinite(away).any():
            return index, None
        nearest = int(np.nanargmin(away))
        return index, curves.layers[nearest] if away[nearest] <= REACH else None

    def pick_at(self, x: int, y: int) -> None:
        """Pick the checkpoint at a pixel, and the layer of a curve within reach."""
        if self.curves is not None:
            self._picked(*self._nearest(x, y))

    def words_at(self, x: int, y: int) -> str | None:
        """Say which step, layer and value lie at a pixel; None while there are no curves."""
        if self.curves is None:
            return None
        index, layer = self._nearest(x, y)
        step = f"step {self.curves.steps[index]:,}"
        if layer is None:
            return step
        value = self.curves.values[self.curves.layers.index(layer), index]
        shown = 10.0**value if self.curves.logarithmic else value
        return f"{layer}, {step}: {shown:.3g}"


def _measured(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the checkpoints that have a value of some layer, and the values there."""
    known = np.isfinite(values).any(axis=0)
    return np.flatnonzero(known).astype(float), values[:, known]


def _ends(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room
