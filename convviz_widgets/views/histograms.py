"""ActivationHistogram, WeightHistogram and InputHistogram: how values are distributed, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
from bqplot import Bars, Figure, LinearScale
from ipywidgets import Widget
from torch import Tensor
from traitlets import Enum, Int, Unicode, validate

from convviz_widgets.errors import InputError, unknown
from convviz_widgets.images import ImageSet, as_image_set
from convviz_widgets.images.input_statistics import LEAST, NEAR, InputCounts, input_counts, together
from convviz_widgets.state import ModelState, Selection
from convviz_widgets.tensors import (
    Histogram,
    Limits,
    full_limits,
    histogram,
    summary,
    to_display_array,
)
from convviz_widgets.tensors.display import only_read
from convviz_widgets.views.filter_layers import as_filters, filter_layer, shown_as
from convviz_widgets.widgets.controls import SIDES, choice, line, named, side_choice
from convviz_widgets.widgets.framed_view import CLOCK, FramedView
from convviz_widgets.widgets.frames import Frame, FrameBook
from convviz_widgets.widgets.plot import Plot, count_end, empty_frame, make_plot
from convviz_widgets.widgets.text import ACCENT, PageText, Text, WrittenByPage, escaped
from convviz_widgets.widgets.view import ViewOptions

MARGIN = {"top": 10, "bottom": 44, "left": 58, "right": 20}

TICKS = 3
"""Parts that the ticks divide an axis into."""


@dataclass(frozen=True)
class Counted:
    """A histogram with what its axes mean."""

    histogram: Histogram
    quantity: str
    """What is counted, with its unit."""
    caption: str


class PageBars(WrittenByPage, Bars):
    """Bars that the page writes; see `Frame`."""

    written = frozenset({"x", "y"})


class PageScale(WrittenByPage, LinearScale):
    """A scale whose ends the page writes; see `Frame`."""

    written = frozenset({"min", "max"})


class HistogramView(FramedView):
    """Show a `Histogram`; a subclass says of what.

    The bars, the ends of the axes and the caption are written by the page, from the frame of the
    checkpoint that its clock points at.

    `counts` are the heights of its bars, `figure` is what is in the page while it is seen.
    """

    width: ClassVar[int] = 286
    frame: ClassVar[tuple[int, int]] = (284, 272)
    caption_text: ClassVar[type[Text]] = PageText

    def build(self) -> Sequence[Widget]:
        """Return the controls and the frame that the figure will stand in."""
        self._plot: Plot | None = None
        self._frame = empty_frame(*self.frame)
        controls = self.controls()
        book = FrameBook(self.state, self.framed - CLOCK)
        self.keep_frames(book)
        return [*controls, self._frame, book]

    @property
    def counts(self) -> np.ndarray:
        """How many values there are in each bar that is seen.

        >>> int(cvw.WeightHistogram(state).counts.sum()) == state.weight().numel()
        True
        """
        return np.zeros(0) if self._plot is None else np.asarray(self._plot.figure.marks[0].y)

    @property
    def figure(self) -> Figure | None:
        """The figure in the page; None while the view is hidden."""
        return next(iter(self._frame.children), None)

    def draw(self, result: Counted) -> None:
        """Send positions and counts of the bars."""
        if self._plot is None:
            self._plot = self._make_plot()  # when first shown: a hidden figure has no size
        plot = self._plot
        frame = self._frame_of(result, plot)
        for widget, values in frame.writes.items():
            with widget.hold_sync():
                for name, value in values.items():
                    setattr(widget, name, value)
        plot.figure.axes[0].label = result.quantity
        self.reveal(self._frame, plot.figure)
        self.show_frame(frame, self.state.selection)

    def frame_at(self, selection: Selection) -> Frame:
        """Return the bars of any selection, with their caption."""
        assert self._plot is not None  # frames are asked for when it is shown
        return self._frame_of(self.compute(selection), self._plot)

    def _frame_of(self, counted: Counted, plot: Plot) -> Frame:
        histogram = counted.histogram
        across = float(histogram.edges[0]), float(histogram.edges[-1])
        up = (0.0, count_end(int(histogram.counts.max(initial=0)), TICKS))
        bars = {"x": histogram.centers, "y": histogram.counts.astype(float)}
        caption = {"value": escaped(counted.caption)}
        (mark,) = plot.figure.marks
        return Frame(writes={**plot.ends(across, up), mark: bars, self._caption: caption})

    def _make_plot(self) -> Plot:
        plot = make_plot(*self.frame, "", "count", margin=MARGIN, linear=PageScale)
        across, up = plot.figure.axes
        across.tick_format, up.tick_format, up.label_offset = ".3~g", ".3~s", "44px"
        across.num_ticks = up.num_ticks = TICKS + 1
        scales = {"x": plot.x, "y": plot.y}
        plot.figure.marks = [PageBars(x=np.zeros(1), y=np.zeros(1), scales=scales, colors=[ACCENT])]
        return plot


def _in_bins(values: np.ndarray, layer: np.ndarray) -> Histogram:
    """Count some of a layer's values, on an axis that spans all of them."""
    limits = full_limits(layer)
    if limits.constant:
        margin = abs(limits.low) * 0.5 or 0.5
        limits = Limits(limits.low - margin, limits.high + margin)
    return histogram(values, bins=48, limits=limits)


