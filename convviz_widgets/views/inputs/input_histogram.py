"""InputHistogram: how the values that go in are distributed, before and after preprocessing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Unpack

from bqplot import Bars
from ipywidgets import Widget
from torch import Tensor
from traitlets import Enum, Int, Unicode

from convviz_widgets.errors import InputError, unknown
from convviz_widgets.images import ImageSet
from convviz_widgets.images.input_statistics import LEAST, NEAR, InputCounts, input_counts, together
from convviz_widgets.state import ModelState, Selection
from convviz_widgets.tensors import Histogram
from convviz_widgets.views.inputs.gallery_sources import IMAGES, VALIDATION, as_image_set
from convviz_widgets.widgets.controls import choice, line, named
from convviz_widgets.widgets.histogram_view import Counted, HistogramView, non_finite
from convviz_widgets.widgets.view import ViewOptions

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

    source = Enum((IMAGES, VALIDATION), IMAGES, help="Whose values are counted.").tag(option=True)
    side = Enum((TAKEN, UNDONE), TAKEN, help="Before or after undoing.").tag(option=True)
    channel = Unicode(ALL, help='"all channels", or "channel 0" and so on.').tag(option=True)
    count_of = Int(LEAST, min=1, help="Images that are counted, spread over the set.").tag(
        option=True
    )

    _bars: Bars | None = None  # also of a view that was refused before it was built

    def __init__(
        self,
        state: ModelState,
        *,
        validation: ImageSet | Tensor | Any = None,
        **options: Unpack[InputHistogramOptions],
    ) -> None:
        if not isinstance(state, ModelState):
            raise InputError(f"InputHistogram shows a ModelState, got {type(state).__name__}")
        self._sets = {IMAGES: state.image_set}
        if validation is not None:
            self._sets[VALIDATION] = as_image_set(validation)
        channels = [f"channel {index}" for index in range(state.image_set.shape[0])]
        self._channels = [ALL, *channels]
        if options.get("channel", ALL) not in self._channels:
            raise InputError(
                unknown("channel", options["channel"], self._channels, "the images have")
            )
        self._counts: dict[tuple[str, int], InputCounts] = {}
        super().__init__(state, **options)

    def controls(self) -> Sequence[Widget]:
        """Return set, side of the preprocessing and channel."""
        return [
            line(
                choice(self, "source", "Of the", (IMAGES, VALIDATION), 160),
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
            f"{edges[-1]:.4g}{non_finite(counted)}",
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
