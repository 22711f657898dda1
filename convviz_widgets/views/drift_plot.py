"""DriftPlot: chroma and contrast of output pictures over the training, with their limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from bqplot import Lines

from convviz_widgets.diagnosis.rules.outputs import CHROMA_LIMIT, CONTRAST_LIMIT
from convviz_widgets.instrument.drift import Drift
from convviz_widgets.views.checkpoint_axis import (
    as_lines,
    checkpoint_at,
    draw_line,
    mark_steps,
    span,
)
from convviz_widgets.views.plot import CURVES, PointedPlot, make_plot
from convviz_widgets.views.ticks import mark_values

MARGIN = {"top": 8, "bottom": 40, "left": 50, "right": 14}

CHROMA, CONTRAST = CURVES[1], CURVES[0]
"""Colours of the two curves."""

LEGEND = (
    ("chroma", CHROMA, "solid"),
    (f"washed out below {CHROMA_LIMIT:g}", CHROMA, "dashed"),
    ("contrast", CONTRAST, "solid"),
    (f"washed out below {CONTRAST_LIMIT:g}", CONTRAST, "dashed"),
)


class DriftPlot(PointedPlot):
    """Two curves, as shares of the targets', two dashed limits, and a cursor.

    Parameters
    ----------
    width, height
        Of the whole plot in pixels.
    picked
        Called with the place on the axis that is clicked.
    pointed
        Called with what is under the pointer, in words.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        picked: Callable[[int], Any],
        pointed: Callable[[str], Any],
    ) -> None:
        empty = make_plot(width, height, "step", "of the target's", margin=MARGIN)
        super().__init__(empty, pointed)
        self.plot.figure.axes[1].label_offset = "38px"
        line = {
            "x": np.zeros(1),
            "y": np.zeros(1),
            "scales": {"x": self.plot.x, "y": self.plot.y},
        }
        colours = (CHROMA, CONTRAST)
        self._curves = [Lines(colors=[each], stroke_width=2, **line) for each in colours]
        self._limits = [
            Lines(colors=[each], stroke_width=1, line_style="dashed", **line) for each in colours
        ]
        self.plot.figure.marks = [*self._limits, *self._curves]
        self._steps: tuple[int, ...] = ()
        self._drifts: tuple[Drift | None, ...] = ()
        self._picked = picked

    def show(self, steps: tuple[int, ...], drifts: Sequence[Drift | None], index: int) -> None:
        """Send the curves of all steps, None where not known, and the cursor at one of them."""
        self._steps, self._drifts = steps, tuple(drifts)
        values = np.array(
            [(np.nan, np.nan) if each is None else (each.chroma, each.contrast) for each in drifts]
        ).T  # (2, T)
        top = float(np.nanmax(values, initial=1.0))
        self.plot.show(span(len(steps)), (0.0, 1.08 * top))
        mark_steps(self.plot, steps)
        mark_values(self.plot)
        for mark, row in zip(self._curves, values, strict=True):
            _send(mark, row)
        for mark, row, limit in zip(
            self._limits, values, (CHROMA_LIMIT, CONTRAST_LIMIT), strict=True
        ):
            ends = np.array(span(len(steps)))
            with mark.hold_sync():
                mark.visible = bool(np.isfinite(row).any())
                mark.x, mark.y = ends, np.array([limit, limit])
        self.overlay.paint(partial(draw_line, plot=self.plot, index=index))

    def pick_at(self, x: int, y: int) -> None:
        """Pick the step at a pixel."""
        if self._steps:
            self._picked(checkpoint_at(self.plot, x, len(self._steps)))

    def words_at(self, x: int, y: int) -> str | None:
        """Say which step lies at a pixel, with its chroma and contrast; None without any."""
        if not self._steps:
            return None
        index = checkpoint_at(self.plot, x, len(self._steps))
        drift = self._drifts[index]
        known = "not known" if drift is None else drift_in_words(drift)
        return f"step {self._steps[index]:,}: {known}"


def drift_in_words(drift: Drift) -> str:
    """Return both shares with the images that they are taken over."""
    pairs = (
        ("chroma", drift.chroma, drift.coloured),
        ("contrast", drift.contrast, drift.contrasted),
    )
    said = [f"{name} {share:.2f} (n = {n:,})" for name, share, n in pairs if n]
    return ", ".join(said) or "no target that could be compared with"


def _send(mark: Lines, row: np.ndarray) -> None:
    known = np.isfinite(row)
    with mark.hold_sync():
        mark.visible = bool(known.any())
        if known.any():
            mark.x, mark.y = as_lines(np.flatnonzero(known).astype(float), row[known])
