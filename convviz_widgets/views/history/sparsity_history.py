"""SparsityHistory: do activations get sparse and local while the model trains?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

import numpy as np
from ipywidgets import HBox, Layout, Select, VBox, Widget

from convviz_widgets.checkpoints import label_at
from convviz_widgets.measure import OUTPUTS, PRE_ACTIVATIONS, Measurement
from convviz_widgets.probe import can_die
from convviz_widgets.state import ACTIVATIONS, ModelState, Selection
from convviz_widgets.sweeps import rate_bound
from convviz_widgets.views.history.distribution_plots import layer_with
from convviz_widgets.widgets.background_view import HistoryOptions, HistoryView
from convviz_widgets.widgets.controls import fill, named
from convviz_widgets.widgets.layer_curves import Curves, LayerCurves
from convviz_widgets.widgets.plot import empty_frame
from convviz_widgets.widgets.text import Text


@dataclass(frozen=True, eq=False)
class SparsityPicture:
    """Sparsity and concentration of every activation layer, and both at the clock's step."""

    sparsity: Curves
    concentration: Curves
    rows: tuple[str, ...]
    """The layers with their numbers at the clock's step, in words."""
    layer: str
    """The activation layer that is highlighted: the selected one, or the next that runs."""
    instead_of: str
    index: int
    images: int


