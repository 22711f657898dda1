"""EmbeddingScatter: images as points, near each other where a layer makes the same of them."""

from __future__ import annotations

import html
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
from ipywidgets import Dropdown, HBox, Layout, VBox, Widget
from traitlets import Enum, Int, List

from convviz_widgets.errors import InputError
from convviz_widgets.probe import LayerInfo
from convviz_widgets.state import ModelState, Selection, coarse_to_fine
from convviz_widgets.state.embeddings import METHODS, PCA, TSNE, Embedding, EmbeddingJob, code_layer
from convviz_widgets.tensors.plane import has_scikit_learn
from convviz_widgets.views.units.embedding_plot import (
    EmbeddingPlot,
    Highlights,
    PointLegend,
    class_name,
)
from convviz_widgets.widgets.background_view import HistoryOptions, HistoryView, Seen
from convviz_widgets.widgets.controls import PointerLine, choice, last_control, line, number
from convviz_widgets.widgets.text import Text
from convviz_widgets.widgets.thumbnails import ChosenImages, Portrait

SIDE, PORTRAIT = 396, 96
"""Of the plot, and of the image beside it, in pixels."""

AHEAD = 100
"""Checkpoints that are laid out before the clock comes to them, at most, evenly spread."""

NEAREST = 20
"""Images that can be chosen around the selected one."""

LISTED = 50
"""Classes that can be chosen by name."""


