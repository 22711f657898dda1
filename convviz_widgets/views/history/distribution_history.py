"""DistributionHistory: how the values of a layer are distributed, at every checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Unpack

from ipywidgets import Widget
from traitlets import Bool, Enum

from convviz_widgets.checkpoints import label_at
from convviz_widgets.measure import (
    BIASES,
    OUTPUT_GRADIENTS,
    OUTPUTS,
    PRE_ACTIVATIONS,
    QUANTITIES,
    WEIGHT_GRADIENTS,
    WEIGHTS,
)
from convviz_widgets.state import ACTIVATIONS, GRADIENTS, PARAMETERS, ModelState, Selection
from convviz_widgets.tensors import SEQUENTIAL, SIGMAS, Distribution
from convviz_widgets.views.history.distribution_plots import (
    COLUMNS,
    HEIGHT,
    RANGES,
    ROWS,
    WHOLE_RUN,
    DistributionPicture,
    DistributionPlots,
    distribution_picture,
    distributions_of,
    percent,
)
from convviz_widgets.widgets.background_view import HistoryOptions, HistoryView
from convviz_widgets.widgets.controls import choice, line, switch
from convviz_widgets.widgets.plot import empty_frame

HEAT_MAP, BANDS = "heat map", "percentile bands"

IF_NORMAL = f"±{', '.join(f'{each:g}' for each in SIGMAS)} σ if Normal"

LABELS = {
    "weights": WEIGHTS,
    "biases": BIASES,
    "pre-activations (inputs)": PRE_ACTIVATIONS,
    "post-activations (outputs)": OUTPUTS,
    "gradients by the outputs": OUTPUT_GRADIENTS,
    "gradients by the weights": WEIGHT_GRADIENTS,
}

PART_OF = {
    WEIGHTS: PARAMETERS,
    BIASES: PARAMETERS,
    PRE_ACTIVATIONS: ACTIVATIONS,
    OUTPUTS: ACTIVATIONS,
    OUTPUT_GRADIENTS: GRADIENTS,
    WEIGHT_GRADIENTS: GRADIENTS,
}
"""What the history has to measure for each quantity."""


class DistributionHistoryOptions(HistoryOptions, total=False):
    """Options of `DistributionHistory`."""

    quantity: Literal[
        "weights", "biases", "pre-activations", "outputs", "output gradients", "weight gradients"
    ]
    show: Literal["heat map", "percentile bands"]
    values: Literal["whole run", "middle 99 %", "this step"]
    normal: bool


class DistributionHistory(HistoryView):
    """The distribution of weights, biases, activations or gradients of the selected layer.

    On the left every checkpoint is a column: of a heat map, or of bands between TensorBoard's
    percentiles. On the right is the histogram at the clock's step, on the same axis of values. A
    click on a column moves the clock. Exact zeros are counted in words, for their bar would dwarf
    all others.

    The counts are exact: every value is in the one of up to 4,096 bins that it lies in, and the
    rows on the screen are made of whole bins. Percentiles are off by less than one bin.

    `plots` holds what is seen, once there is something to see.

    Examples
    --------
    >>> view = cvw.DistributionHistory(state, quantity="outputs")
    >>> state.history.wait(60)
    True
    >>> view.caption
    'outputs of 0 · step 200 · n = 720 values of 5 images · mean ...'
    >>> state.select(checkpoint=0).step
    0
    >>> view.caption
    'outputs of 0 · step 0 · n = 720 values of 5 images · mean ...'
    """

    title: ClassVar[str] = "Distribution over training"
    caption_lines: ClassVar[int] = 5
    depends: ClassVar[frozenset[str]] = frozenset({"key", "checkpoint", "layer", "revision"})

    quantity = Enum(QUANTITIES, WEIGHTS, help="Which values of the layer.").tag(option=True)
    show = Enum((HEAT_MAP, BANDS), HEAT_MAP, help="How all checkpoints are shown.").tag(option=True)
    values = Enum(RANGES, WHOLE_RUN, help="Ends of the axis of values.").tag(option=True)
    normal = Bool(False, help="Lay a Normal of the same mean and std over the histogram.").tag(
        option=True
    )

    def __init__(self, state: ModelState, **options: Unpack[DistributionHistoryOptions]) -> None:
        super().__init__(state, **options)

    def parts(self, selection: Selection) -> tuple[str, ...]:
        """Return the part that the quantity belongs to."""
        return (PART_OF[self.quantity],)

    def controls(self) -> Sequence[Widget]:
        """Return quantity, picture, axis and overlay."""
        return [
            line(
                choice(self, "quantity", "Of", list(LABELS.items()), 200),
                choice(self, "show", "as", (HEAT_MAP, BANDS), 150),
                choice(self, "values", "axis", RANGES, 128),
                switch(self, "normal", "Normal", 72),
            )
        ]

    def figures(self) -> Sequence[Widget]:
        """Return the frame of the plots, and the line that follows the pointer."""
        self._frame = empty_frame(self.width, HEIGHT)
        self._pointed = self.clock_line()
        self.plots: DistributionPlots | None = None
        return [self._frame, self._pointed]

    def picture(self, selection: Selection) -> DistributionPicture | None:
        """Return all checkpoints of the selected layer, as far as they have been measured."""
        data = distributions_of(
            self.history.all(PART_OF[self.quantity]),
            self.state.steps,
            [info.name for info in self.state.layers],
            selection.layer,
            self.quantity,
        )
        if data is None or not data.known:
            return None
        return distribution_picture(data, selection.checkpoint, self.values, ROWS, COLUMNS)

    def draw_picture(self, picture: DistributionPicture) -> None:
        """Send both plots and the caption."""
        if self.plots is None:  # when first shown: a hidden figure is never measured right
            self.plots = DistributionPlots(self.go_to, self._pointed.show)
            self.listen_to(self.plots.overlay)
        self.plots.show(picture, bands=self.show == BANDS, normal=self.normal)
        self.reveal(self._frame, self.plots.widget)
        self.say(" · ".join(_sentences(picture, self.show, self.normal)))


def _sentences(picture: DistributionPicture, show: str, normal: bool) -> list[str]:
    data, here = picture.data, picture.here
    instead = f" ({data.instead_of} has none)" if data.instead_of else ""
    name = f"{data.quantity} of {data.layer}{instead} · {label_at(data.steps, picture.index)}"
    if here is None:
        return [f"{name}: not measured"]
    images = f" of {data.images} images" if data.images else ""
    return [
        f"{name} · n = {here.n:,} values{images}",
        *_moments(here),
        *_counts(here, picture),
        *_scale(picture, here, show),
        *(["blue: Normal of this mean and std"] if normal else []),
    ]


def _moments(here: Distribution) -> list[str]:
    m = here.moments
    return [
        f"mean {m.mean:.3g}",
        f"std {m.std:.3g}",
        f"skew {m.skew:.3g}",
        f"excess kurtosis {m.kurtosis:.3g}",
        f"{here.low:.3g} to {here.high:.3g}",
    ]


def _counts(here: Distribution, picture: DistributionPicture) -> list[str]:
    zeros = f"exact zeros {here.zeros:,} ({here.zeros / max(1, here.n):.0%}), not drawn"
    outside = here.finite - here.zeros - float(here.counted(picture.edges).sum())
    return [
        zeros,
        f"NaN or infinite {here.non_finite:,}",
        *([f"{outside:,.0f} off the axis"] if outside >= 1 else []),
    ]


def _scale(picture: DistributionPicture, here: Distribution, show: str) -> list[str]:
    if show == BANDS:
        return [f"bands between percentiles, ± {here.width:.2g}; {IF_NORMAL}"]
    low, high = picture.limits
    column = "checkpoint" if picture.group == 1 else f"{picture.group} checkpoints"
    return [
        f"a column a {column}, a row {picture.edges[1] - picture.edges[0]:.3g}",
        f"colour: share of the values, log {percent(low)} to {percent(high)}, {SEQUENTIAL[0]}",
    ]