class SparsityHistory(HistoryView):
    """Sparsity and concentration of every activation layer over all checkpoints.

    Sparsity is the share of exact zeros after the nonlinearity. Concentration is the smallest
    share of positions that holds half of a map's mass, averaged over the maps that are not zero
    everywhere: small means local [CS231n, understanding-cnn]. Beside them the dead channels: those
    that are exactly zero everywhere on every probe image. A click on a curve moves the clock and
    selects the layer.

    `curves` holds the two plots, once there is something to see.

    Examples
    --------
    >>> view = cvw.SparsityHistory(state)
    >>> state.history.wait(60)
    True
    >>> view.control("Activation layers at the clock's step").value = "1"
    >>> state.layer
    '1'
    >>> view.caption
    'after the nonlinearity · step 200 · n = 5 images · highlighted: 1 · ...'
    """

    title: ClassVar[str] = "Sparsity over training"
    caption_lines: ClassVar[int] = 4
    depends: ClassVar[frozenset[str]] = frozenset({"key", "checkpoint", "layer", "revision"})
    frame: ClassVar[tuple[int, int]] = (282, 220)

    def __init__(self, state: ModelState, **options: Unpack[HistoryOptions]) -> None:
        super().__init__(state, **options)

    def parts(self, selection: Selection) -> tuple[str, ...]:
        """Return the activations."""
        return (ACTIVATIONS,)

    def figures(self) -> Sequence[Widget]:
        """Return the two frames, side by side, and the list of layers."""
        self.curves: list[LayerCurves] = []
        self._frames = [empty_frame(*self.frame), empty_frame(*self.frame)]
        names = ("sparsity: share of exact zeros", "concentration: share holding half the mass")
        columns = [
            VBox([Text(name, "quiet"), frame], layout=Layout(overflow="hidden"))
            for name, frame in zip(names, self._frames, strict=True)
        ]
        self._pointed = self.clock_line()
        self._list = Select(rows=6, layout=Layout(width="562px"))
        named(self._list, "Activation layers at the clock's step")
        self._list.add_class("cvw-mono")
        self.when_chosen(self._list, lambda layer: self.select(layer=layer))
        plots = HBox(columns, layout=Layout(overflow="hidden", flex="0 0 auto"))
        return [plots, self._pointed, self._list]

    # -- compute ------------------------------------------------------------------------------

    def picture(self, selection: Selection) -> SparsityPicture | None:
        """Return the curves, as far as they have been measured."""
        measured = self.history.all(ACTIVATIONS)
        first = next((each for each in measured if each is not None), None)
        if first is None:
            return None
        names = [info.name for info in self.state.layers]
        found = {name for name, quantity in first.distributions if quantity == PRE_ACTIVATIONS}
        layer = layer_with(PRE_ACTIVATIONS, selection.layer, names, found)
        layers = tuple(name for name in names if name in found)
        sparsity = self._curves_of(measured, layers, _sparsity)
        concentration = self._curves_of(measured, layers, _concentration)
        here = measured[selection.checkpoint]
        return SparsityPicture(
            sparsity,
            concentration,
            tuple(self._row(name, here) for name in layers),
            layer,
            "" if layer == selection.layer else selection.layer,
            selection.checkpoint,
            first.images,
        )

    def _curves_of(
        self, measured: Sequence[Measurement | None], layers: tuple[str, ...], number: Any
    ) -> Curves:
        rows = [
            [math.nan if each is None else number(each, layer) for each in measured]
            for layer in layers
        ]
        values = np.array(rows, np.float64)
        top = float(np.nanmax(values, initial=0.0))
        return Curves(layers, self.state.steps, values, limits=(0.0, min(1.0, 1.08 * top or 1.0)))

    def _row(self, layer: str, here: Measurement | None) -> str:
        if here is None:
            return f"{layer:<24.24} not measured"
        dead = "does not apply"
        if can_die(self.state.layer_info(layer)) and layer in here.fired:
            fired = here.fired[layer]
            dead = f"{int((fired == 0).sum())} of {len(fired)}"
        sparsity, local = _sparsity(here, layer), _concentration(here, layer)
        share = "-" if math.isnan(local) else f"{local:.3f}"
        return f"{layer:<24.24} sparsity {sparsity:.3f}  concentration {share:<5}  dead {dead}"

    # -- draw ---------------------------------------------------------------------------------

    def draw_picture(self, picture: SparsityPicture) -> None:
        """Send both plots, the list and the caption."""
        if not self.curves:
            self._make_plots()
        shown = (picture.sparsity, picture.concentration)
        for plot, frame, curves in zip(self.curves, self._frames, shown, strict=True):
            plot.show(curves, picture.layer, picture.index)
            self.reveal(frame, plot.overlay)
        rows = list(zip(picture.rows, picture.sparsity.layers, strict=True))
        fill(self._list, rows, None if picture.instead_of else picture.layer)
        self.say(" · ".join(_sentences(picture)))

    def _make_plots(self) -> None:
        for quantity in ("sparsity", "concentration"):
            plot = LayerCurves(*self.frame, self._picked, self._pointed.show)
            plot.overlay.pane.label = f"{quantity} of the layers over the checkpoints"
            self.curves.append(plot)
        self.listen_to(*(plot.overlay for plot in self.curves))

    # -- what the user does -------------------------------------------------------------------

    def _picked(self, checkpoint: int, layer: str | None) -> None:
        changes = {"checkpoint": checkpoint} | ({} if layer is None else {"layer": layer})
        self.select(**changes)


def _sparsity(measured: Measurement, layer: str) -> float:
    counted = measured.distributions.get((layer, OUTPUTS))
    return math.nan if counted is None or not counted.n else counted.zeros / counted.n


def _concentration(measured: Measurement, layer: str) -> float:
    return measured.concentration.get(layer, math.nan)


def _sentences(picture: SparsityPicture) -> list[str]:
    instead = f" (the next activation after {picture.instead_of})" if picture.instead_of else ""
    bound = rate_bound(picture.images)
    return [
        f"after the nonlinearity · {label_at(picture.sparsity.steps, picture.index)}",
        f"n = {picture.images} images",
        f"highlighted: {picture.layer}{instead}",
        "concentration: mean over the maps that are not zero everywhere, small is local",
        f"dead: zero everywhere on all n images, so the channel fires on less than {bound:.1%} "
        "of images (95 % bound, 3/n)",
    ]