def _non_finite_note(counted: Histogram) -> str:
    """Say how many values are NaN or infinite, if any."""
    count = counted.nan + counted.positive_inf + counted.negative_inf
    return f" · {count:,} NaN or infinite, not drawn" if count else ""


# -- of a layer ----------------------------------------------------------------------------------

ACTIVATION_SCOPES = ("channel", "layer")

WEIGHT_SCOPES = ("layer", "filter")


class ActivationHistogramOptions(ViewOptions, total=False):
    """Options of `ActivationHistogram`."""

    scope: Literal["channel", "layer"]
    side: Literal["out", "in"]


class ActivationHistogram(HistogramView):
    """Histogram of the selected channel's (or layer's) values on the selected image.

    The axis spans the layer's values, so that channels can be compared. Exact zeros are counted
    in words instead of a bar, which would dwarf all others.

    Examples
    --------
    >>> view = cvw.ActivationHistogram(state, scope="layer")
    >>> int(view.counts.sum())  # 4 channels of 6×6, none of the values is zero
    144
    """

    title: ClassVar[str] = "Activation values"
    caption_lines: ClassVar[int] = 3
    depends: ClassVar[frozenset[str]] = frozenset({"key", "image", "layer", "channel"})
    framed: ClassVar[frozenset[str]] = depends
    looks_ahead: ClassVar[bool] = True

    scope = Enum(ACTIVATION_SCOPES, "channel", help="Values of the channel or of the layer.").tag(
        option=True
    )
    side = Enum(tuple(SIDES.values()), "out", help="Output, or input of an activation.").tag(
        option=True
    )

    def __init__(self, state: ModelState, **options: Unpack[ActivationHistogramOptions]) -> None:
        super().__init__(state, **options)

    def controls(self) -> Sequence[Widget]:
        """Return scope and side."""
        return [
            line(choice(self, "scope", "Of the", ACTIVATION_SCOPES, 150)),
            line(side_choice(self)),
        ]

    def compute(self, selection: Selection) -> Counted:
        """Count the values that are not exactly zero."""
        reason = self.state.layer_info(selection.layer).without_channels
        if reason and self.scope == "channel":
            raise InputError(f"{reason}; all of its values can be shown")
        layer = only_read(self.state.recorded(side=self.side, selection=selection))
        values = layer[selection.channel] if self.scope == "channel" else layer
        counted = _in_bins(values[values != 0], layer)
        of = f"channel {selection.channel}" if self.scope == "channel" else "all channels"
        zeros = int((values == 0).sum())
        caption = (
            f"{selection.layer}, {of} · {selection.label} · n = {values.size:,} values of "
            f"1 image · exact zeros {zeros / max(1, values.size):.0%}, not drawn"
            f"{_non_finite_note(counted)}"
        )
        return Counted(counted, "activation", caption)


class WeightHistogramOptions(ViewOptions, total=False):
    """Options of `WeightHistogram`."""

    scope: Literal["layer", "filter"]


class WeightHistogram(HistogramView):
    """Histogram of the weights of the selected layer's filters at the selected checkpoint.

    For a layer without filters, a normalisation too: those of the layer that feeds it.

    Examples
    --------
    >>> view = cvw.WeightHistogram(state, scope="filter")
    >>> view.caption
    '0, filter 0 · step 200 · n = 9 weights · mean ... · std ...'
    """

    title: ClassVar[str] = "Weights"
    caption_lines: ClassVar[int] = 3
    depends: ClassVar[frozenset[str]] = frozenset({"key", "layer", "channel"})
    framed: ClassVar[frozenset[str]] = depends
    looks_ahead: ClassVar[bool] = True
    instant: ClassVar[bool] = True
    reads_weights: ClassVar[bool] = True

    scope = Enum(WEIGHT_SCOPES, "layer", help="All weights, or those of the channel's filter.").tag(
        option=True
    )

    def __init__(self, state: ModelState, **options: Unpack[WeightHistogramOptions]) -> None:
        super().__init__(state, **options)

    def controls(self) -> Sequence[Widget]:
        """Return the scope."""
        return [line(choice(self, "scope", "Of the", WEIGHT_SCOPES, 150))]

    def compute(self, selection: Selection) -> Counted:
        """Count the weights."""
        info = filter_layer(self.state, selection.layer)
        weight = self.state.weight(info.name, selection=selection)
        layer = to_display_array(as_filters(info, weight))
        channel = min(selection.channel, len(layer) - 1)
        values = layer[channel] if self.scope == "filter" else layer
        facts = summary(values)
        counted = _in_bins(values, layer)
        of = f"filter {channel}" if self.scope == "filter" else "all filters"
        moments = f"mean {facts.mean:.3g} · std {facts.std:.3g}"
        caption = (
            f"{shown_as(info, selection.layer)}, {of} · {selection.label}"
            f" · n = {values.size:,} weights{_non_finite_note(counted)} · "
            f"{'no finite value' if facts.non_finite == facts.n else moments}"
        )
        return Counted(counted, "weight", caption)


