"""GradientFlow: do gradients reach the first layers, and how far do they move the weights?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
from ipywidgets import Widget
from traitlets import Enum

from convviz_widgets.checkpoints import apart_in_words
from convviz_widgets.diagnosis import GradientDepth
from convviz_widgets.diagnosis.rules.gradients import (
    EXPLODING_DECADES,
    EXPLODING_SLOPE,
    VANISHING_DECADES,
    VANISHING_SLOPE,
)
from convviz_widgets.errors import number_of
from convviz_widgets.measure import OUTPUT_GRADIENTS, WEIGHT_GRADIENTS, Measurement, gradient_norm
from convviz_widgets.probe import LayerInfo
from convviz_widgets.state import GRADIENTS, UPDATES, ModelState, Selection
from convviz_widgets.tensors import DepthSlope
from convviz_widgets.views.filter_layers import broken_weights
from convviz_widgets.widgets.background_view import HistoryOptions, HistoryView
from convviz_widgets.widgets.controls import choice, legend, line
from convviz_widgets.widgets.layer_curves import Curves, LayerCurves
from convviz_widgets.widgets.plot import (
    COMPACT,
    CURVES,
    Plot,
    PointedPlot,
    draw_line,
    empty_frame,
    finite_points,
    label_ticks,
    make_plot,
    mark_powers_of_ten,
    send,
    span,
    whole_numbers,
)
from convviz_widgets.widgets.raster import Shapes
from convviz_widgets.widgets.text import ACCENT, QUIET

OF = {"layer outputs": OUTPUT_GRADIENTS, "weights": WEIGHT_GRADIENTS}

ALARMS = (
    f"vanishing: ≥ {VANISHING_SLOPE:g} and ≥ {VANISHING_DECADES:g}; "
    f"exploding: ≤ −{-EXPLODING_SLOPE:g} and ≤ −{-EXPLODING_DECADES:g}"
)
"""Decades a layer, and in all, at which the diagnosis raises an alarm."""

NORMS, RATIOS, SLOPES = "gradient norms", "update ratios", "slope over depth"

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


NO_PROFILE = DepthProfile((), (), ())
"""The profile of a checkpoint that has not been measured."""


@dataclass(frozen=True, eq=False)
class FlowPicture:
    """The gradients over depth at the clock's step, and a number over all checkpoints."""

    profile: DepthProfile | None
    """None where the clock's checkpoint has not been measured."""
    slope: DepthSlope | None
    curves: Curves
    selection: Selection
    images: int
    broken: str
    """How many weights are not finite, in words, where there is no slope."""


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

    def parts(self, selection: Selection) -> tuple[str, ...]:
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
        self._depth_frame, self._time_frame = empty_frame(*self.frame), empty_frame(*self.frame)
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
        here, layers = measured[selection.checkpoint], self.state.layers
        depth = None if here is None else depth_of(selection.step, here, layers)
        has_no_slope = depth is not None and math.isnan(depth.line.slope)
        return FlowPicture(
            None if here is None or depth is None else profile_of(here, layers, self.of, depth),
            None if depth is None else depth.line,
            self._over_training(measured),
            selection,
            first.images,
            broken_weights(self.state, layers, selection) if has_no_slope else "",
        )

    def _over_training(self, measured: Sequence[Measurement | None]) -> Curves:
        steps = self.state.steps
        if self.over == SLOPES:
            layers = self.state.layers
            slopes = [
                math.nan if each is None else depth_of(step, each, layers).line.slope
                for step, each in zip(steps, measured, strict=False)
            ]
            return Curves(("slope",), steps, np.array([slopes]))
        if self.over == RATIOS:
            measured = self.history.all(UPDATES)
        numbers = [{} if each is None else self._numbers(each) for each in measured]
        known = {layer for each in numbers for layer in each}
        names = tuple(info.name for info in self.state.layers if info.name in known)
        rows = [[each.get(name, math.nan) for each in numbers] for name in names]
        values = np.array(rows, np.float64).reshape(len(names), len(steps))
        values = np.log10(np.where(values > 0, values, np.nan))
        return Curves(names, steps, values, logarithmic=True, limits=whole_decades(values.ravel()))

    def _numbers(self, measured: Measurement) -> dict[str, float]:
        if self.over == RATIOS:
            return dict(measured.update_ratios)
        return {
            layer: gradient_norm(counted)
            for (layer, quantity), counted in measured.distributions.items()
            if quantity == self.of
        }

    # -- draw ---------------------------------------------------------------------------------

    def draw_picture(self, picture: FlowPicture) -> None:
        """Send both plots and the caption."""
        depth, time = self._plots()
        layer = picture.selection.layer
        depth.show(picture.profile or NO_PROFILE, layer)
        shown = "slope" if self.over == SLOPES else layer
        time.show(picture.curves, shown, picture.selection.checkpoint)
        self.reveal(self._depth_frame, depth.overlay)
        self.reveal(self._time_frame, time.overlay)
        self.say(" · ".join(_sentences(picture, self.over)))

    def _plots(self) -> tuple[DepthPlot, LayerCurves]:
        if self.depth is None or self.curves is None:
            pointed = self._pointed.show
            self.depth = DepthPlot(*self.frame, self._picked_layer, pointed)
            self.curves = LayerCurves(*self.frame, self._picked, pointed)
            self.curves.overlay.pane.label = "gradients of the layers over the checkpoints"
            self.listen_to(self.depth.overlay, self.curves.overlay)
        return self.depth, self.curves

    # -- what the user does -------------------------------------------------------------------

    def _picked_layer(self, layer: str) -> None:
        self.select(layer=layer)

    def _picked(self, checkpoint: int, layer: str | None) -> None:
        is_known = layer in {info.name for info in self.state.layers}  # the slope's curve is none
        changes = {"checkpoint": checkpoint} | ({"layer": layer} if is_known else {})
        self.select(**changes)


