"""Colour drift over the training, plotted in OutputGallery: recorded, or measured from outputs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from bqplot import Mark
from ipywidgets import Layout, VBox
from torch import Tensor

from convviz_widgets.checkpoints import label_at
from convviz_widgets.diagnosis.rules.outputs import LEAST_CHROMA, LEAST_CONTRAST
from convviz_widgets.errors import ConvVizError
from convviz_widgets.images import ImageSet
from convviz_widgets.measure.drift import Drift, picture_drift
from convviz_widgets.measure.responses import read_batch
from convviz_widgets.record import Run
from convviz_widgets.state import ModelState, Question, Selection, coarse_to_fine, log_steps
from convviz_widgets.tensors import evenly_spread
from convviz_widgets.widgets.controls import PointerLine, legend
from convviz_widgets.widgets.plot import (
    CURVES,
    CheckpointPlot,
    as_lines,
    draw_line,
    empty_frame,
    finite_points,
    send,
    span,
)

CHROMA, CONTRAST = CURVES[1], CURVES[0]
"""Colours of the two curves."""

LEGEND = (
    ("chroma", CHROMA, "solid"),
    (f"washed out below {LEAST_CHROMA:g}", CHROMA, "dashed"),
    ("contrast", CONTRAST, "solid"),
    (f"washed out below {LEAST_CONTRAST:g}", CONTRAST, "dashed"),
)

MOST_STEPS = 64
"""Recorded steps that are looked at, evenly spread."""

CLOSE = 1e-2
"""Largest difference, as a share of the largest value, that counts as the same output."""

DRIFT_IMAGES = 256
"""Images over which chroma and contrast are taken at every checkpoint."""

LOOKED_AT = 8
"""Images that are tried: the first that can be read tells whether there are targets."""

HEIGHT = 164
"""Height of the plot in pixels."""


@dataclass(frozen=True)
class DriftCurves:
    """Chroma and contrast at some steps, and the place of the clock among them."""

    steps: tuple[int, ...] = ()
    """Empty where there are no targets to compare with."""
    drifts: tuple[Drift | None, ...] = ()
    """None where it is not known yet."""
    place: int | None = 0
    """None where it is not known which step the clock's checkpoint is of."""

    @property
    def here(self) -> Drift | None:
        """The drift at the clock's step."""
        return self.drifts[self.place] if self.drifts and self.place is not None else None


class DriftOverTraining:
    """The drift in an `OutputGallery`: what to ask for it, and its plot; a click moves the clock.

    What a run has recorded is taken before what would have to be measured.

    Parameters
    ----------
    view
        The gallery: it holds the state, and moves the clock.
    recorded
        What a run kept of its watched images.
    pointed
        The line that says what is under the pointer.
    width
        Width in pixels.

    Attributes
    ----------
    box : what stands in the page.
    plot : None as long as there is nothing to see.
    has_targets : whether there are target pictures to compare with; without them nothing is shown.
    """

    def __init__(
        self, view: Any, recorded: RecordedOutputs | None, pointed: PointerLine, width: int
    ) -> None:
        self._view, self._recorded = view, recorded
        self._state: ModelState = view.state
        self._pointed, self._width = pointed, width
        self.plot: DriftPlot | None = None
        channels = target_channels(self._state.image_set)
        self.has_targets = channels > 0
        self._frame = empty_frame(width, HEIGHT)
        entries = LEGEND if channels == 3 else LEGEND[2:]  # grey has no chroma
        shown = "" if self.has_targets else "none"
        layout = Layout(flex="0 0 auto", display=shown)
        self.box = VBox([legend(*entries), self._frame], layout=layout)

    def questions(self, checkpoint: int) -> tuple[Question, ...]:
        """Return what to ask every checkpoint, this one first, then from coarse to fine."""
        if not self.has_targets:
            return ()
        order = dict.fromkeys([checkpoint, *coarse_to_fine(len(self._state.steps))])
        return tuple(map(self._question, order))

    def at(self, selection: Selection) -> DriftCurves:
        """Return what is known by now, with the clock where it is."""
        if not self.has_targets:
            return DriftCurves()
        recorded, steps = self._recorded, self._state.steps
        if recorded is not None and recorded.are_shown:
            place = recorded.index_at(recorded.step_of(self._state, selection.checkpoint))
            return DriftCurves(recorded.steps, tuple(recorded.drifts()), place)
        history = self._state.output_history
        found = [history.get(self._question(index)) for index in range(len(steps))]
        drifts = tuple(None if each is None else Drift.of(each.drift) for each in found)
        return DriftCurves(steps, drifts, selection.checkpoint)

    def show(self, curves: DriftCurves) -> None:
        """Send the curves, if there are any."""
        if not curves.steps:
            return
        if self.plot is None:
            self.plot = DriftPlot(self._width, HEIGHT, self._go_to, self._pointed.show)
            self._view.listen_to(self.plot.overlay)
        self.plot.show(curves)
        self._view.reveal(self._frame, self.plot.overlay)

    def _question(self, index: int) -> Question:
        images = evenly_spread(len(self._state.image_set), DRIFT_IMAGES)
        return self._state.output_history.question(index, images)

    def _go_to(self, place: int) -> None:
        assert self.plot is not None
        step, recorded = self.plot.steps[place], self._recorded
        if recorded is None or not recorded.are_shown:
            self._view.go_to(place)
            return
        done = enumerate(recorded.done(self._state))
        away = [(abs(known - step), i) for i, known in done if known is not None]
        if away:
            self._view.go_to(min(away)[1])


