"""EmbeddingScatter: images as points, near each other where a layer makes the same of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
from ipywidgets import Dropdown, HBox, Layout, VBox, Widget
from traitlets import Enum, Int, List

from convviz_widgets.errors import InputError
from convviz_widgets.state import ModelState, Selection
from convviz_widgets.state.embeddings import METHODS, PCA, TSNE, EmbeddingJob, code_layer
from convviz_widgets.tensors.plane import has_scikit_learn
from convviz_widgets.views.units.embedding_picture import (
    EmbeddingPicture,
    EmbeddingPlan,
    chosen_in_words,
    embedding_caption,
    late_in_words,
    readable_reference,
    trail_of,
)
from convviz_widgets.views.units.embedding_plot import EmbeddingPlot, PointLegend, label_name
from convviz_widgets.widgets.background_view import HistoryOptions, HistoryView, ResultSoFar
from convviz_widgets.widgets.controls import (
    PointerLine,
    choice,
    labelled,
    last_control,
    line,
    number,
)
from convviz_widgets.widgets.text import Text, readable
from convviz_widgets.widgets.thumbnails import CaptionedImage, ChosenImages

SIDE, PREVIEW = 396, 96
"""Sides of the plot and of the image beside it, in pixels."""

BESIDE = 12
"""Pixels between the plot and what stands beside it."""


class EmbeddingScatterOptions(HistoryOptions, total=False):
    """Options of `EmbeddingScatter`."""

    method: Literal["pca", "t-sne"]
    images: int
    perplexity: int
    reference: int | None


class EmbeddingScatter(HistoryView):
    """Images as points in the plane, by the codes of the selected layer after its activation.

    PCA shows the two directions in which the codes vary most; t-SNE keeps near codes near. Every
    checkpoint is laid out by itself, then turned, mirrored and scaled onto one of them, the
    reference [Procrustes], so that a point that moves while the clock does has moved among the
    others. The line in the accent colour is the selected image's way.

    A click selects an image; a line drawn around points chooses them, as does the list "Choose".
    Arrow keys go from point to point.

    `painted` says what is on the page; `plot`, made when there is something to see, can be clicked
    on in code. Beside it are `preview` and `legend`, below it the `strip` of the chosen images.

    Examples
    --------
    >>> view = cvw.EmbeddingScatter(state, method="pca", images=100)
    >>> state.embeddings.wait(60)
    True
    >>> view.caption
    "codes of 1 (the activation after 0): 4 channels, ... · n = 5 images · PCA: ..."
    >>> x, y = view.plot.places[3]
    >>> view.plot.overlay.click(x, y)
    >>> state.image
    3
    """

    title: ClassVar[str] = "Embedding"
    caption_lines: ClassVar[int] = 5
    depends: ClassVar[frozenset[str]] = frozenset(
        {"key", "checkpoint", "image", "layer", "revision"}
    )

    method = Enum(METHODS, PCA, help="How the codes come into the plane.").tag(option=True)
    images = Int(500, min=2, help="Images at most, evenly drawn from the set.").tag(option=True)
    perplexity = Int(30, min=1, help="Of t-SNE: about how many neighbours count.").tag(option=True)
    reference = Int(
        None,
        allow_none=True,
        min=0,
        help="Checkpoint that the others are turned to; None: the last when the view was made.",
    ).tag(option=True)
    chosen = List(Int(), help="Images that are listed below the plot.")

    def __init__(self, state: ModelState, **options: Unpack[EmbeddingScatterOptions]) -> None:
        super().__init__(state, **options)

    def source(self, state: ModelState) -> Any:
        """Return the embeddings of the state."""
        return state.embeddings

    # -- widgets ------------------------------------------------------------------------------

    def controls(self) -> Sequence[Widget]:
        """Return method, number of images, perplexity, and the groups that can be chosen."""
        methods = choice(self, "method", "By", [("PCA", PCA), ("t-SNE", TSNE)], 110)
        perplexity = number(self, "perplexity", "perplexity", 130)
        perplexity.min = 1

        def show_perplexity(_change: Any = None) -> None:
            perplexity.layout.visibility = "visible" if self.method == TSNE else "hidden"

        self.observe(show_perplexity, names="method")
        show_perplexity()
        images = number(self, "images", "images", 130)
        images.min = 2
        self._groups = group_choice(self.state)
        self._groups.observe(self._choose_group, names="value")
        return [line(methods, images, perplexity, self._groups)]

    def figures(self) -> Sequence[Widget]:
        """Return the plot with the preview and the legend beside it, and the chosen images."""
        self.plot: EmbeddingPlot | None = None
        self.painted: EmbeddingPicture | None = None
        """What is on the page; None before it has been drawn."""
        still = {"flex": "0 0 auto", "overflow": "hidden", "margin": "0"}
        self._frame = VBox(layout=Layout(width=f"{SIDE}px", height=f"{SIDE}px", **still))
        width = self.width - SIDE - BESIDE
        self.preview = PointPreview(self.state, width)
        self.legend = PointLegend(width, SIDE - PREVIEW - 96)
        self._busy = Text(kind="busy wrap", min_height="38px")
        beside = VBox(
            [self.preview, self.legend, self._busy],
            layout=Layout(width=f"{width}px", height=f"{SIDE}px", **still),
        )
        beside.layout.margin = f"0 0 0 {BESIDE}px"
        self._pointed = PointerLine(self, self.width, "image", self.step_image)
        self._pointed.show("click or arrow keys: select an image; draw around points: list them")
        self.strip = ChosenImages(
            self,
            self.width,
            2,
            picture=partial(_pixels, self.state),
            picked=lambda image: self.select(image=image),
            clear=lambda: self.set_trait("chosen", []),
        )
        self.observe(lambda _change: self._list_chosen(), names="chosen")
        return [HBox([self._frame, beside], layout=Layout(**still)), self._pointed, self.strip]

    @property
    def waiting(self) -> str:
        """What is said of the selected step while another is seen; empty once it is seen."""
        return self._busy.text

    # -- compute ------------------------------------------------------------------------------

    def parts(self, selection: Selection) -> tuple[EmbeddingJob, ...]:
        """Return the jobs for the selected checkpoint, then for the others from coarse to fine."""
        return tuple(self._plan(selection).jobs.values())

    def compute(self, selection: Selection) -> ResultSoFar:
        """Return the embedding at the clock's step, or the nearest; ask for what is missing.

        Raises
        ------
        InputError
            Nothing can be laid out: the first reason.
        """
        if self.method == TSNE and not has_scikit_learn():
            raise InputError(
                "t-SNE needs scikit-learn, which is not installed: "
                "pip install 'convviz_widgets[embedding]', or take PCA"
            )
        if self.reference is not None and self.reference >= len(self.history.keys):
            raise InputError(
                f"reference {self.reference}: this state has checkpoints 0 to "
                f"{len(self.history.keys) - 1}"
            )
        self._wanted = self.parts(selection)
        return super().compute(selection)

    _wanted: tuple[EmbeddingJob, ...] = ()

    def _measured(self) -> None:
        """Draw what is new; ask anew where the reference has turned out to be broken."""
        if self.awake and self._wanted and self._wanted != self.parts(self.state.selection):
            self.redraw()
        else:
            super()._measured()

    def picture(self, selection: Selection) -> EmbeddingPicture | None:
        """Return what there is so far; None once it is known that there will be nothing."""
        plan = self._plan(selection)
        known = {i: made for i, job in plan.jobs.items() if (made := self.history.get(job))}
        here = min(known, key=lambda i: abs(i - selection.checkpoint), default=None)
        if here is None and self.history.progress(*plan.jobs.values()).complete:
            return None
        return EmbeddingPicture(
            selection,
            code_layer(self.state.layers, selection.layer),
            None if here is None else known[here],
            selection.checkpoint if here is None else here,
            plan.reference,
            trail_of([known[i] for i in sorted(known)], selection.image),
        )

    def _plan(self, selection: Selection) -> EmbeddingPlan:
        """Return which embeddings are wanted.

        The others are turned to the last checkpoint there was, for as long as it is there: a
        training that goes on must not turn the plot at each new checkpoint.
        """
        keys = self.history.keys
        if self._last not in keys:
            self._last = keys[-1]
        job_of = partial(
            EmbeddingJob,
            layer=code_layer(self.state.layers, selection.layer),
            count=self.images,
            method=self.method,
            perplexity=self.perplexity if self.method == TSNE else 0,
        )
        if self.reference is None:
            reference = readable_reference(self.history, keys, keys.index(self._last), job_of)
        else:
            reference = min(self.reference, len(keys) - 1)
        return EmbeddingPlan.of(keys, selection.checkpoint, reference, job_of)

    _last: Hashable = None
    """Key of the last checkpoint when the view was made."""

    # -- draw ---------------------------------------------------------------------------------

    def draw_picture(self, picture: EmbeddingPicture) -> None:
        """Send the points, what is highlighted, the preview and the captions."""
        self.painted = picture
        found = picture.found
        (wanted, *_) = self._plan(picture.selection).jobs.values()
        failed = bool(self.history.failure(wanted))
        self._busy.show(late_in_words(picture, self.state, failed=failed, stopped=self.stopped))
        self._frame.layout.visibility = "hidden" if found is None else "visible"
        if found is None:
            self.say("")
            return
        plot = self.plot = self.plot or self._make_plot()
        beyond = plot.show(found)
        plot.highlight(picture.selection.image, picture.trail)
        self.reveal(self._frame, plot.overlay)
        self.legend.show(found.labels[found.shown], self.state.image_set)
        self._list_chosen()
        self.preview.show_selected(picture)
        self.say(embedding_caption(picture, self.state, beyond))

    def _make_plot(self) -> EmbeddingPlot:
        plot = EmbeddingPlot(
            SIDE,
            picked=lambda image: self.select(image=image),
            pointed=self.preview.point_at,
            surrounded=partial(self.set_trait, "chosen"),
        )
        overlay = plot.overlay
        overlay.before, overlay.after = last_control(self._controls), self._pointed.first_button()
        overlay.hold = self.state.hold
        return plot

    def _list_chosen(self) -> None:
        with self.state.hold() as selection:
            if self.painted is not None and self.plot is not None:
                self.plot.choose(self.chosen)
                said = chosen_in_words(self.painted, self.chosen, self.state.image_set)
                self.strip.show(self.chosen, said, selection.image)

    # -- what the user does -------------------------------------------------------------------

    def step_image(self, by: int) -> None:
        """Select the next image: of the chosen ones, if there are some, else of all points."""
        images = self.chosen or list(self.painted.images if self.painted else ())
        now = self.state.selection.image
        there = images.index(now) + by if now in images else 0
        if 0 <= there < len(images):
            self.select(image=images[there])

    def _choose_group(self, change: Any) -> None:
        """Choose the images of the group that was taken; then wait for another one."""
        picture = self.painted
        if change.new == NO_GROUP or picture is None or picture.found is None:
            return
        nearest = change.new == AROUND
        images = picture.nearest(NEAREST) if nearest else picture.of_class(change.new)
        if images or not nearest:
            self.chosen = images
        self._groups.value = NO_GROUP


def _pixels(state: ModelState, image: int) -> np.ndarray:
    with state.lock:  # another thread may be reading the same data set
        return state.image_set.display(image)


class PointPreview(CaptionedImage):
    """The image under the pointer, else the selected one, and what it is."""

    def __init__(self, state: ModelState, width: int) -> None:
        super().__init__(PREVIEW, width)
        self._state = state
        self._picture: EmbeddingPicture | None = None
        self._hovered: int | None = None

    def show_selected(self, picture: EmbeddingPicture) -> None:
        """Show the selected image of another picture, unless the pointer is on a point."""
        self._picture = picture
        self.point_at(self._hovered)

    def point_at(self, hovered: int | None) -> None:
        """Show the image under the pointer; None: the selected one."""
        self._hovered, picture = hovered, self._picture
        if picture is None or picture.found is None:
            return
        image = picture.selection.image if hovered is None else hovered
        if image not in picture.images:
            self.show(None, f"image {image} is not among the points")
            return
        images = self._state.image_set
        name = images.name(image)
        called = "" if name == f"image {image}" else f" {name},"
        label = int(picture.found.labels[picture.images.index(image)])
        kind = "selected" if hovered is None else "under the pointer"
        said = f"image {image}, {kind}:{called}"
        try:
            self.show(_pixels(self._state, image), f"{said} {label_name(images, label)}")
        except Exception as error:  # whatever a data set raises
            self.show(None, f"{said} cannot be read: {error}")


NEAREST = 20
"""Images that can be chosen around the selected one."""

LISTED = 50
"""Classes that can be chosen by name."""

NO_GROUP, AROUND = -2, -1
"""Values of the list of groups that are no class."""


def group_choice(state: ModelState) -> Dropdown:
    """Return a list of groups of images: those around the selected one, and the classes."""
    images = state.image_set
    answered = state.classes if state.output_kind.answers else None
    count = len(images.class_names) if images.class_names else answered or 0
    classes = [(readable(label_name(images, label)), label) for label in range(min(LISTED, count))]
    groups = [("…", NO_GROUP), (f"the {NEAREST} nearest", AROUND), *classes]
    return labelled(Dropdown, "Choose", 176, options=groups)
