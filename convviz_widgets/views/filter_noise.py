"""The part of the filters' view that says how noisy they are, over all checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from bqplot import Lines
from ipywidgets import Layout, VBox, Widget

from convviz_widgets.state import FILTERS, Selection
from convviz_widgets.views.checkpoint_axis import (
    as_lines,
    checkpoint_at,
    draw_line,
    mark_steps,
    span,
)
from convviz_widgets.views.filter_trajectory import SHOWN, Trajectory, trajectory
from convviz_widgets.views.history_view import HistoryView
from convviz_widgets.views.legend import legend
from convviz_widgets.views.plot import CURVES, Plot, make_plot
from convviz_widgets.views.raster import Overlay
from convviz_widgets.views.ticks import mark_values
from convviz_widgets.views.weights import filter_layer

MARGIN = {"top": 8, "bottom": 40, "left": 50, "right": 12}
HEIGHT = 130
COLOURS = dict(zip(SHOWN, CURVES, strict=False))


@dataclass(frozen=True, eq=False)
class Noise:
    """A trajectory, and where on it the clock is."""

    trajectory: Trajectory
    index: int


class FilterNoise(HistoryView):
    """Noisy filters of the selected layer at every checkpoint, and why they are.

    Drawn are the share of noisy filters, that of filters whose change since step 0 is noisy, the
    cosine to the weights of step 0, and the variance entropy as a part of that of random kernels
    [CS231n, understanding-cnn; Gavrikov & Keuper, CVPR 2022]. A click goes to a checkpoint.

    `plot` and its `overlay` are made when there is something to see.
    """

    title: ClassVar[str] = "Noise of the filters over training"
    narrows: ClassVar[bool] = True
    caption_lines: ClassVar[int] = 3
    depends: ClassVar[frozenset[str]] = frozenset({"key", "checkpoint", "layer", "revision"})

    def parts(self) -> tuple[str, ...]:
        """Return the filters."""
        return (FILTERS,)

    def figures(self) -> Sequence[Widget]:
        """Return the legend, the frame of the plot and the line below it."""
        self.plot: Plot | None = None
        self._lines: list[Lines] = []
        self._sent: Trajectory | None = None
        self._pointed = self.clock_line()
        self._frame = VBox(
            layout=Layout(width=f"{self.width}px", height=f"{HEIGHT}px", overflow="hidden")
        )
        names = legend(*((name, colour, "solid") for name, colour in COLOURS.items()))
        return [names, self._frame, self._pointed]

    def picture(self, selection: Selection) -> Noise | None:
        """Return what has been measured of the layer's filters."""
        measured = self.history.all(FILTERS)
        if all(each is None for each in measured):
            return None
        info = filter_layer(self.state, selection.layer)
        return Noise(trajectory(measured, info, self.state.steps), selection.checkpoint)

    def draw_picture(self, picture: Noise) -> None:
        """Send the curves where they have changed, the cursor and the sentence."""
        plot = self.plot or self._make_plot()
        if not picture.trajectory.draws_like(self._sent):
            self._draw_curves(picture.trajectory, plot)
        self._sent = picture.trajectory
        self.overlay.paint(partial(draw_line, plot=plot, index=picture.index))
        self.reveal(self._frame, self.overlay)
        self.say(picture.trajectory.sentence(picture.index))

    def _make_plot(self) -> Plot:
        plot = self.plot = make_plot(self.width, HEIGHT, "step", "", margin=MARGIN)
        line = {"x": np.zeros(1), "y": np.zeros(1), "scales": {"x": plot.x, "y": plot.y}}
        self._lines = [Lines(colors=[each], stroke_width=2, **line) for each in COLOURS.values()]
        plot.figure.marks = self._lines
        self.overlay = Overlay(plot.figure)
        self.overlay.resize(self.width, HEIGHT)
        self.overlay.on_click(self._clicked)
        self.overlay.on_move(self._moved, lambda: self._pointed.show(""))
        self.listen_to(self.overlay)
        return plot

    def _draw_curves(self, found: Trajectory, plot: Plot) -> None:
        highest = float(np.max(found.values[np.isfinite(found.values)], initial=1.0))
        plot.show(span(len(found.steps)), (-0.03, 1.03 * highest))
        mark_steps(plot, found.steps)
        mark_values(plot)
        for mark, row in zip(self._lines, found.values, strict=True):
            known = np.flatnonzero(np.isfinite(row))
            with mark.hold_sync():
                mark.visible = bool(known.size)
                if known.size:
                    mark.x, mark.y = as_lines(known.astype(float), row[known])

    def _clicked(self, x: int, _y: int) -> None:
        if self._sent is not None and self.plot is not None:
            self.go_to(checkpoint_at(self.plot, x, len(self._sent.steps)))

    def _moved(self, x: int, _y: int) -> None:
        found, plot = self._sent, self.plot
        if found is None or plot is None:
            return
        index = checkpoint_at(plot, x, len(found.steps))
        values = zip(SHOWN, found.values[:, index], strict=True)
        known = [f"{name} {value:.2f}" for name, value in values if np.isfinite(value)]
        self._pointed.show(" · ".join([f"step {found.steps[index]:,}", *known]))
