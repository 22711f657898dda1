"""The plot of gradients over depth: one place for each layer, from the input to the output."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from bqplot import Lines

from convviz_widgets.widgets.plot import (
    CURVES,
    Plot,
    PointedPlot,
    draw_line,
    label_ticks,
    make_plot,
    mark_powers_of_ten,
    whole_numbers,
)
from convviz_widgets.widgets.text import QUIET

MARGIN = {"top": 10, "bottom": 44, "left": 50, "right": 12}

NORM, MEAN = CURVES[0], CURVES[2]
"""Colours of the norms and of the mean magnitudes."""

LETTER = 6.5
"""Width of a letter at the axis in pixels, about."""


@dataclass(frozen=True, eq=False)
class DepthProfile:
    """Norm and mean magnitude of a gradient in every layer, from the input to the output."""

    layers: tuple[str, ...]
    norms: tuple[float, ...]
    """Zero where no gradient arrives; NaN or infinite where it is not finite."""
    means: tuple[float, ...]
    fit: tuple[np.ndarray, np.ndarray] | None = None
    """Places and log10 norms of the line that was fitted."""


class DepthPlot(PointedPlot):
    """Shows a `DepthProfile` on a logarithmic axis; a click selects the layer.

    Layers whose gradient is exactly zero have no place on that axis: a 0 stands at the bottom.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        picked: Callable[[str], Any],
        pointed: Callable[[str], Any],
    ) -> None:
        label = "layers, from the input to the output"
        super().__init__(make_plot(width, height, label, "", margin=MARGIN), pointed)
        scales = {"x": self.plot.x, "y": self.plot.y}
        nothing = {"x": np.zeros(1), "y": np.zeros(1), "scales": scales, "visible": False}
        dots = {"marker": "circle", "marker_size": 28, "stroke_width": 1.5, **nothing}
        self._norms = Lines(colors=[NORM], **dots)
        self._means = Lines(colors=[MEAN], **dots)
        self._fit = Lines(colors=[QUIET], line_style="dashed", stroke_width=2, **nothing)
        self.plot.figure.marks = [self._fit, self._norms, self._means]
        self._profile: DepthProfile | None = None
        self._picked = picked

    def show(self, profile: DepthProfile, layer: str) -> None:
        """Send the dots, with ``layer`` selected."""
        self._profile = profile
        norms, means = _decades(profile.norms), _decades(profile.means)
        self.plot.show((-0.5, len(profile.layers) - 0.5), whole_decades([*norms, *means]))
        mark_powers_of_ten(self.plot)
        _name_layers(self.plot, profile.layers)
        for mark, values in ((self._norms, norms), (self._means, means)):
            known = np.isfinite(values)
            _send(mark, np.flatnonzero(known).astype(float), values[known])
        _send(self._fit, *(profile.fit or (np.zeros(0), np.zeros(0))))
        self.overlay.paint(partial(self._annotate, profile=profile, layer=layer))

    def _annotate(self, canvas: Any, profile: DepthProfile, layer: str) -> None:
        top, bottom = self.plot.top_and_bottom
        canvas.font, canvas.text_align = "11px sans-serif", "center"
        for place, (name, norm) in enumerate(zip(profile.layers, profile.norms, strict=True)):
            x = self.plot.to_pixel(place)
            if x is None:
                continue
            if name == layer:
                draw_line(canvas, self.plot, place)
            canvas.fill_style = NORM
            if norm == 0:
                canvas.fill_text("0", x, bottom - 3)
            elif not math.isfinite(norm):
                canvas.fill_text("∞", x, top + 11)

    def _layer_at(self, x: int) -> int | None:
        if self._profile is None or not self._profile.layers:
            return None
        return min(len(self._profile.layers) - 1, max(0, round(self.plot.to_value(x))))

    def pick_at(self, x: int, y: int) -> None:
        """Pick the layer at a pixel."""
        place = self._layer_at(x)
        if place is not None and self._profile is not None:
            self._picked(self._profile.layers[place])

    def words_at(self, x: int, y: int) -> str | None:
        """Say which layer lies at a pixel, and its gradient; None while there is none."""
        place = self._layer_at(x)
        if place is None or self._profile is None:
            return None
        name, norm = self._profile.layers[place], self._profile.norms[place]
        return f"{name}: norm {norm:.3g}, mean |g| {self._profile.means[place]:.3g}"


def whole_decades(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return whole powers of ten below and above all finite values, as logarithms."""
    finite = [float(value) for value in values if math.isfinite(value)]
    if not finite:
        return -1.0, 0.0
    low, high = math.floor(min(finite)), math.ceil(max(finite))
    return float(low), float(max(high, low + 1))


def _decades(values: Sequence[float]) -> np.ndarray:
    """Return log10, NaN where there is none."""
    array = np.asarray(values, np.float64)
    known = np.isfinite(array) & (array > 0)
    return np.where(known, np.log10(np.where(known, array, 1.0)), np.nan)


def _send(mark: Lines, x: np.ndarray, y: np.ndarray) -> None:
    with mark.hold_sync():
        mark.visible = bool(len(x))
        if len(x):
            mark.x, mark.y = x, y


def _name_layers(plot: Plot, layers: Sequence[str]) -> None:
    """Write the names at the axis if they fit, else some of the places."""
    axis = plot.figure.axes[0]
    longest = max(map(len, layers), default=0) * LETTER
    if longest <= plot.columns / max(1, len(layers)):
        labels = {str(place): name for place, name in enumerate(layers)}
        places = list(range(len(layers)))
    else:
        places = whole_numbers(0, max(0, len(layers) - 1))
        labels = {str(place): f"{place + 1}." for place in places}
    axis.num_ticks = None  # or some of them would be left out
    label_ticks(axis, places, labels)