# -- of what goes in -----------------------------------------------------------------------------

SOURCES = ("images", "validation")

TAKEN, UNDONE = "as the model takes them", "preprocessing undone"

ALL = "all channels"


class InputHistogramOptions(ViewOptions, total=False):
    """Options of `InputHistogram`."""

    source: Literal["images", "validation"]
    side: Literal["as the model takes them", "preprocessing undone"]
    channel: str
    count_of: int


class InputHistogram(HistogramView):
    """Histogram of the values of many images, of all channels or of one.

    Undone values have a bin for each of the 256 levels; what lies outside is counted in words.

    Parameters
    ----------
    state
        Its images are the first set.
    validation
        Another `ImageSet`, tensor or map-style data set of images.

    Examples
    --------
    >>> view = cvw.InputHistogram(state, side="preprocessing undone")
    >>> view.caption
    'all channels of n = 5 of 5 images, 180 values · 256 bins from -0.5 to 255.5, ...'
    """

    title: ClassVar[str] = "Input values"
    width: ClassVar[int] = 566
    frame: ClassVar[tuple[int, int]] = (564, 272)
    caption_lines: ClassVar[int] = 4
    depends: ClassVar[frozenset[str]] = frozenset({"direction"})
    """What goes in depends on no field; without any field the view would never draw."""
    instant: ClassVar[bool] = True

    source = Enum(SOURCES, "images", help="Whose values are counted.").tag(option=True)
    side = Enum((TAKEN, UNDONE), TAKEN, help="Before or after undoing.").tag(option=True)
    channel = Unicode(ALL, help='"all channels", or "channel 0" and so on.').tag(option=True)
    count_of = Int(LEAST, min=1, help="Images that are counted, spread over the set.").tag(
        option=True
    )

    def __init__(
        self,
        state: ModelState,
        *,
        validation: ImageSet | Tensor | Any = None,
        **options: Unpack[InputHistogramOptions],
    ) -> None:
        self.refuse_others(state)
        self._sets = {"images": state.image_set}
        if validation is not None:
            self._sets["validation"] = as_image_set(validation)
        channels = [f"channel {index}" for index in range(state.image_set.shape[0])]
        self._channels = [ALL, *channels]
        self._counts: dict[tuple[str, int], InputCounts] = {}
        super().__init__(state, **options)

    @validate("channel")
    def _checked_channel(self, proposal: Any) -> str:
        if proposal.value not in self._channels:
            raise InputError(unknown("channel", proposal.value, self._channels, "the images have"))
        return str(proposal.value)

    def controls(self) -> Sequence[Widget]:
        """Return set, side of the preprocessing and channel."""
        return [
            line(
                choice(self, "source", "Of the", SOURCES, 160),
                choice(self, "side", "Values", (TAKEN, UNDONE), 240),
                named(choice(self, "channel", "", self._channels, 130), "Channel"),
            )
        ]

    def compute(self, selection: Selection) -> Counted:
        """Count the values of the set, of one channel or of all together."""
        if self.source not in self._sets:
            raise InputError(
                "there is no validation set to count: InputHistogram(state, validation=images)"
            )
        key = (self.source, self.count_of)
        if key not in self._counts:
            self._counts[key] = input_counts(self._sets[self.source], self.count_of)
        counts = self._counts[key]
        parts = counts.taken if self.side == TAKEN else counts.undone
        counted = together(*self._chosen(parts))
        quantity = "value" if self.side == TAKEN else "undone value, times 255"
        return Counted(counted, quantity, self._in_words(counts, counted))

    def _chosen(self, parts: tuple[Histogram, ...]) -> tuple[Histogram, ...]:
        if self.channel == ALL:
            return parts
        return (parts[self._channels.index(self.channel) - 1],)

    def _in_words(self, counts: InputCounts, counted: Histogram) -> str:
        found = counts.statistics
        if self.channel == ALL:
            mean, std, rms = found.overall
        else:
            index = int(self.channel.removeprefix("channel "))
            mean, std, rms = (float(each[index]) for each in (found.mean, found.std, found.rms))
        edges = counted.edges
        said = [
            f"{self.channel} of n = {found.n:,} of {len(self._sets[self.source]):,} images, "
            f"{counted.n:,} values · {len(counted.counts)} bins from {edges[0]:.4g} to "
            f"{edges[-1]:.4g}{_non_finite_note(counted)}",
            f"as the model takes them: mean {mean:.3g}, std {std:.3g}, RMS {rms:.3g}",
            f"undone: {found.clipped:.2%} clipped, {found.whole:.1%} within {NEAR:g} of whole "
            "numbers",
        ]
        if self.side == UNDONE:
            said[0] += f", {counted.below:,} below, {counted.above:,} above"
        if found.failures:
            first = next(iter(found.failures.values()))
            said.append(f"{len(found.failures)} cannot be read: {first}")
        return " · ".join(said)
