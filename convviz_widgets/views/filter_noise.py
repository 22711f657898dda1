"""The part of the filters' view that says how noisy they are, over all checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from bqplot import Lines
from ipywidgets import Layout, VBox, Widget
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.measure import FilterFacts, Measurement
from convviz_widgets.probe import LayerInfo
from convviz_widgets.state import FILTERS, ModelState, Selection
from convviz_widgets.tensors.filter_quality import (
    FULL_POWER,
    NOISY,
    PERMUTATIONS,
    cause_of,
    has_full_power,
)
from convviz_widgets.widgets.background_view import HistoryView
from convviz_widgets.widgets.controls import legend
from convviz_widgets.widgets.plot import (
    CURVES,
    Plot,
    as_lines,
    checkpoint_at,
    draw_line,
    make_plot,
    mark_steps,
    mark_values,
    span,
)
from convviz_widgets.widgets.raster import Overlay

MARGIN = {"top": 8, "bottom": 40, "left": 50, "right": 12}

HEIGHT = 130

SHOWN = ("noisy filters", "noisy in what changed", "cosine to step 0", "entropy / random")
"""Names of what is drawn; all of it hardly leaves 0 to 1."""

COLOURS = dict(zip(SHOWN, CURVES, strict=False))

LOW_POWER = f"; low power: kernels below {FULL_POWER}×{FULL_POWER}"


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


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The quality of one layer's filters at every checkpoint, as far as it is known."""

    info: LayerInfo
    steps: tuple[int, ...]
    values: np.ndarray
    """(what is `SHOWN`, checkpoints); NaN where it is unknown or undefined."""
    counts: tuple[int | None, ...]
    """Filters that could be ranked at each checkpoint; None where that has not been measured."""

    def draws_like(self, other: Trajectory | None) -> bool:
        """Tell whether the curves of two trajectories are the same."""
        return (
            other is not None
            and self.steps == other.steps
            and np.array_equal(self.values, other.values, equal_nan=True)
        )

    def sentence(self, index: int) -> str:
        """Say how noisy the filters are at a checkpoint, and why."""
        at = f"{self.info.name} · step {self.steps[index]:,}"
        count = self.counts[index]
        if count is None:
            return f"{at} · not measured yet"
        if not count:
            return f"{at} · noisiness means nothing for 1×1, depthwise and fully connected weights"
        share, update, cosine, entropy = self.values[:, index]
        size = tuple(self.info.weight_shape or ())[-2:]
        low = "" if has_full_power(size) else LOW_POWER
        said = [
            at,
            f"{share:.0%} of n = {count} filters are noisy: {NOISY:.0%} or more of {PERMUTATIONS} "
            f"shuffled copies are as smooth{low}",
            cause_of(share, cosine, update),
            f"cosine {cosine:.2f}" if math.isfinite(cosine) else "step 0 unknown",
            f"variance entropy {entropy:.2f} of random" if math.isfinite(entropy) else "",
        ]
        return " · ".join(filter(None, said))


def trajectory(
    measured: Sequence[Measurement | None], info: LayerInfo, steps: tuple[int, ...]
) -> Trajectory:
    """Return what has been measured of a layer's filters."""
    facts = [None if each is None else each.filters.get(info.name) for each in measured]
    counts = (
        None if each is None else 0 if found is None else found.count
        for each, found in zip(measured, facts, strict=True)
    )
    values = np.array([_shown(each) for each in facts], np.float64).reshape(-1, len(SHOWN))
    return Trajectory(info, steps, values.T, tuple(counts))


def _shown(facts: FilterFacts | None) -> tuple[float, ...]:
    """Return what is `SHOWN`, NaN where it is unknown."""
    if facts is None:
        return (math.nan,) * len(SHOWN)
    return facts.share, facts.update_share, facts.cosine, facts.relative_entropy


def filter_layer(state: ModelState, layer: str) -> LayerInfo:
    """Return the layer if it has filters, else the nearest one before it that has.

    An activation, a pooling or a normalisation has none: its maps are made by the filters before
    it, so every view of weights shows those.

    Raises
    ------
    InputError
        If no layer up to this one has filters, naming those that have.
    """
    names = [info.name for info in state.layers]
    for info in reversed(state.layers[: names.index(layer) + 1]):
        if has_filters(info):
            return info
    known = ", ".join(info.name for info in state.layers if has_filters(info))
    raise InputError(f"{layer} has no filters to show; layers with filters: {known or 'none'}")


def has_filters(info: LayerInfo) -> bool:
    """Tell whether a layer's weight is that of a convolution or of a fully connected layer.

    The scales of normalisations and the rows of embeddings have two dimensions or more, too.
    """
    weight = info.weight_shape or ()
    if len(weight) == 2:
        return "Linear" in info.kind or info.shape == weight[:1]
    return len(weight) >= 3 and len(weight) == len(info.shape) + 1


def as_filters(info: LayerInfo, weight: Tensor | None) -> Tensor:
    """Return a weight with the outputs first: a transposed convolution keeps its inputs there."""
    assert weight is not None
    if "Transpose" not in info.kind:
        return weight
    inputs, outputs = weight.shape[:2]
    grouped = weight.reshape(info.groups, inputs // info.groups, outputs, *weight.shape[2:])
    return grouped.transpose(1, 2).reshape(info.groups * outputs, -1, *weight.shape[2:])


def shown_as(info: LayerInfo, layer: str) -> str:
    """Name the layer whose weights are shown, and why, if it is not the selected one."""
    return info.name if info.name == layer else f"{info.name} (feeds {layer}, which has no filters)"