@dataclass(frozen=True, eq=False)
class EmbeddingPicture:
    """What there is to draw."""

    selection: Selection
    layer: str
    found: Embedding | None
    """At the clock's step, or at the nearest where that is known; None: at none yet."""
    checkpoint: int
    """Of the embedding."""
    reference: int
    trail: np.ndarray
    """(k, 2), where the selected image is at the checkpoints that are known, in order."""

    @property
    def row(self) -> int | None:
        """Row of the selected image, None if it is not among those shown."""
        images = () if self.found is None else self.found.images
        return images.index(self.selection.image) if self.selection.image in images else None


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
    on in code. Beside it are `portrait` and `legend`, below it the `strip` of the chosen images.

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
        self.observe(lambda _change: self._show_perplexity(perplexity), names="method")
        self._show_perplexity(perplexity)
        images = number(self, "images", "images", 130)
        images.min = 2
        self._group = Dropdown(
            options=self._groups(),
            description="Choose",
            layout=Layout(width="176px", flex="0 0 auto"),
            style={"description_width": "initial"},
        )
        self._group.observe(self._group_chosen, names="value")
        return [line(methods, images, perplexity, self._group)]

    def figures(self) -> Sequence[Widget]:
        """Return the plot with the portrait and the legend beside it, and the chosen images."""
        self.plot: EmbeddingPlot | None = None
        self.painted: EmbeddingPicture | None = None
        """What is on the page; None before it has been drawn."""
        self._hovered: int | None = None
        still = {"flex": "0 0 auto", "overflow": "hidden", "margin": "0"}
        self._frame = VBox(layout=Layout(width=f"{SIDE}px", height=f"{SIDE}px", **still))
        self._busy = Text(kind="busy wrap", min_height="38px")
        self.portrait = Portrait(PORTRAIT, self.width - SIDE - 12)
        self.legend = PointLegend(self.width - SIDE - 12, SIDE - PORTRAIT - 96)
        beside = VBox(
            [self.portrait, self.legend, self._busy],
            layout=Layout(width=f"{self.width - SIDE - 12}px", height=f"{SIDE}px", **still),
        )
        beside.layout.margin = "0 0 0 12px"
        self._pointed = PointerLine(self, self.width, "image", self.step_image)
        self._pointed.show("click or arrow keys: select an image; draw around points: list them")
        self.strip = ChosenImages(
            self,
            self.width,
            2,
            before=self._pointed.buttons[-1],
            picture=self._pixels,
            picked=self._select,
            clear=lambda: self.set_trait("chosen", []),
        )
        self.observe(lambda _change: self._list_chosen(), names="chosen")
        return [HBox([self._frame, beside], layout=Layout(**still)), self._pointed, self.strip]

    @property
    def waiting(self) -> str:
        """What is said of the selected step while another is seen; empty once it is seen."""
        return html.unescape(self._busy.value)

    # -- compute ------------------------------------------------------------------------------

    def parts(self) -> tuple[EmbeddingJob, ...]:
        """Return the jobs for the selected checkpoint, then for the others from coarse to fine."""
        return tuple(self._jobs(self.state.selection).values())

    def compute(self, selection: Selection) -> Seen:
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
        self._asked = self.parts()
        return super().compute(selection)

    _asked: tuple[EmbeddingJob, ...] = ()

    def _measured(self) -> None:
        """Draw what is new; ask anew where the reference has turned out to be broken."""
        if self.awake and self._asked and self._asked != self.parts():
            self.redraw()
        else:
            super()._measured()

    def picture(self, selection: Selection) -> EmbeddingPicture | None:
        """Return what there is so far; None once it is known that there will be nothing."""
        jobs = self._jobs(selection)
        known = {i: made for i, job in jobs.items() if (made := self.history.get(job))}
        here = min(known, key=lambda i: abs(i - selection.checkpoint), default=None)
        if here is None and self.history.progress(*self.parts()).complete:
            return None
        return EmbeddingPicture(
            selection,
            code_layer(self.state.layers, selection.layer),
            None if here is None else known[here],
            selection.checkpoint if here is None else here,
            self._reference(selection),
            _trail([known[i] for i in sorted(known)], selection.image),
        )

    def _jobs(self, selection: Selection) -> dict[int, EmbeddingJob]:
        """Return the jobs of checkpoints: the selected one, then others from coarse to fine."""
        keys = self.history.keys
        layer = code_layer(self.state.layers, selection.layer)
        reference = keys[self._reference(selection)]
        places = np.unique(np.linspace(0, len(keys) - 1, AHEAD).round().astype(int)).tolist()
        ahead = (places[place] for place in coarse_to_fine(len(places)))
        # The list may have grown since the selection was made.
        wanted = dict.fromkeys([min(selection.checkpoint, len(keys) - 1), *ahead])
        return {place: self._job(keys[place], reference, layer) for place in wanted}

    def _job(self, key: Hashable, reference: Hashable, layer: str) -> EmbeddingJob:
        perplexity = self.perplexity if self.method == TSNE else 0
        return EmbeddingJob(key, reference, layer, self.images, self.method, perplexity)

    def _reference(self, selection: Selection) -> int:
        """Return the checkpoint that the others are turned to.

        The last there was, for as long as it is there: a training that goes on must not turn the
        plot at each new checkpoint. One that cannot be read is passed over.
        """
        keys = self.history.keys
        if self.reference is not None:
            return min(self.reference, len(keys) - 1)
        if self._pinned not in keys:
            self._pinned = keys[-1]
        last = keys.index(self._pinned)
        layer = code_layer(self.state.layers, selection.layer)
        for place in range(last, max(-1, last - 3), -1):
            if not self.history.failure(self._job(keys[place], keys[place], layer)):
                return place
        return last

    _pinned: Hashable = None

    # -- draw ---------------------------------------------------------------------------------

    def draw_picture(self, picture: EmbeddingPicture) -> None:
        """Send the points, what is highlighted, the portrait and the captions."""
        self.painted = picture
        found, selection = picture.found, picture.selection
        is_late = found is None or picture.checkpoint != selection.checkpoint
        self._busy.show(self._late(picture) if is_late else "")
        if self.plot is None:
            self._make_plot()
        assert self.plot is not None
        self._frame.layout.visibility = "hidden" if found is None else "visible"
        if found is None:
            self.say("")
            return
        beyond = self.plot.show(found.positions, found.labels, found.frame)
        self.plot.highlight(Highlights(picture.row, picture.trail))
        self.reveal(self._frame, self.plot.overlay)
        self.legend.show(found.labels[found.shown], self.state.image_set.class_names)
        self._show_chosen()
        self._show_portrait()
        steps = self.state.steps
        layer = self.state.layer_info(picture.layer)
        said = sentences(
            found,
            layer=layer,
            instead_of="" if layer.name == selection.layer else selection.layer,
            step=f"step {steps[picture.checkpoint]:,}",
            reference=f"step {steps[picture.reference]:,}",
            total=len(self.state.image_set),
            beyond=beyond,
        )
        self.say(" · ".join(said))

    def _late(self, picture: EmbeddingPicture) -> str:
        """Say that what is shown is not what is selected, and why."""
        wanted = next(iter(self._jobs(picture.selection).values()))
        step = f"step {picture.selection.step:,}"
        failure = self.history.failure(wanted)
        doing = f"{step} not computed" if self.stopped else f"computing {step}…"
        said = f"{step} cannot be shown" if failure else doing
        if picture.found is None:
            return said
        return f"{said}; this is step {self.state.steps[picture.checkpoint]:,}"

    def _make_plot(self) -> None:
        self.plot = EmbeddingPlot(
            SIDE, picked=self._picked, pointed=self._pointed_at, surrounded=self._surrounded
        )
        overlay = self.plot.overlay
        overlay.before, overlay.after = last_control(self._controls), self._pointed.first_button()
        overlay.hold = self.state.hold

    def _show_chosen(self) -> None:
        """List the chosen images, and let their points stand out."""
        picture = self.painted
        if picture is None or picture.found is None or self.plot is None:
            return
        found = picture.found
        rows = np.flatnonzero(np.isin(found.images, self.chosen))
        self.plot.choose(rows if self.chosen else None)
        self.strip.show(self.chosen, self._chosen_in_words(found, rows), picture.selection.image)

    def _chosen_in_words(self, found: Embedding, rows: np.ndarray) -> str:
        if not self.chosen:
            return "No images are listed: draw a line around points, or choose a group above."
        names = self.state.image_set.class_names
        labels, counts = np.unique(found.labels[rows], return_counts=True)
        order = np.argsort(-counts, kind="stable")[:3]
        most = [f"{class_name(int(labels[i]), names)} {counts[i]}" for i in order]
        more = ", …" if len(labels) > 3 else ""
        return f"{len(self.chosen):,} chosen: {', '.join(most)}{more}"

    def _show_portrait(self) -> None:
        """Show the image under the pointer, else the selected one."""
        picture = self.painted
        assert picture is not None
        found = picture.found
        row = picture.row if self._hovered is None else self._hovered
        if found is None or row is None or row >= len(found.images):
            image = picture.selection.image
            self.portrait.show(None, f"image {image} is not among the points")
            return
        image, name = found.images[row], self.state.image_set.name(found.images[row])
        called = "" if name == f"image {image}" else f" {name},"
        label = class_name(int(found.labels[row]), self.state.image_set.class_names)
        try:
            pixels = self._pixels(image)
        except Exception as error:  # whatever a data set raises
            pixels = None
            label = f"cannot be read: {error}"
        kind = "selected" if self._hovered is None else "under the pointer"
        self.portrait.show(pixels, f"image {image}, {kind}:{called} {label}")

    def _pixels(self, image: int) -> np.ndarray:
        with self.state.lock:  # another thread may be reading the same data set
            return self.state.image_set.display(image)

    # -- what the user does -------------------------------------------------------------------

    def step_image(self, by: int) -> None:
        """Select the next image: of the chosen ones, if there are some, else of all points."""
        found = self.painted.found if self.painted else None
        images = self.chosen or list(() if found is None else found.images)
        now = self.state.selection.image
        there = images.index(now) + by if now in images else 0
        if 0 <= there < len(images):
            self._select(images[there])

    def _select(self, image: int) -> None:
        self.guarded(lambda: self.state.select(image=image))

    def _picked(self, row: int) -> None:
        if self.painted and self.painted.found:
            self._select(self.painted.found.images[row])

    def _pointed_at(self, row: int | None) -> None:
        self._hovered = row
        if self.painted:
            self._show_portrait()

    def _surrounded(self, rows: np.ndarray) -> None:
        if self.painted and self.painted.found:
            self.chosen = [self.painted.found.images[row] for row in rows]

    def _list_chosen(self) -> None:
        with self.state.hold():
            self._show_chosen()

    def _groups(self) -> list[tuple[str, int]]:
        names = self.state.image_set.class_names
        classes = range(min(LISTED, len(names) if names else self.state.classes or 0))
        return [
            ("…", -2),
            (f"the {NEAREST} nearest", -1),
            *((class_name(label, names), label) for label in classes),
        ]

    def _group_chosen(self, change: Any) -> None:
        """Choose the images of a class, or those around the selected one; then wait again."""
        picture = self.painted
        if change.new == -2 or picture is None or picture.found is None:
            return
        found = picture.found
        if change.new >= 0:
            self._surrounded(np.flatnonzero((found.labels == change.new) & found.shown))
        elif picture.row is not None:
            away = np.hypot(*(found.positions - found.positions[picture.row]).T)
            nearest = np.argsort(away, kind="stable")[:NEAREST]
            self._surrounded(nearest[np.isfinite(away[nearest])])
        self._group.value = -2

    def _show_perplexity(self, control: Any) -> None:
        control.layout.visibility = "visible" if self.method == TSNE else "hidden"


