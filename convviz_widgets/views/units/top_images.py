"""TopImages: the nine images that excite a channel most, and what in them it answers to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Unpack

from ipywidgets import BoundedIntText, Checkbox, Dropdown, Layout, Widget
from traitlets import Bool, Enum

from convviz_widgets.checkpoints import label_at, noun_of
from convviz_widgets.errors import ConvVizError
from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState, Selection
from convviz_widgets.sweeps import SweepResult, rate_bound
from convviz_widgets.views.units.top_patches import (
    SAME,
    SHOWN,
    Patch,
    Ranking,
    Reconstructions,
    direction_of,
    patches_of,
    ranking,
)
from convviz_widgets.views.units.top_picture import (
    PERCENTILE,
    WIDTH,
    PatchTiles,
    TopPicture,
    labels_of,
    paint_patches,
)
from convviz_widgets.widgets.background_view import Offer, SweepView
from convviz_widgets.widgets.controls import (
    PointerLine,
    choice,
    fill,
    labelled,
    line,
    named,
    switch,
)
from convviz_widgets.widgets.thumbnails import readable
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
    checkpoint before, if that is swept: another picture, or another pattern in the same. A random
    direction of the layer can take the channel's place, to compare.

    `painted` says what is on the page, `overlay` can be clicked on in code.

    Parameters
    ----------
    sweep
        A `SweepResult` of the state's images; without one the view offers to make it.

    Examples
    --------
    >>> view = cvw.TopImages(state, sweep=sweep, method="guided")
    >>> hits = sweep.at(2).top("0", 0)
    >>> [patch.image for patch in view.painted.patches] == [hit.image for hit in hits]
    True
    >>> view.control("Select").value = 1  # the second strongest
    >>> state.image == view.painted.patches[1].image
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
        name = "a random direction, seed"
        self._is_direction = labelled(Checkbox, name, 206, indent=False, style={})
        seed = BoundedIntText(min=0, max=SEEDS, layout=Layout(width="74px"))
        self._seed = named(seed, "Seed of the direction")
        self._ranks = labelled(Dropdown, "Select", 180)
        self._ranks.layout.visibility = "hidden"
        self._is_direction.observe(self._directed, names="value")
        self._seed.observe(self._directed, names="value")
        self.when_chosen(self._ranks, self._pick)
        methods = (DECONVNET, GUIDED, GRADIENT)
        return [
            line(
                choice(self, "method", "By", methods, 150),
                choice(self, "show", "show", (FIELD, WHOLE), 190),
                switch(self, "own_scale", "own scale each", 130),
            ),
            line(self._is_direction, self._seed, self._ranks),
        ]

    def figures(self) -> Sequence[Widget]:
        """Return the tiles below their titles, and the line about one of them."""
        self.painted: TopPicture | None = None
        """What is on the page; None before it has been drawn."""
        self._pointed = PointerLine(self, WIDTH, "top image", lambda by: self._tiles.step(by))
        self._tiles = PatchTiles(picked=self._pick, pointed=self._point)
        self.overlay = self._tiles.raster
        return [self._tiles, self._pointed]

    # -- what is missing ----------------------------------------------------------------------

    def offers(self, selection: Selection) -> Sequence[Offer]:
        """Return the sweep of this step, and of all."""
        direction = direction_of(selection)
        here, results = selection.checkpoint, self.sweeps.all(direction)
        missing = [index for index, result in enumerate(results) if result is None]
        verb = "Sweep" if direction is None else "Rank"
        unit = noun_of(self.state.steps)
        this = [Offer(f"{verb} this {unit}", (here,), direction)] if here in missing else []
        near = tuple(sorted(missing, key=lambda index: abs(index - here)))
        every = [Offer(f"{verb} all {len(results)} {unit}s", near, direction)]
        return [*this, *(every if len(results) > 1 and missing else [])]

    def words(self, selection: Selection) -> str:
        """Say whether the step has been swept."""
        direction = direction_of(selection)
        progress = self.sweeps.progress(selection.checkpoint, direction=direction)
        step, total = selection.label, f"{progress.total:,} images"
        if progress.failures:
            return progress.failures[0]
        result = self.sweeps.at(selection.checkpoint, direction)
        if result is not None:
            return f"{step}: {result.count:,} of {total} swept"
        done = f"cancelled after {progress.done:,} of {total}" if progress.done else "not swept yet"
        return f"{step}: {done}"

    # -- compute ------------------------------------------------------------------------------

    def picture(self, selection: Selection) -> TopPicture:
        """Return the patches and their reconstructions, or why there are none."""
        ranked = ranking(self.sweeps, selection)
        if ranked is None:
            return self._nothing(selection)
        at = label_at(self.state.steps, ranked.checkpoint)
        if not ranked.hits:
            return TopPicture.message(*why_none(ranked, selection, at))
        now = self._reconstructions(ranked, selection)
        before, compared = self._before(ranked, selection)
        patches = patches_of(now, before, self.state.image_set.preprocessing.scale)
        height, width = ranked.result.subject.image_shape[-2:]
        painted = paint_patches(
            patches,
            [readable(self.state.image_set.display, patch.image) for patch in patches],
            (height, width),
            whole=self.show == WHOLE,
            own_scale=self.own_scale,
        )
        sentences = (
            about_ranking(ranked, selection, self.state.image_set, at),
            painted.seen,
            about_patterns(now, self.method, painted.scale),
            compared,
        )
        return TopPicture(
            painted.png,
            labels_of(patches),
            patches,
            painted.outlines,
            next((i for i, each in enumerate(patches) if each.image == selection.image), None),
            " · ".join(filter(None, sentences)),
        )

    def _nothing(self, selection: Selection) -> TopPicture:
        """Return what stands in the place of the picture before the sweep."""
        layer, n = selection.layer, len(self.state.image_set)
        reason = self.state.layer_info(layer).without_channels
        if reason:
            return TopPicture.message("no channels to rank", reason)
        if any(self.sweeps.all(direction_of(selection))):
            return TopPicture.message(f"the sweep has not looked at {layer}")
        said = f"the top {SHOWN} of {n:,} images stand here after a sweep of them"
        return TopPicture.message(said)

    def _reconstructions(self, ranked: Ranking, selection: Selection) -> Reconstructions:
        """Return what the units answer to: where the sweep found them, if it was at this step."""
        is_here = ranked.checkpoint == selection.checkpoint
        found = self.state.attributions(
            ranked.images,
            method=self.method,
            positions=[hit.position for hit in ranked.hits] if is_here else None,
            selection=selection,
        )
        return Reconstructions(ranked, found, needs_value=self.method != GRADIENT)

    def _before(self, ranked: Ranking, selection: Selection) -> tuple[Reconstructions | None, str]:
        """Return those of the checkpoint before, if both are swept, and what the caption says."""
        before = selection.checkpoint - 1
        if before < 0 or ranked.checkpoint != selection.checkpoint:
            return None, ""
        earlier, step = self.state.elsewhere(selection, before), label_at(self.state.steps, before)
        found = ranking(self.sweeps, earlier)
        if found is None or found.checkpoint != before:
            return None, f"{step} not swept: what is new since then is not known"
        if not found.hits:
            return None, ""
        try:
            return self._reconstructions(found, earlier), about_changes(step)
        except ConvVizError:
            return None, ""

    # -- draw ---------------------------------------------------------------------------------

    def draw_picture(self, picture: TopPicture) -> None:
        """Send the tiles, their labels and outlines, and the caption."""
        self.painted = picture
        seed = self.state.selection.direction
        self._is_direction.value = seed is not None
        if seed is not None:
            self._seed.value = seed
        self._tiles.show(picture, self.method)
        ranks = [(f"{i + 1}: image {each.image}", i) for i, each in enumerate(picture.patches)]
        fill(self._ranks, ranks, picture.selected)
        self._ranks.layout.visibility = "visible" if ranks else "hidden"
        self._point(None)
        self.say(picture.caption)

    # -- what the user does -------------------------------------------------------------------

    def _pick(self, rank: int) -> None:
        picture = self.painted
        if picture is not None and rank < len(picture.patches):
            self.select(image=picture.patches[rank].image)

    def _point(self, rank: int | None) -> None:
        """Say what a patch is, by default that of the selected image."""
        picture = self.painted  # another thread may draw a new one
        rank = picture.selected if rank is None and picture else rank
        said = ""
        if picture is not None and rank is not None and rank < len(picture.patches):
            patch = picture.patches[rank]
            said = about_patch(patch, self.state.image_set.name(patch.image))
        self._pointed.show(said)

    def _directed(self, _change: Any) -> None:
        if not self.state.publishing_here():
            seed = self._seed.value if self._is_direction.value else None
            self.select(direction=seed)


def unit_name(selection: Selection) -> str:
    """Name the channel, or say loudly that it is none."""
    if selection.direction is None:
        return f"{selection.layer}, channel {selection.channel}"
    return f"{selection.layer}, RANDOM DIRECTION {selection.direction}, not a channel"


def about_ranking(ranked: Ranking, selection: Selection, images: ImageSet, at: str) -> str:
    """Say of how many images, and ``at`` which checkpoint, these are the strongest."""
    n = ranked.result.count
    groups = "" if images.groups is None else ", one a source"
    few = f", fires on {ranked.fired} only" if 0 < ranked.fired < SHOWN else ""
    said = (
        f"{unit_name(selection)}: top {len(ranked.hits)} of n = {n:,} images{groups}{few}, at {at}"
    )
    if ranked.checkpoint == selection.checkpoint:
        return said
    here = selection.label
    return (
        f"{said} · {here.upper()} IS NOT SWEPT: values and patterns are of {here}, these images not"
    )


def about_patterns(now: Reconstructions, method: str, scale: float | None) -> str:
    """Say how the patterns were made, and what their colours mean; without scale: each its own."""
    of = "EACH ON ITS OWN SCALE" if scale is None else f"scale ±{scale:.2g}"
    said = f"{method} times the input's std, {of} ({PERCENTILE} % of |R|), grey: 0"
    kept = now.attributions.kept
    if not kept:
        return said
    return (
        f"{said} · THE {method.upper()} IS NOT DEFINED for {', '.join(kept)}: own derivative kept"
    )


def about_changes(step: str) -> str:
    """Say what the marks compare with."""
    return f"new: since {step}, a picture not among them, or a pattern of cosine below {SAME}"


def why_none(ranked: Ranking, selection: Selection, at: str) -> tuple[str, str]:
    """Say in short, and with n and the bound, why there is no picture."""
    n, unit = ranked.result.count, unit_name(selection)
    if not ranked.dead:
        return "no value to rank", f"{unit}: NaN or zero on all n = {n:,} images, {at}"
    bound = f"fires on fewer than {rate_bound(n):.2%} of such images, with 95 % confidence (3/n)"
    return (
        f"dead at {at}: zero everywhere on all {n:,} images",
        f"{unit}: no top images at {at} · n = {n:,} images · {bound}",
    )


def about_patch(patch: Patch, name: str) -> str:
    """Say where in which image the unit is, and what it sees."""
    said = f"{name}: {patch.value:.4g}"
    if len(patch.position) == 2:
        said += " at row {}, column {} of its map".format(*patch.position)
    if patch.box is not None:
        rows = f"rows {patch.box.top} to {patch.box.bottom - 1}"
        said += f" · sees {rows}, columns {patch.box.left} to {patch.box.right - 1}"
    return said
