"""GradientFlow: do gradients reach the first layers, and how far do they move the weights?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
from ipywidgets import Layout, VBox, Widget
from traitlets import Enum

from convviz_widgets.diagnosis.rules.gradients import (
    EXPLODING_DECADES,
    EXPLODING_SLOPE,
    VANISHING_DECADES,
    VANISHING_SLOPE,
)
from convviz_widgets.measure import OUTPUT_GRADIENTS, WEIGHT_GRADIENTS, Measurement
from convviz_widgets.state import GRADIENTS, UPDATES, ModelState, Selection
from convviz_widgets.tensors import DepthSlope, depth_slope
from convviz_widgets.views.history.depth_plot import (
    MEAN,
    NORM,
    DepthPlot,
    DepthProfile,
    whole_decades,
)
from convviz_widgets.widgets.background_view import HistoryOptions, HistoryView
from convviz_widgets.widgets.controls import choice, legend, line
from convviz_widgets.widgets.layer_curves import Curves, LayerCurves
from convviz_widgets.widgets.text import ACCENT, QUIET

OF = {"layer outputs": OUTPUT_GRADIENTS, "weights": WEIGHT_GRADIENTS}

LIMITS = (
    f"vanishing: ≥ {VANISHING_SLOPE:g} and ≥ {VANISHING_DECADES:g}; "
    f"exploding: ≤ −{-EXPLODING_SLOPE:g} and ≤ −{-EXPLODING_DECADES:g}"
)
"""Decades a layer, and in all, at which the diagnosis raises an alarm."""

NORMS, RATIOS, SLOPES = "gradient norms", "update ratios", "slope over depth"


@dataclass(frozen=True, eq=False)
class FlowPicture:
    """The gradients over depth at the clock's step, and a number over all checkpoints."""

    profile: DepthProfile | None
    """None where the clock's checkpoint has not been measured."""
    slope: DepthSlope | None
    curves: Curves
    selection: Selection
    images: int


class GradientFlowOptions(HistoryOptions, total=False):
    """Options of `GradientFlow`."""

    of: Literal["output gradients", "weight gradients"]
    over: Literal["gradient norms", "update ratios", "slope over depth"]


