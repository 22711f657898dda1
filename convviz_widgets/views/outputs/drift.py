"""DriftPlot: chroma and contrast of output pictures over the training, with their limits."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from bqplot import Lines
from torch import Tensor

from convviz_widgets.diagnosis.rules.outputs import CHROMA_LIMIT, CONTRAST_LIMIT
from convviz_widgets.errors import ConvVizError
from convviz_widgets.images import ImageSet
from convviz_widgets.measure.drift import Drift
from convviz_widgets.measure.responses import picture_drift, read_batch
from convviz_widgets.record import Run
from convviz_widgets.widgets.asked import spread
from convviz_widgets.widgets.plot import (
    CURVES,
    PointedPlot,
    as_lines,
    checkpoint_at,
    draw_line,
    make_plot,
    mark_steps,
    mark_values,
    span,
)

MARGIN = {"top": 8, "bottom": 40, "left": 50, "right": 14}

CHROMA, CONTRAST = CURVES[1], CURVES[0]
"""Colours of the two curves."""

LEGEND = (
    ("chroma", CHROMA, "solid"),
    (f"washed out below {CHROMA_LIMIT:g}", CHROMA, "dashed"),
    ("contrast", CONTRAST, "solid"),
    (f"washed out below {CONTRAST_LIMIT:g}", CONTRAST, "dashed"),
)

MOST_STEPS = 64
"""Recorded steps that are looked at, evenly spread."""

CLOSE = 1e-2
"""Largest difference, as a share of the largest value, that counts as the same output."""


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


class RecordedOutputs:
    """Outputs (N, C, H, W) by step, of which row i is taken for image i of the set.

    Every file is read once for the drift, and again for a strip of pictures; one that cannot be
    read is left out.
    """

    def __init__(self, run: Run, images: ImageSet) -> None:
        self._run, self._images = run, images
        self._drifts: dict[int, Drift | None] = {}
        self._targets: tuple[Tensor | None, ...] | None = None
        self.foreign = False
        """Whether the watched images turned out to be others than those of the set."""

    @property
    def steps(self) -> tuple[int, ...]:
        """Recorded steps, ascending, at most 64."""
        steps = tuple(self._run.outputs)
        return tuple(steps[place] for place in spread(len(steps), MOST_STEPS))

    def place_of(self, step: int) -> int:
        """Return the place in `steps` of the last one at or before a step."""
        return max(0, bisect_right(self.steps, step) - 1)

    def check(self, step: int, image: int, output: Tensor) -> None:
        """Compare with what the checkpoint of a step puts out (C, H, W) for an image."""
        recorded = self.output(step, image) if step in self._run.outputs else None
        if recorded is not None:
            fits = recorded.shape == output.shape
            largest = output.abs().max().clamp(min=1e-6)
            self.foreign = not fits or bool((recorded - output).abs().max() > CLOSE * largest)

    def output(self, step: int, image: int) -> Tensor | None:
        """Return what was put out for an image, (C, H, W); None where it was not recorded."""
        found = self._read(step)
        return found[image] if found is not None and image < len(found) else None

    def strip(self, image: int, count: int) -> list[tuple[int, Tensor]]:
        """Return the outputs for an image at up to ``count`` recorded steps, the last included."""
        steps = self.steps
        last = max(1, len(steps) - 1)
        places = sorted({round(i * last / max(1, count - 1)) for i in range(count)})
        chosen = [steps[place] for place in places if place < len(steps)]
        found = [(step, self.output(step, image)) for step in chosen]
        return [(step, output) for step, output in found if output is not None]

    def drifts(self) -> Sequence[Drift | None]:
        """Return chroma and contrast at every step of `steps`."""
        return [self._drift(step) for step in self.steps]

    def _drift(self, step: int) -> Drift | None:
        if step not in self._drifts:
            found = self._read(step)
            self._drifts[step] = None if found is None else self._measured(found)
        return self._drifts[step]

    def _measured(self, outputs: Tensor) -> Drift:
        count = min(len(outputs), len(self._images))
        if self._targets is None or len(self._targets) != count:
            self._targets = read_batch(self._images, range(count)).targets
        known = min(count, len(self._targets))
        return Drift.of(picture_drift(outputs[:known], self._targets[:known], self._images))

    def _read(self, step: int) -> Tensor | None:
        try:
            found = self._run.outputs[step].to(torch.float32)
        except ConvVizError:  # a file that was damaged, or thinned meanwhile
            return None
        return found if found.ndim == 4 else None