def _sentences(picture: FlowPicture, over: str) -> list[str]:
    """Return what the line under the plots says."""
    step = picture.selection.label
    if picture.profile is None or picture.slope is None:
        return [f"{step}: not measured"]
    profile, slope = picture.profile, picture.slope
    zero = [layer for layer, n in zip(profile.layers, profile.norms, strict=True) if n == 0]
    odd = sum(not math.isfinite(norm) for norm in profile.norms)
    return [
        _about_slope(slope),
        *filter(None, [picture.broken]),
        f"loss on n = {picture.images} images, {step}",
        f"exactly zero, left out: {', '.join(zero) or 'none'}",
        *([f"not finite in {number_of(odd, 'layer')}"] if odd else []),
        *([_about_ratios(picture)] if over == RATIOS else []),
    ]


def _about_slope(slope: DepthSlope) -> str:
    if math.isnan(slope.slope):
        return (
            f"no slope: finite and above zero in {slope.used} of "
            f"{number_of(slope.layers, 'layer')} with weights"
        )
    return (
        f"slope {slope.slope:z.2f} decades a layer, {slope.total:z.1f} in all, over the outputs "
        f"of {slope.used} layers with weights (positive: shrinks towards the input; {ALARMS})"
    )


def _about_ratios(picture: FlowPicture) -> str:
    steps, index = picture.curves.steps, picture.selection.checkpoint
    gap = f", here {apart_in_words(steps, index - 1, index)} apart" if index else ""
    return f"update ratio ‖ΔW‖/‖W‖ between neighbouring checkpoints{gap}, not of one step"


def depth_of(step: int, here: Measurement, layers: Sequence[LayerInfo]) -> GradientDepth:
    """Return the gradients over depth, as the rules judge them."""
    return GradientDepth.of(step, here.gradients_over_depth(layers), here.images)


def profile_of(
    here: Measurement, layers: Sequence[LayerInfo], quantity: str, depth: GradientDepth
) -> DepthProfile:
    """Return a gradient in every layer that has it; that by the outputs with its fitted line."""
    names = tuple(info.name for info in layers if (info.name, quantity) in here.distributions)
    fit, line = None, depth.line
    if quantity == OUTPUT_GRADIENTS and not math.isnan(line.slope):
        places = [names.index(name) for name in depth.layers]
        fit = np.array(places, np.float64), line.start + line.slope * np.arange(len(places))
    return DepthProfile(
        names,
        tuple(gradient_norm(here.distributions[name, quantity]) for name in names),
        tuple(here.magnitudes[name, quantity] for name in names),
        fit,
    )


class DepthPlot(PointedPlot):
    """The plot of a `DepthProfile` on a logarithmic axis; a click selects the layer.

    Layers whose gradient is exactly zero have no place on that axis: a 0 stands at the bottom.
    """

    name: ClassVar[str] = "gradients of the layers at the selected checkpoint"

    def __init__(
        self, width: int, height: int, picked: Callable[[str], Any], pointed: Callable[[str], Any]
    ) -> None:
        label = "layers, from the input to the output"
        super().__init__(make_plot(width, height, label, "", margin=COMPACT), pointed)
        dots = {"marker": "circle", "marker_size": 28, "stroke_width": 1.5}
        self._norms = self.plot.new_line(colors=[NORM], **dots)
        self._means = self.plot.new_line(colors=[MEAN], **dots)
        self._fit = self.plot.new_line(colors=[QUIET], line_style="dashed", stroke_width=2)
        self.plot.figure.marks = [self._fit, self._norms, self._means]
        self._profile = NO_PROFILE
        self._picked = picked

    def show(self, profile: DepthProfile, layer: str) -> None:
        """Send the dots, with ``layer`` selected."""
        self._profile = profile
        norms, means = _decades(profile.norms), _decades(profile.means)
        self.plot.show(span(len(profile.layers)), whole_decades([*norms, *means]))
        mark_powers_of_ten(self.plot)
        _name_layers(self.plot, profile.layers)
        send(self._norms, *finite_points(norms))
        send(self._means, *finite_points(means))
        send(self._fit, *(profile.fit or (np.zeros(0), np.zeros(0))))
        self.overlay.paint(partial(self._annotate, profile=profile, layer=layer))

    def _annotate(self, shapes: Shapes, profile: DepthProfile, layer: str) -> None:
        top, bottom = self.plot.top_and_bottom
        shapes.font, shapes.text_align = "11px sans-serif", "center"
        for place, (name, norm) in enumerate(zip(profile.layers, profile.norms, strict=True)):
            x = self.plot.to_pixel(place)
            if x is None:
                continue
            if name == layer:
                draw_line(shapes, self.plot, place)
            shapes.fill_style = NORM
            if norm == 0:
                shapes.fill_text("0", x, bottom - 3)
            elif not math.isfinite(norm):
                shapes.fill_text("∞", x, top + 11)

    def _layer_at(self, x: int) -> int | None:
        last = len(self._profile.layers) - 1
        return min(last, max(0, round(self.plot.to_value(x)))) if last >= 0 else None

    def pick_at(self, x: int, y: int) -> None:
        """Pick the layer at a pixel."""
        place = self._layer_at(x)
        if place is not None:
            self._picked(self._profile.layers[place])

    def words_at(self, x: int, y: int) -> str | None:
        """Say which layer lies at a pixel, and its gradient; None while there is none."""
        place, profile = self._layer_at(x), self._profile
        if place is None:
            return None
        name, norm, mean = profile.layers[place], profile.norms[place], profile.means[place]
        return f"{name}: norm {norm:.3g}, mean |g| {mean:.3g}"


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