def _trail(known: Sequence[Embedding], image: int) -> np.ndarray:
    """Return where an image is in each embedding that has it, (k, 2)."""
    rows = [each.positions[each.images.index(image)] for each in known if image in each.images]
    points = np.array(rows).reshape(-1, 2)
    return points[np.isfinite(points).all(axis=1)]


def sentences(
    found: Embedding,
    *,
    layer: LayerInfo,
    instead_of: str,
    step: str,
    reference: str,
    total: int,
    beyond: int,
) -> list[str]:
    """Return what the lines say.

    Parameters
    ----------
    layer, instead_of
        The layer that the codes are of, and the selected one where that is another.
    step, reference
        The checkpoints: shown, and turned to.
    total
        Images of the set.
    beyond
        Points that lie outside the frame.
    """
    n = int(found.shown.sum())
    drawn = f" of {total:,}, evenly drawn" if len(found.images) < total else ""
    missing = len(found.images) - n
    said = [
        f"codes of {layer.name}{_stands_for(instead_of)}: {_shape(layer)}",
        step,
        f"n = {n:,} images{drawn}",
        *_method(found),
        _turned(found, step, reference),
        f"frame {2 * found.frame.half:.2g} spreads wide at every step",
        "line: the selected image's way through the steps",
    ]
    if missing:
        why = f" ({found.failures[0]})" if found.failures else ""
        said.append(f"{missing} without a finite code left out{why}")
    if beyond:
        said.append(f"{beyond} outside, drawn at its edge")
    return said