def target_channels(images: ImageSet) -> int:
    """Return how many channels the target pictures have, 0 if there are none."""
    for image in range(min(LOOKED_AT, len(images))):
        with suppress(Exception):  # one that cannot be read: others may
            target = images.target(image)
            return 0 if target is None else len(target)
    return 0


class DriftPlot(CheckpointPlot):
    """Chroma and contrast as shares of the targets', two dashed limits, and a cursor."""

    name: ClassVar[str] = "chroma and contrast of the outputs over the checkpoints"
    label: ClassVar[str] = "of the target's"
    _drifts: tuple[Drift | None, ...] = ()

    def marks(self) -> list[Mark]:
        """Return the two limits and the two curves."""
        line, colours = self.plot.new_line, (CHROMA, CONTRAST)
        dashed = {"stroke_width": 1, "line_style": "dashed"}
        self._limits = [line(colors=[each], **dashed) for each in colours]
        self._curves = [line(colors=[each], stroke_width=2) for each in colours]
        return [*self._limits, *self._curves]

    def show(self, curves: DriftCurves) -> None:
        """Send the curves and the cursor."""
        self._drifts = curves.drifts
        values = np.array(
            [(np.nan, np.nan) if d is None else (d.chroma, d.contrast) for d in curves.drifts]
        ).T  # (2, T)
        self.set_axes(curves.steps, (0.0, 1.08 * float(np.nanmax(values, initial=1.0))))
        limits = (LEAST_CHROMA, LEAST_CONTRAST)
        for curve, dashes, row, limit in zip(
            self._curves, self._limits, values, limits, strict=True
        ):
            x, known = finite_points(row)
            send(curve, *as_lines(x, known))
            ends = np.array(span(len(curves.steps))) if len(x) else x
            send(dashes, ends, np.full(len(ends), limit))
        if curves.place is None:
            self.overlay.paint(lambda shapes: None)
        else:
            self.overlay.paint(partial(draw_line, plot=self.plot, index=curves.place))

    def words_of(self, index: int, y: int) -> str:
        """Say which step it is, with its chroma and contrast."""
        drift = self._drifts[index]
        known = "not known" if drift is None else drift_in_words(drift)
        return f"{label_at(self.steps, index)}: {known}"


def drift_in_words(drift: Drift) -> str:
    """Return both shares with the images that they are taken over."""
    pairs = (
        ("chroma", drift.chroma, drift.coloured),
        ("contrast", drift.contrast, drift.contrasted),
    )
    said = [f"{name} {share:.2f} (n = {n:,})" for name, share, n in pairs if n]
    return ", ".join(said) or "no target that could be compared with"


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
        return tuple(steps[place] for place in evenly_spread(len(steps), MOST_STEPS))

    @property
    def are_shown(self) -> bool:
        """Whether there are outputs, and of the images of the set."""
        return bool(self.steps) and not self.foreign

    def done(self, state: ModelState) -> Sequence[int | None]:
        """Return how many training steps each checkpoint had done, as far as that is known."""
        return log_steps(state.steps, self._run).done

    def step_of(self, state: ModelState, checkpoint: int) -> int | None:
        """Return how many training steps a checkpoint had done, if that is known."""
        return self.done(state)[checkpoint]

    def index_at(self, step: int | None) -> int | None:
        """Return the place in `steps` of the last one at or before a step; None for None."""
        return None if step is None else max(0, bisect_right(self.steps, step) - 1)

    def check(self, step: int | None, image: int, output: Tensor) -> None:
        """Compare with what the checkpoint of a step puts out (C, H, W) for an image."""
        is_known = step is not None and step in self._run.outputs
        recorded = self.output(step, image) if is_known and step is not None else None
        if recorded is not None:
            fits = recorded.shape == output.shape
            largest = output.abs().max().clamp(min=1e-6)
            self.foreign = not fits or bool((recorded - output).abs().max() > CLOSE * largest)

    def output(self, step: int, image: int) -> Tensor | None:
        """Return what was put out for an image, (C, H, W); None where it was not recorded."""
        found = self._read(step)
        return found[image] if found is not None and image < len(found) else None

    def strip(self, image: int, count: int) -> list[tuple[int, Tensor]]:
        """Return the outputs for an image at up to ``count`` recorded steps, the last included.

        It is empty where other images than the set's were watched.
        """
        steps = () if self.foreign else self.steps
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
