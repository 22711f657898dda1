"""Recorded outputs: what a run kept of its watched images, as pictures of a state's image set."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import torch
from torch import Tensor

from convviz_widgets.errors import ConvVizError
from convviz_widgets.instrument import ImageSet
from convviz_widgets.instrument.drift import Drift
from convviz_widgets.instrument.responses import picture_drift, read_batch
from convviz_widgets.record import Run
from convviz_widgets.views.spread import spread

MOST_STEPS = 64
"""Recorded steps that are looked at, evenly spread."""

CLOSE = 1e-2
"""Largest difference, as a share of the largest value, that counts as the same output."""


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