def _stands_for(instead_of: str) -> str:
    return f" (the activation after {instead_of})" if instead_of else ""


def _shape(layer: LayerInfo) -> str:
    if len(layer.shape) < 2:
        return f"{layer.shape[0]} numbers an image"
    places = "×".join(map(str, layer.shape[1:]))
    return f"{layer.shape[0]} channels, each the mean over its {places} positions"


def _method(found: Embedding) -> list[str]:
    layout = found.layout
    if layout.divergence is not None:
        return [
            f"t-SNE, perplexity {layout.perplexity:.3g}, KL divergence {layout.divergence:.3g}: "
            "who is near whom counts; distances between far clusters and their sizes mean little"
        ]
    if layout.shares is None or math.isnan(layout.shares[0]):
        return ["ALL CODES ARE THE SAME: one point"]
    first, second = layout.shares
    return [f"PCA: {first + second:.0%} of the variance ({first:.0%} + {second:.0%})"]


def _turned(found: Embedding, step: str, reference: str) -> str:
    if step == reference:
        return "the other steps are turned onto this one"
    if math.isnan(found.agreement):
        return f"not turned: {step if not found.spread else reference} has no spread"
    spread = "" if found.layout.divergence is not None else f", spread {found.spread:.2g}× as large"
    return (
        f"turned or mirrored and scaled onto {reference}: agreement {found.agreement:.2f} of 1"
        f"{spread}"
    )
