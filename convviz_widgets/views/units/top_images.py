"""TopImages: the nine images that excite a channel most, and what in them it answers to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
from ipywidgets import (
    BoundedIntText,
    Checkbox,
    Dropdown,
    GridBox,
    HBox,
    Image,
    Layout,
    VBox,
    Widget,
)
from traitlets import Bool, Enum

from convviz_widgets.errors import ConvVizError
from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState, Selection
from convviz_widgets.sweeps import SweepResult
from convviz_widgets.views.units.top_picture import (
    BLOCK,
    COLUMNS,
    HEIGHT,
    PERCENTILE,
    RIGHT,
    WIDTH,
    TopPicture,
    draw_outlines,
    labels_of,
    paint_slots,
    tile_at,
)
from convviz_widgets.views.units.top_slots import (
    SAME,
    Found,
    Ranking,
    Slot,
    direction_of,
    ranking,
    slots_of,
)
from convviz_widgets.widgets.background_view import Offer, SweepView
from convviz_widgets.widgets.controls import PointerLine, choice, last_control, line, switch
from convviz_widgets.widgets.raster import EMPTY_PNG, Overlay
from convviz_widgets.widgets.text import Text, TileLabels
from convviz_widgets.widgets.view import ViewOptions

DECONVNET, GUIDED, GRADIENT = "deconvnet", "guided", "gradient"

FIELD, WHOLE = "receptive field", "whole image"

SEEDS = 1_000_000


class TopImagesOptions(ViewOptions, total=False):
    """Options of `TopImages`."""

    method: Literal["deconvnet", "guided", "gradient"]
    show: Literal["receptive field", "whole image"]
    own_scale: bool


class TopImages(SweepView):
    """Nine patches that excite the selected channel most, beside their reconstructions.

    One hit an image and at most one a source [Zeiler and Fergus, ECCV 2014], cropped to what the
    unit sees; where that is more than 75 % of the image, the whole image with the box outlined that
    holds 90 % of |R|². The reconstruction runs back from the unit: by default through a deconvnet,
    which hands on what is positive whatever the ReLU let through. It is signed: grey is zero. Sums
    and average pools hand the signal on, local response normalisation is the identity: that is not
    in the paper.

    Below each patch stands the unit's value, below each reconstruction what is new since the
    checkpoint before: another picture, or another pattern in the same. A random direction of the
    layer can take the channel's place, to compare.

    `painted` says what is on the page, `overlay` can be clicked on in code.

    Parameters
    ----------
    sweep
        A `SweepResult` of the state's images; without one the view offers to make it.

    Examples
    --------
    >>> view = cvw.TopImages(state, sweep=sweep, method="guided")
    >>> hits = sweep.at(2).top("0", 0)
    >>> [slot.image for slot in view.painted.slots] == [hit.image for hit in hits]
    True
    >>> view.control("Select").value = 1  # the second of the nine
    >>> state.image == view.painted.slots[1].image
    True
    """

    title: ClassVar[str] = "Top images"
    caption_lines: ClassVar[int] = 5
    instant: ClassVar[bool] = False
    depends: ClassVar[frozenset[str]] = frozenset(
        {"key", "image", "layer", "channel", "direction", "revision"}
    )

    method = Enum(
        (DECONVNET, GUIDED, GRADIENT), DECONVNET, help="How the signal runs back through ReLUs."
    ).tag(option=True)
    show = Enum((FIELD, WHOLE), FIELD, help="What of each image is shown.").tag(option=True)
    own_scale = Bool(False, help="Scale each reconstruction by its own values.").tag(option=True)

    def __init__(
        self,
        state: ModelState,
        *,
        sweep: SweepResult | None = None,
        **options: Unpack[TopImagesOptions],
    ) -> None:
        super().__init__(state, sweep=sweep, **options)

    # -- widgets ------------------------------------------------------------------------------

    def controls(self) -> Sequence[Widget]:
        """Return method, crop and scale; below, the direction that stands in for the channel."""
        self._aside = Checkbox(
            description="a random direction, seed",
            indent=False,
            layout=Layout(width="206px", flex="0 0 auto"),
        )
        self._seed = BoundedIntText(
            min=0, max=SEEDS, layout=Layout(width="74px"), tooltip="Seed of the direction"
        )
        self._slot = Dropdown(
            description="Select",
            layout=Layout(width="180px", flex="0 0 auto", visibility="hidden"),
            style={"description_width": "initial"},
        )
        self._aside.observe(self._directed, names="value")
        self._seed.observe(self._directed, names="value")
        self._slot.observe(self._chosen, names="value")
        methods = (DECONVNET, GUIDED, GRADIENT)
        return [
            line(
                choice(self, "method", "By", methods, 150),
                choice(self, "show", "show", (FIELD, WHOLE), 190),
                switch(self, "own_scale", "own scale each", 130),
            ),
            line(self._aside, self._seed, self._slot),
        ]

    def figures(self) -> Sequence[Widget]:
        """Return the two titles, the tiles with their labels, and the line about one of them."""
        self.painted: TopPicture | None = None
        """What is on the page; None before it has been drawn."""
        self._image = Image(value=EMPTY_PNG, format="png")
        self._image.add_class("cvw-pixels")
        self._labels = TileLabels()
        still = Layout(width=f"{WIDTH}px", height=f"{HEIGHT}px", flex="0 0 auto", margin="0")
        for part in (self._image, self._labels):
            part.layout.width, part.layout.height = f"{WIDTH}px", f"{HEIGHT}px"
            part.layout.grid_area, part.layout.margin = "1 / 1", "0"
        under = GridBox([self._image, self._labels], layout=still)
        self._pointed = PointerLine(self, WIDTH, "of the nine", lambda by: self._arrow(by, 0))
        self.overlay = Overlay(
            under,
            before=last_control(self._controls),
            after=self._pointed.first_button(),
            hold=self.state.hold,
        )
        self.overlay.resize(WIDTH, HEIGHT)
        self.overlay.on_click(self._clicked)
        self.overlay.on_move(self._moved, lambda: self._point(None))
        self.overlay.on_arrow(self._arrow)
        frame = VBox([self.overlay], layout=still)
        frame.add_class("cvw-frame")
        self._titles = (
            Text("images, the strongest first", "quiet", width=f"{RIGHT}px"),
            Text(kind="quiet", width=f"{BLOCK}px"),
        )
        return [HBox(self._titles), frame, self._pointed]

    # -- what is missing ----------------------------------------------------------------------

    def offers(self, selection: Selection) -> Sequence[Offer]:
        """Return the sweep of this step, and of all."""
        direction = direction_of(selection)
        here, results = selection.checkpoint, self.sweeps.all(direction)
        missing = [index for index, result in enumerate(results) if result is None]
        verb = "Sweep" if direction is None else "Rank"
        this = [Offer(f"{verb} this step", (here,), direction)] if here in missing else []
        near = tuple(sorted(missing, key=lambda index: abs(index - here)))
        every = [Offer(f"{verb} all {len(results)} steps", near, direction)]
        return [*this, *(every if len(results) > 1 and missing else [])]

    def words(self, selection: Selection) -> str:
        """Say whether the step has been swept."""
        direction = direction_of(selection)
        progress = self.sweeps.progress(selection.checkpoint, direction=direction)
        step, total = f"step {selection.step:,}", f"{progress.total:,} images"
        if progress.failures:
            return progress.failures[0]
        result = self.sweeps.at(selection.checkpoint, direction)
        if result is not None:
            return f"{step}: {result.count:,} of {total} swept"
        done = f"cancelled after {progress.done:,} of {total}" if progress.done else "not swept yet"
        return f"{step}: {done}"

    # -- compute ------------------------------------------------------------------------------

    def picture(self, selection: Selection) -> TopPicture:
        """Return the nine and their reconstructions, or why there are none."""
        ranked = ranking(self.sweeps, selection)
        if ranked is None:
            return self._nothing(selection)
        at = self.state.steps[ranked.checkpoint]
        if not ranked.hits:
            return TopPicture.message(*why_none(ranked, selection, at))
        now, before = self._found(ranked, selection), self._before(selection)
        slots = slots_of(now, before, self.state.image_set.preprocessing.scale)
        height, width = ranked.result.subject.image_shape[-2:]
        painted = paint_slots(
            slots,
            [self._display(slot.image) for slot in slots],
            (height, width),
            whole=self.show == WHOLE,
            own_scale=self.own_scale,
        )
        earlier = self.state.steps[max(0, selection.checkpoint - 1)]
        sentences = (
            about_ranking(ranked, selection, self.state.image_set, at),
            painted.seen,
            about_patterns(now, self.method, painted.scale),
            about_changes(earlier) if before else "",
        )
        return TopPicture(
            painted.png,
            labels_of(slots),
            slots,
            painted.outlines,
            next((i for i, slot in enumerate(slots) if slot.image == selection.image), None),
            " · ".join(filter(None, sentences)),
        )

    def _nothing(self, selection: Selection) -> TopPicture:
        """Return what stands in the place of the picture before the sweep."""
        layer, n = selection.layer, len(self.state.image_set)
        if any(self.sweeps.all(direction_of(selection))):
            return TopPicture.message(f"the sweep has not looked at {layer}")
        return TopPicture.message(f"the top 9 of {n:,} images stand here after a sweep of them")

    def _found(self, ranked: Ranking, selection: Selection) -> Found:
        """Return what the units answer to: where the sweep found them, if it was at this step."""
        is_here = ranked.checkpoint == selection.checkpoint
        found = self.state.attributions(
            ranked.images,
            method=self.method,
            positions=[hit.position for hit in ranked.hits] if is_here else None,
            selection=selection,
        )
        return Found(ranked, found, needs_value=self.method != GRADIENT)

    def _before(self, selection: Selection) -> Found | None:
        """Return the same at the checkpoint before; None at the first, or if it cannot be read."""
        if selection.checkpoint == 0:
            return None
        earlier = replace(selection, checkpoint=selection.checkpoint - 1)
        ranked = ranking(self.sweeps, earlier)
        if ranked is None or not ranked.hits:
            return None
        try:
            return self._found(ranked, earlier)
        except ConvVizError:
            return None

    def _display(self, image: int) -> np.ndarray | None:
        try:
            return self.state.image_set.display(image)
        except Exception:  # whatever a data set raises: the others are still fine
            return None

    # -- draw ---------------------------------------------------------------------------------

    def draw_picture(self, picture: TopPicture) -> None:
        """Send the tiles, their labels and outlines, and the caption."""
        self.painted = picture
        selection = self.state.selection
        self._aside.value = selection.direction is not None
        if selection.direction is not None:
            self._seed.value = selection.direction
        slots = picture.slots
        self._image.value = picture.png
        self._image.layout.visibility = "visible" if slots else "hidden"
        self._labels.show(picture.labels, WIDTH, HEIGHT)
        for title in self._titles:
            title.layout.visibility = "visible" if slots else "hidden"
        self._titles[1].show(f"what they answer to: {self.method}")
        options = [(f"{i + 1}: image {slot.image}", i) for i, slot in enumerate(slots)]
        if tuple(options) != self._slot.options:
            self._slot.options = options
        self._slot.value = picture.selected
        self._slot.layout.visibility = "visible" if slots else "hidden"
        self.overlay.paint(partial(draw_outlines, picture=picture))
        self._point(None)
        self.say(picture.caption)

    # -- what the user does -------------------------------------------------------------------

    def _pick(self, slot: int) -> None:
        picture = self.painted
        if picture is not None and slot < len(picture.slots):
            self.guarded(lambda: self.state.select(image=picture.slots[slot].image))

    def _clicked(self, x: int, y: int) -> None:
        slot = tile_at(x, y)
        if slot is not None:
            self._pick(slot)

    def _moved(self, x: int, y: int) -> None:
        self._point(tile_at(x, y))

    def _arrow(self, dx: int, dy: int) -> None:
        picture = self.painted
        if picture is not None:
            now = -1 if picture.selected is None else picture.selected
            self._pick(max(0, now + dx + dy * COLUMNS))

    def _point(self, slot: int | None) -> None:
        """Say what a slot is, by default that of the selected image."""
        picture = self.painted
        if picture is None:
            self._pointed.show("")
            return
        slot = picture.selected if slot is None else slot
        known = slot is not None and slot < len(picture.slots)
        if known and slot is not None:
            found = picture.slots[slot]
            self._pointed.show(about_slot(found, self.state.image_set.name(found.image)))
        else:
            self._pointed.show("")

    def _chosen(self, change: Any) -> None:
        if change.new is not None and not self.state.publishing_here():
            self._pick(change.new)

    def _directed(self, _change: Any) -> None:
        if not self.state.publishing_here():
            seed = self._seed.value if self._aside.value else None
            self.guarded(lambda: self.state.select(direction=seed))


def unit_name(selection: Selection) -> str:
    """Name the channel, or say loudly that it is none."""
    if selection.direction is None:
        return f"{selection.layer}, channel {selection.channel}"
    return f"{selection.layer}, RANDOM DIRECTION {selection.direction}, not a channel"


def about_ranking(ranked: Ranking, selection: Selection, images: ImageSet, at: int) -> str:
    """Say of how many images, and of which checkpoint, these are the strongest.

    Parameters
    ----------
    at
        Training step of the ranking.
    """
    n = ranked.result.count
    groups = "" if images.groups is None else ", one a source"
    few = f", fires on {ranked.fired} only" if 0 < ranked.fired < 9 else ""
    said = (
        f"{unit_name(selection)}: top {len(ranked.hits)} of n = {n:,} images{groups}{few}, "
        f"at step {at:,}"
    )
    if ranked.checkpoint == selection.checkpoint:
        return said
    here = f"step {selection.step:,}"
    return (
        f"{said} · {here.upper()} IS NOT SWEPT: values and patterns are of {here}, these images not"
    )


def about_patterns(now: Found, method: str, scale: float | None) -> str:
    """Say how the patterns were made, and what their colours mean.

    Parameters
    ----------
    scale
        The end of the one scale; None: each has its own.
    """
    of = "EACH ON ITS OWN SCALE" if scale is None else f"scale ±{scale:.2g}"
    said = f"{method} times the input's std, {of} ({PERCENTILE} % of |R|), grey: 0"
    kept = now.attributions.kept
    if not kept:
        return said
    return (
        f"{said} · THE {method.upper()} IS NOT DEFINED for {', '.join(kept)}: own derivative kept"
    )


def about_changes(step: int) -> str:
    """Say what the marks compare with."""
    return (
        f"new: since step {step:,}, a picture not among them, or a pattern of cosine below {SAME}"
    )


def why_none(ranked: Ranking, selection: Selection, at: int) -> tuple[str, str]:
    """Say in short, and with n and the bound, why there is no picture."""
    n, unit = ranked.result.count, unit_name(selection)
    if not ranked.dead:
        return "no value to rank", f"{unit}: NaN or zero on all n = {n:,} images, step {at:,}"
    bound = f"fires on fewer than {min(1, 3 / n):.2%} of such images, with 95 % confidence (3/n)"
    return (
        f"dead at step {at:,}: zero everywhere on all {n:,} images",
        f"{unit}: no top images at step {at:,} · n = {n:,} images · {bound}",
    )


def about_slot(slot: Slot, name: str) -> str:
    """Say where in which image the unit is, and what it sees."""
    said = f"{name}: {slot.value:.4g}"
    if len(slot.position) == 2:
        said += " at row {}, column {} of its map".format(*slot.position)
    if slot.box is not None:
        rows = f"rows {slot.box.top} to {slot.box.bottom - 1}"
        said += f" · sees {rows}, columns {slot.box.left} to {slot.box.right - 1}"
    return said
