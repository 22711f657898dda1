"""TopImages: the nine images that excite a channel most, and what in them it answers to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

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
from convviz_widgets.state import Selection
from convviz_widgets.tensors import Box, Limits, rgb_png
from convviz_widgets.tensors.energy_box import energy_box
from convviz_widgets.views.nine import (
    BLOCK,
    COLUMNS,
    HEIGHT,
    LABEL,
    PERCENTILE,
    RIGHT,
    TILE,
    WIDTH,
    Window,
    as_rgb,
    limits_of,
    on_screen,
    painted,
    place,
    tile_at,
)
from convviz_widgets.views.option_controls import choice, line, switch
from convviz_widgets.views.ranking import Ranking, direction_of, ranking
from convviz_widgets.views.raster import EMPTY_PNG, Overlay
from convviz_widgets.views.sweep_view import Offer, SweepView
from convviz_widgets.views.text import ACCENT, Text
from convviz_widgets.views.tile_labels import Label, TileLabels
from convviz_widgets.views.top_slots import MUCH, SAME, Change, Found, Slot, slots_of

DECONVNET, GUIDED, GRADIENT = "deconvnet", "guided", "gradient"

FIELD, WHOLE = "receptive field", "whole image"

SEEDS = 1_000_000


@dataclass(frozen=True, eq=False)
class TopPicture:
    """What there is to draw of the nine, for one selection."""

    png: bytes
    labels: tuple[Label, ...]
    slots: tuple[Slot, ...]
    outlines: tuple[Box, ...]
    selected: int | None
    """The slot of the selected image."""
    caption: str


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

    Parameters
    ----------
    sweep
        A `SweepResult` of the state's images; without one the view offers to make it.
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

    # -- widgets ------------------------------------------------------------------------------

    def controls(self) -> Sequence[Widget]:
        """Return method, crop and scale; below, the direction that stands in for the channel."""
        self._aside = Checkbox(
            description="random direction instead of the channel, seed",
            indent=False,
            layout=Layout(width="290px", flex="0 0 auto"),
        )
        self._seed = BoundedIntText(
            min=0, max=SEEDS, layout=Layout(width="74px"), tooltip="Seed of the direction"
        )
        self._slot = Dropdown(
            description="Select",
            layout=Layout(width="180px", flex="0 0 auto"),
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
        self._on_page: TopPicture | None = None
        self._image = Image(value=EMPTY_PNG, format="png")
        self._image.add_class("cvw-pixels")
        self._labels = TileLabels()
        still = Layout(width=f"{WIDTH}px", height=f"{HEIGHT}px", flex="0 0 auto", margin="0")
        for part in (self._image, self._labels):
            part.layout.width, part.layout.height = f"{WIDTH}px", f"{HEIGHT}px"
            part.layout.grid_area, part.layout.margin = "1 / 1", "0"
        under = GridBox([self._image, self._labels], layout=still)
        self._overlay = Overlay(under, before=self.first_control(), hold=self.state.hold)
        self._overlay.resize(WIDTH, HEIGHT)
        self._overlay.on_click(self._clicked)
        self._overlay.on_move(self._moved, lambda: self._point(None))
        self._overlay.on_arrow(self._arrow)
        frame = VBox([self._overlay], layout=still)
        frame.add_class("cvw-frame")
        self._right_title = Text(kind="quiet", width=f"{BLOCK}px")
        left = Text("images, the strongest first", "quiet", width=f"{RIGHT}px")
        self._pointed = Text(kind="quiet")
        return [HBox([left, self._right_title]), frame, self._pointed]

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

    def picture(self, selection: Selection) -> TopPicture | None:
        """Return the nine and their reconstructions; None where nothing has been swept."""
        ranked = ranking(self.sweeps, selection)
        if ranked is None:
            return None
        if not ranked.hits:
            return TopPicture(EMPTY_PNG, (), (), (), None, _about_none(ranked, selection))
        now, before = self._found(ranked, selection), self._before(selection)
        slots = slots_of(now, before, self.state.image_set.preprocessing.scale)
        whole = self.show == WHOLE or any(_is_large(slot, ranked) for slot in slots)
        windows = [self._window(slot, whole, ranked) for slot in slots]
        maps = [None if slot.map is None else as_rgb(slot.map) for slot in slots]
        limits = limits_of(maps, windows, self.own_scale)
        pictures = [self._display(slot.image) for slot in slots]
        boxes = [_outlined(slot, whole, ranked) for slot in slots]
        return TopPicture(
            rgb_png(painted(pictures, maps, windows, limits)),
            tuple(label for index, slot in enumerate(slots) for label in _labels(index, slot)),
            slots,
            tuple(
                on_screen(box, window, index, right)
                for index, (box, window) in enumerate(zip(boxes, windows, strict=True))
                for right in (False, True)
                if box is not None
            ),
            next((i for i, slot in enumerate(slots) if slot.image == selection.image), None),
            self._caption_of(now, selection, windows[0], whole, limits, before is not None),
        )

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

    def _window(self, slot: Slot, whole: bool, ranked: Ranking) -> Window:
        height, width = ranked.result.subject.image_shape[-2:]
        if whole or slot.box is None:
            return Window.whole(height, width)
        return Window.of(slot.box)

    def _display(self, image: int) -> np.ndarray | None:
        try:
            return self.state.image_set.display(image)
        except Exception:  # whatever a data set raises: the others are still fine
            return None

    def _caption_of(
        self,
        now: Found,
        selection: Selection,
        window: Window,
        whole: bool,
        limits: Sequence[Limits],
        compared: bool,
    ) -> str:
        ranked, step = now.ranking, f"step {selection.step:,}"
        at = self.state.steps[ranked.checkpoint]
        elsewhere = ranked.checkpoint != selection.checkpoint
        grouped = ", one a source" if self.state.image_set.groups is not None else ""
        height, width = ranked.result.subject.image_shape[-2:]
        size = "×".join(map(str, window.size))
        seen = "whole images" if whole else f"receptive field {size} of {height}×{width}"
        scale = "EACH ON ITS OWN SCALE" if self.own_scale else f"scale ±{limits[0].high:.2g}"
        kept = now.attributions.kept
        return " · ".join(
            part
            for part in (
                f"{_name(selection)}: top {len(ranked.hits)} of n = {ranked.result.count:,} images"
                f"{grouped} at step {at:,}",
                f"NOT SWEPT AT {step.upper()}: values and patterns are those of {step}, "
                f"the choice of images is not"
                if elsewhere
                else "",
                f"fires on {ranked.fired} images only" if 0 < ranked.fired < 9 else "",
                f"{seen}, box: 90 % of |R|²" if whole and self.show == FIELD else seen,
                f"{self.method}, times the input's std, {scale} ({PERCENTILE} % of |R|), grey: 0",
                f"the {self.method} is not defined for {', '.join(kept)}: it keeps its derivative"
                if kept
                else "",
                f"new since step {self.state.steps[selection.checkpoint - 1]:,}: picture, or "
                f"pattern (cosine below {SAME})"
                if compared
                else "",
            )
            if part
        )

    # -- draw ---------------------------------------------------------------------------------

    def draw_picture(self, picture: TopPicture | None) -> None:
        """Send the tiles, their labels and outlines, and the caption."""
        self._on_page = picture
        selection = self.state.selection
        self._aside.value = selection.direction is not None
        if selection.direction is not None:
            self._seed.value = selection.direction
        self._image.value = EMPTY_PNG if picture is None else picture.png
        self._image.layout.visibility = "hidden" if picture is None else "visible"
        self._labels.show(() if picture is None else picture.labels, WIDTH, HEIGHT)
        self._right_title.show(f"what they answer to: {self.method}" if picture else "")
        slots = () if picture is None else picture.slots
        options = [(f"{i + 1}: image {slot.image}", i) for i, slot in enumerate(slots)]
        if tuple(options) != self._slot.options:
            self._slot.options = options
        self._slot.value = None if picture is None else picture.selected
        self._slot.disabled = not slots
        self._overlay.paint(partial(_outline, picture=picture))
        self._point(None)
        self.say("" if picture is None else picture.caption)

    # -- what the user does -------------------------------------------------------------------

    def _pick(self, slot: int) -> None:
        picture = self._on_page
        if picture is not None and slot < len(picture.slots):
            self.guarded(lambda: self.state.select(image=picture.slots[slot].image))

    def _clicked(self, x: int, y: int) -> None:
        slot = tile_at(x, y)
        if slot is not None:
            self._pick(slot)

    def _moved(self, x: int, y: int) -> None:
        self._point(tile_at(x, y))

    def _arrow(self, dx: int, dy: int) -> None:
        picture = self._on_page
        if picture is not None:
            now = -1 if picture.selected is None else picture.selected
            self._pick(max(0, now + dx + dy * COLUMNS))

    def _point(self, slot: int | None) -> None:
        """Say what a slot is, by default that of the selected image."""
        picture = self._on_page
        if picture is None:
            self._pointed.show("")
            return
        slot = picture.selected if slot is None else slot
        known = slot is not None and slot < len(picture.slots)
        self._pointed.show(_described(picture.slots[slot]) if known and slot is not None else "")

    def _chosen(self, change: Any) -> None:
        if change.new is not None and not self.state.publishing_here():
            self._pick(change.new)

    def _directed(self, _change: Any) -> None:
        if not self.state.publishing_here():
            seed = self._seed.value if self._aside.value else None
            self.guarded(lambda: self.state.select(direction=seed))


def _name(selection: Selection) -> str:
    if selection.direction is None:
        return f"{selection.layer}, channel {selection.channel}"
    return f"{selection.layer}, RANDOM DIRECTION {selection.direction} instead of a channel"


def _about_none(ranked: Ranking, selection: Selection) -> str:
    n = ranked.result.count
    if not ranked.dead:
        return f"{_name(selection)}: no value to rank in any of n = {n:,} images"
    bound = f"fires on fewer than {min(1, 3 / n):.1%} of images like these, with 95 % confidence"
    return f"{_name(selection)} is dead: zero everywhere on all n = {n:,} images; it {bound}"


def _is_large(slot: Slot, ranked: Ranking) -> bool:
    return slot.box is None or slot.box.share(ranked.result.subject.image_shape) > MUCH


def _outlined(slot: Slot, whole: bool, ranked: Ranking) -> tuple[int, int, int, int] | None:
    """Return the part of a whole image to outline: the receptive field, or most of the signal."""
    if not whole:
        return None
    if slot.box is not None and not _is_large(slot, ranked):
        return slot.box.top, slot.box.left, slot.box.bottom, slot.box.right
    return None if slot.map is None else energy_box(np.square(slot.map).sum(0))


def _labels(index: int, slot: Slot) -> list[Label]:
    (x, y), (right, _y) = place(index, False), place(index, True)
    below = y + TILE + (LABEL - 16) // 2
    labels = [Label(f"{slot.value:.3g}", x, below, TILE)]
    if slot.map is None:
        middle = y + TILE // 2 - 16
        labels.append(Label("nothing to", right, middle, TILE, "quiet"))
        labels.append(Label("reconstruct", right, middle + 16, TILE, "quiet"))
    if slot.change is not None:
        text, kind = _in_words(slot.change)
        labels.append(Label(text, right, below, TILE, kind))
    return labels


def _in_words(change: Change) -> tuple[str, str]:
    if change.picture:
        return "new picture", "accent"
    if change.similarity is None:
        return "", "quiet"
    return (
        (f"new pattern {change.similarity:.2f}", "accent") if change.pattern else ("same", "quiet")
    )


def _described(slot: Slot) -> str:
    place_ = (
        f" at row {slot.position[0]}, column {slot.position[1]} of its map"
        if len(slot.position) == 2
        else ""
    )
    box = slot.box
    seen = (
        ""
        if box is None
        else f", seeing rows {box.top} to {box.bottom - 1}, columns {box.left} to {box.right - 1}"
    )
    return f"image {slot.image}: {slot.value:.4g}{place_}{seen}"


def _outline(canvas: Any, picture: TopPicture | None) -> None:
    """Outline what the units see, and the tiles of the selected image."""
    if picture is None:
        return
    for box in picture.outlines:
        for inset, colour in ((0.5, "#ffffff"), (1.5, "#000000")):
            canvas.line_width, canvas.stroke_style = 1, colour
            canvas.stroke_rect(
                box.x + inset, box.y + inset, box.width - 2 * inset, box.height - 2 * inset
            )
    if picture.selected is not None:
        for right in (False, True):
            x, y = place(picture.selected, right)
            canvas.line_width, canvas.stroke_style = 2, ACCENT
            canvas.stroke_rect(x + 1, y + 1, TILE - 2, TILE - 2)