class GradientFlow(HistoryView):
    """Norm and mean magnitude of the gradient in every layer, over depth and over training.

    The loss on the probe batch, differentiated by the layers' outputs or weights. The dashed line
    is the slope of log10 ‖∂loss/∂output‖ over the layers with weights: positive where gradients
    shrink towards the input. Layers whose gradient is exactly zero are left out of it and shown as
    0. Below: the norms of every layer, their slope, or how far the weights move from a checkpoint
    to the next.

    `depth` and `curves` are the two plots, once there is something to see.

    Examples
    --------
    >>> view = cvw.GradientFlow(state)
    >>> state.history.wait(60)
    True
    >>> view.caption
    'slope ... decades a layer, ... · loss on n = 5 images, step 200 · exactly zero, left out: none'
    >>> view.curves.curves.layers
    ('0', '1', '2', '3')
    """

    title: ClassVar[str] = "Gradient flow"
    caption_lines: ClassVar[int] = 5
    depends: ClassVar[frozenset[str]] = frozenset({"key", "checkpoint", "layer", "revision"})
    frame: ClassVar[tuple[int, int]] = (566, 210)

    of = Enum(tuple(OF.values()), OUTPUT_GRADIENTS, help="Gradient with respect to what.").tag(
        option=True
    )
    over = Enum((NORMS, RATIOS, SLOPES), NORMS, help="What is shown over training.").tag(
        option=True
    )

    def __init__(self, state: ModelState, **options: Unpack[GradientFlowOptions]) -> None:
        super().__init__(state, **options)

    def parts(self) -> tuple[str, ...]:
        """Return the gradients, and for update ratios the neighbouring checkpoints' weights."""
        return (GRADIENTS, UPDATES) if self.over == RATIOS else (GRADIENTS,)

    def controls(self) -> Sequence[Widget]:
        """Return what the gradients are of, and what is shown over training."""
        return [
            line(
                choice(self, "of", "Gradients by the", list(OF.items()), 230),
                choice(self, "over", "over training", (NORMS, RATIOS, SLOPES), 240),
            )
        ]

    def figures(self) -> Sequence[Widget]:
        """Return the two frames with their legends, and the line that follows the pointer."""
        width, height = self.frame
        still = {"width": f"{width}px", "height": f"{height}px", "overflow": "hidden"}
        self._depth_frame, self._time_frame = (
            VBox(layout=Layout(**still)),
            VBox(layout=Layout(**still)),
        )
        self.depth: DepthPlot | None = None
        self.curves: LayerCurves | None = None
        self._pointed = self.clock_line()
        above = legend(
            ("norm", NORM, "solid"), ("mean |g|", MEAN, "solid"), ("slope", QUIET, "dashed")
        )
        below = legend(("selected layer", ACCENT, "solid"), ("other layers", QUIET, "solid"))
        return [above, self._depth_frame, below, self._time_frame, self._pointed]

    # -- compute ------------------------------------------------------------------------------

    def picture(self, selection: Selection) -> FlowPicture | None:
        """Return both plots, as far as the gradients have been measured."""
        measured = self.history.all(GRADIENTS)
        first = next((each for each in measured if each is not None), None)
        if first is None:
            return None
        here = measured[selection.checkpoint]
        return FlowPicture(
            None if here is None else self._profile(here),
            None if here is None else self._slope(here),
            self._over_training(measured),
            selection,
            first.images,
        )

    def _profile(self, here: Measurement) -> DepthProfile:
        layers = tuple(
            info.name for info in self.state.layers if (info.name, self.of) in here.distributions
        )
        norms = tuple(norm_of(here, layer, self.of) for layer in layers)
        means = tuple(here.magnitudes[layer, self.of] for layer in layers)
        fit = self._fit(here, layers) if self.of == OUTPUT_GRADIENTS else None
        return DepthProfile(layers, norms, means, fit)

    def _fit(
        self, here: Measurement, layers: tuple[str, ...]
    ) -> tuple[np.ndarray, np.ndarray] | None:
        slope = self._slope(here)
        if math.isnan(slope.slope):
            return None
        places = np.array([layers.index(name) for name in self._weighted(here)], np.float64)
        return places, slope.start + slope.slope * np.arange(len(places))

    def _slope(self, here: Measurement) -> DepthSlope:
        weighted = self._weighted(here)
        return depth_slope([norm_of(here, layer, OUTPUT_GRADIENTS) for layer in weighted])

    def _weighted(self, here: Measurement) -> list[str]:
        """Return the layers over which the slope is taken: with weights of two dimensions."""
        return [
            info.name
            for info in self.state.layers
            if info.weight_shape is not None
            and len(info.weight_shape) >= 2
            and (info.name, OUTPUT_GRADIENTS) in here.distributions
        ]

    def _over_training(self, measured: Sequence[Measurement | None]) -> Curves:
        steps = self.state.steps
        if self.over == SLOPES:
            slopes = [math.nan if each is None else self._slope(each).slope for each in measured]
            return Curves(("slope",), steps, np.array([slopes]))
        if self.over == RATIOS:
            measured = self.history.all(UPDATES)
        numbers = [{} if each is None else self._numbers(each) for each in measured]
        known = {layer for each in numbers for layer in each}
        layers = tuple(info.name for info in self.state.layers if info.name in known)
        rows = [[each.get(layer, math.nan) for each in numbers] for layer in layers]
        values = np.array(rows, np.float64).reshape(len(layers), len(steps))
        values = np.log10(np.where(values > 0, values, np.nan))
        return Curves(layers, steps, values, logarithmic=True, limits=whole_decades(values.ravel()))

    def _numbers(self, measured: Measurement) -> dict[str, float]:
        if self.over == RATIOS:
            return dict(measured.update_ratios)
        layers = [layer for layer, quantity in measured.distributions if quantity == self.of]
        return {layer: norm_of(measured, layer, self.of) for layer in layers}

    # -- draw ---------------------------------------------------------------------------------

    def draw_picture(self, picture: FlowPicture) -> None:
        """Send both plots and the caption."""
        depth, time = self._plots()
        layer = picture.selection.layer
        depth.show(picture.profile or DepthProfile((), (), ()), layer)
        shown = "slope" if self.over == SLOPES else layer
        time.show(picture.curves, shown, picture.selection.checkpoint)
        self.reveal(self._depth_frame, depth.overlay)
        self.reveal(self._time_frame, time.overlay)
        self.say(" · ".join(self._sentences(picture)))

    def _plots(self) -> tuple[DepthPlot, LayerCurves]:
        if self.depth is None or self.curves is None:
            pointed = self._pointed.show
            self.depth = DepthPlot(*self.frame, picked=self._picked_layer, pointed=pointed)
            self.curves = LayerCurves(*self.frame, picked=self._picked, pointed=pointed)
            self.listen_to(self.depth.overlay, self.curves.overlay)
        return self.depth, self.curves

    def _sentences(self, picture: FlowPicture) -> list[str]:
        """Return what the line under the plots says."""
        step = f"step {picture.selection.step:,}"
        if picture.profile is None or picture.slope is None:
            return [f"{step}: not measured"]
        profile, slope = picture.profile, picture.slope
        zero = [layer for layer, n in zip(profile.layers, profile.norms, strict=True) if n == 0]
        odd = sum(not math.isfinite(norm) for norm in profile.norms)
        return [
            f"slope {slope.slope:.2f} decades a layer, {slope.total:.1f} in all, over the outputs "
            f"of {slope.used} layers with weights (positive: shrinks towards the input; {LIMITS})",
            f"loss on n = {picture.images} images, {step}",
            f"exactly zero, left out: {', '.join(zero) or 'none'}",
            *([f"not finite in {odd} layers"] if odd else []),
            *self._about_training(picture.selection.checkpoint),
        ]

    def _about_training(self, index: int) -> list[str]:
        if self.over != RATIOS:
            return []
        steps = self.state.steps
        gap = f", here {steps[index] - steps[index - 1]:,} steps apart" if index else ""
        return [f"update ratio ‖ΔW‖/‖W‖ between neighbouring checkpoints{gap}, not of one step"]

    # -- what the user does -------------------------------------------------------------------

    def _picked_layer(self, layer: str) -> None:
        self.guarded(lambda: self.state.select(layer=layer))

    def _picked(self, checkpoint: int, layer: str | None) -> None:
        known = {info.name for info in self.state.layers}
        changes: dict[str, Any] = {"checkpoint": checkpoint}
        if layer in known:
            changes["layer"] = layer
        self.guarded(lambda: self.state.select(**changes))


def norm_of(measured: Measurement, layer: str, quantity: str) -> float:
    """Return the Euclidean norm of a gradient; infinite where a value of it is not finite."""
    counted = measured.distributions[layer, quantity]
    return math.inf if counted.non_finite else counted.moments.norm
