"""ConfusionMatrix: which class is taken for which, over the image set at the clock's step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
from ipywidgets import Box, Dropdown, VBox, Widget
from traitlets import Enum, Int

from convviz_widgets.errors import InputError, number_of
from convviz_widgets.images import ImageSet
from convviz_widgets.measure.confusion import Cell, Confusion
from convviz_widgets.probe.output_kinds import (
    MULTILABEL,
    NUMBER,
    PICTURE,
    SEGMENTATION,
)
from convviz_widgets.state import ModelState, Question, Selection
from convviz_widgets.tensors import evenly_spread
from convviz_widgets.views.outputs.classes_shown import has_rows_of_labels
from convviz_widgets.views.outputs.confusion_picture import (
    ABOVE,
    SIDE,
    CellGrid,
    NamedMatrix,
    still,
)
from convviz_widgets.widgets.background_view import HistoryOptions, HistoryView, ResultSoFar
from convviz_widgets.widgets.controls import PointerLine, choice, fill, labelled, line
from convviz_widgets.widgets.text import Text
from convviz_widgets.widgets.thumbnails import (
    MOST_ASKED,
    Thumbnails,
    asked_of,
    class_name,
    tiles_of,
)

NO_ANSWERS = {
    NUMBER: "this model puts out one number, and no classes to choose from; output='binary' says "
    "that it is the logit of class 1",
    PICTURE: "this model puts out pictures, and no classes that could be confused",
    SEGMENTATION: "this model puts out a class at every position: OutputGallery shows the masks, "
    "with the intersection over union of each class",
    MULTILABEL: "each image has several labels, and none of them is the answer that could be "
    "confused; output='logits' says that one is, with labels= of class indices",
}
"""Why there is no matrix of a kind of output."""

NO_LABELS = (
    "the images have a row of targets each, and no class: ImageSet(inputs, "
    "labels=targets.argmax(1)) where the rows are one-hot"
)

SHARES, ERRORS = "share of each class", "errors only"

LISTED = 30
"""Images of a cell that are shown."""

OFFERED = 60
"""Cells that the drop-down offers."""


class ConfusionMatrixOptions(HistoryOptions, total=False):
    """Options of `ConfusionMatrix`."""

    colour: Literal["share of each class", "errors only"]
    most: int


class ConfusionMatrix(HistoryView):
    """True classes by answers, coloured by the share of the true class; 1,000 classes fit.

    A click on a cell, or the drop-down, lists its images beside the matrix, the most certain
    answers first; a click on one selects it. Of many classes a pixel stands for a block of cells
    and shows its largest share. At first at most 1,024 images are answered, evenly spread over
    the set, in the background; each checkpoint once.

    Attributes
    ----------
    painted : what is drawn; None while there is nothing to see.
    named_matrix : the matrix between the names of its classes.
    raster : the matrix alone.
    matrix : both, with the images of the cell: hidden while there is nothing to see.
    thumbnails : the images of the cell.

    Examples
    --------
    >>> view = cvw.ConfusionMatrix(state)
    >>> state.output_history.wait(60)
    True
    >>> view.caption
    'step 200 · n = 5 images · accuracy ... (binomial standard error) · ...'
    >>> view.painted.found.counts.sum(axis=1)  # images of each class
    array([2, 2, 1])
    """

    title: ClassVar[str] = "Confusion matrix"
    caption_lines: ClassVar[int] = 3
    depends: ClassVar[frozenset[str]] = frozenset({"key", "checkpoint", "image", "revision"})

    thumbnails: Thumbnails

    colour = Enum((SHARES, ERRORS), SHARES, help="What the colours show.").tag(option=True)
    most = Int(MOST_ASKED, min=1, help="How many images are answered at most.").tag(option=True)

    def __init__(self, state: ModelState, **options: Unpack[ConfusionMatrixOptions]) -> None:
        super().__init__(state, **options)

    def source(self, state: ModelState) -> Any:
        """Return what answers for all checkpoints."""
        return state.output_history

    def parts(self, selection: Selection) -> tuple[Question, ...]:
        """Return the question to the clock's checkpoint."""
        images = evenly_spread(len(self.state.image_set), self.most)
        return (self.history.question(selection.checkpoint, images),)

    # -- widgets ------------------------------------------------------------------------------

    def controls(self) -> Sequence[Widget]:
        """Return colour, cell, and how many images."""
        count = len(self.state.image_set)
        self._cell: Cell | None = None
        self.painted: ConfusionPicture | None = None
        self._cells = labelled(Dropdown, "Cell", 344)
        self.when_chosen(self._cells, self._choose)
        sizes = sorted({min(self.most, count), count})
        first = [choice(self, "colour", "Colour", (SHARES, ERRORS), 210), self._cells]
        if len(sizes) == 1:
            return [line(*first)]

        def said(size: int) -> str:
            return f"{min(size, count):,} images"

        most = choice(self, "most", "Of", [(said(size), size) for size in sizes], 190, said)
        return [line(*first), line(most)]

    def figures(self) -> Sequence[Widget]:
        """Return the matrix between its names, the thumbnails beside it, and the line below."""
        self._pointed = PointerLine(
            self, self.width, "image", lambda by: self._pick(self.thumbnails.beside(by))
        )
        self.named_matrix = NamedMatrix(self._choose, self._name_cell)
        self.raster = self.named_matrix.raster
        self.thumbnails = Thumbnails(
            168,
            SIDE,
            3,
            picked=self._pick,
            pointed=self._name,
            label="images of the cell",
        )
        self._cell_heading = Text(kind="quiet wrap", height=f"{ABOVE}px", width="160px")
        right = VBox([self._cell_heading, self.thumbnails], layout=still(margin="0 0 0 8px"))
        self._said = Text(kind="wrap", display="none")
        self.matrix = Box([self.named_matrix.box, right], layout=still())
        return [VBox([self._said, self.matrix], layout=still()), self._pointed]

    @property
    def heading(self) -> str:
        """What the cell is whose images are listed."""
        return self._cell_heading.text

    @property
    def message(self) -> str:
        """What is said in place of a matrix that would be empty."""
        return self._said.text

    # -- compute ------------------------------------------------------------------------------

    def compute(self, selection: Selection) -> ResultSoFar:
        """Return the matrix as far as it is known.

        Raises
        ------
        InputError
            The model puts out no class scores.
        """
        kind = self.state.output_kind
        if not kind.answers:
            kind.values(self.state.output(selection=selection), 1)  # what cannot be read says why
            raise InputError(NO_ANSWERS.get(kind.name, kind.why))
        if has_rows_of_labels(self.state.image_set):
            raise InputError(NO_ANSWERS.get(kind.name, NO_LABELS))
        return super().compute(selection)

    def picture(self, selection: Selection) -> ConfusionPicture | str | None:
        """Return the matrix; words where it would be empty; None before the answers are there."""
        (question,), images = self.parts(selection), self.state.image_set
        answered = self.history.get(question)
        if answered is None:
            return None
        found = Confusion.of(answered)
        if not found.n:
            return why_empty(found)
        grid = CellGrid(found.classes)
        cell = self._cell or grid.cell_of(*found.largest(1)[0][:2])
        inside = found.images_in(cell)
        listed = tuple(map(int, inside[:LISTED]))
        shares = found.shares
        if self.colour == ERRORS:
            np.fill_diagonal(shares, 0.0)
        high = float(np.nanmax(shares)) if self.colour == ERRORS else 1.0
        shown = f", the {LISTED} most certain shown" if len(inside) > LISTED else ""
        return ConfusionPicture(
            found,
            grid,
            grid.paint(shares, found.counts, high),
            cell,
            listed,
            _tiles(found, listed, images),
            f"{cell_in_words(cell, len(inside), images)}{shown}",
            confusion_caption(
                found,
                grid,
                selection.label,
                asked_of(question, images),
                self.colour,
                high,
                self.state.output_kind.remark,
            ),
        )

    # -- draw ---------------------------------------------------------------------------------

    def draw_picture(self, picture: ConfusionPicture | str) -> None:
        """Send the matrix, its names, and the images of the cell."""
        self._said.layout.display = "" if isinstance(picture, str) else "none"
        if isinstance(picture, str):
            self._said.show(picture)
            self.draw_nothing()
            return
        self._said.show("")
        self.matrix.layout.visibility = "visible"
        self.painted = picture
        images = self.state.image_set
        names = [class_name(images, index) for index in range(picture.grid.classes)]
        counts = picture.found.counts
        self.named_matrix.show(
            picture.grid,
            picture.png,
            picture.cell,
            names,
            lambda cell: cell_in_words(cell, count_in(counts, cell), images),
            f"{self.title}: {picture.caption}",
        )
        self._cell_heading.show(picture.heading)
        selected = self.state.selection.image
        self.thumbnails.show_images(
            picture.listed, picture.tiles, selected, [images.name(each) for each in picture.listed]
        )
        fill(self._cells, cells_to_choose(picture, names), picture.cell)
        self.say(picture.caption)

    def draw_nothing(self) -> None:
        """Hide the matrix."""
        self.painted = None
        self.matrix.layout.visibility = "hidden"
        self.say("")

    # -- what the user does -------------------------------------------------------------------

    def _choose(self, cell: Cell) -> None:
        if cell != self._cell:
            self._cell = cell
            self.redraw()

    def _name_cell(self, cell: Cell | None) -> None:
        painted = self.painted  # another thread may paint a new one
        if painted is None or cell is None:
            self._pointed.show("")
            return
        count = count_in(painted.found.counts, cell)
        self._pointed.show(cell_in_words(cell, count, self.state.image_set))

    def _pick(self, image: int | None) -> None:
        if image is not None:
            self.select(image=image)

    def _name(self, image: int | None) -> None:
        self._pointed.show("" if image is None else self.state.image_set.name(image))


@dataclass(frozen=True, eq=False)
class ConfusionPicture:
    """A painted matrix, and one of its cells.

    Attributes
    ----------
    found : what it counts.
    grid : where its cells lie.
    png : the picture.
    cell : the one whose images are listed.
    listed, tiles : its first images and their thumbnails.
    heading : the cell in words.
    caption : the line under the picture.
    """

    found: Confusion
    grid: CellGrid
    png: bytes
    cell: Cell
    listed: tuple[int, ...]
    tiles: np.ndarray
    heading: str
    caption: str


def cells_to_choose(picture: ConfusionPicture, names: Sequence[str]) -> list[tuple[str, Cell]]:
    """Return the fullest cells of a matrix, errors first, each with what it counts in words."""
    cells = []
    for truth, answer, count in picture.found.largest(OFFERED):
        arrow = "is" if truth == answer else "→"
        cell = picture.grid.cell_of(truth, answer)
        cells.append((f"{names[truth]} {arrow} {names[answer]}: {count:,}", cell))
    return cells


def confusion_caption(
    found: Confusion,
    grid: CellGrid,
    step: str,
    of: str,
    colour: str,
    high: float,
    remark: str = "",
) -> str:
    """Return the line under the matrix.

    Parameters
    ----------
    step : what the checkpoint is called.
    of : in words, how many of all images were asked about; see `asked_of`.
    colour, high : what the colours show, and the upper end of their scale.
    remark : what else is to be said of the answers.
    """
    left = (
        (found.unlabelled, "without a label"),
        (found.beyond, f"with a label that has none of the {found.classes} scores"),
        (found.not_finite, "with scores that are NaN or infinite"),
        (found.unread, "that cannot be read"),
    )
    out = ", ".join(f"{count:,} {why}" for count, why in left if count)
    block = grid.reduce
    parts = (
        f"{step} · n = {found.n:,} images{of}",
        f"accuracy {found.accuracy:.1%} ± {found.standard_error:.1%} (binomial standard error)",
        f"colour: {colour}, 0 to {high:.2g}",
        f"each pixel the largest of {block}×{block} cells" if block > 1 else "",
        f"left out: {out}" if out else "",
        remark,
    )
    return " · ".join(filter(None, parts))


def count_in(counts: np.ndarray, cell: Cell) -> int:
    """Return how many images are counted in a cell, of counts (K, K)."""
    rows, columns = cell
    return int(counts[rows.start : rows.stop, columns.start : columns.stop].sum())


def cell_in_words(cell: Cell, count: int, images: ImageSet) -> str:
    """Say which classes a cell stands for, and how many images it counts."""
    truth, answer = (_names(classes, images) for classes in cell)
    return f"{truth}, answered {answer}: {number_of(count, 'image')}"


def _names(classes: range, images: ImageSet) -> str:
    ends = dict.fromkeys([classes.start, classes.stop - 1])
    return " to ".join(class_name(images, index) for index in ends)


def _tiles(found: Confusion, listed: tuple[int, ...], images: ImageSet) -> np.ndarray:
    """Return thumbnails of these images, each with the probability of its answer."""
    places = [int(np.flatnonzero(found.images == image)[0]) for image in listed]
    words = [f"{found.probability[place]:.0%}" for place in places]
    return tiles_of(images, listed, words, [False] * len(listed))


def why_empty(found: Confusion) -> str:
    """Say why no image counts."""
    if found.unlabelled and not (found.beyond or found.not_finite):
        return (
            f"None of n = {found.unlabelled:,} images has a label, so the matrix has no rows. "
            "ImageSet(inputs, labels) says which class each image is of."
        )
    return (
        f"No image counts: {found.unlabelled:,} have no label, {found.beyond:,} a label that has "
        f"none of the {found.classes} class scores, {found.not_finite:,} scores that are NaN or "
        f"infinite, {found.unread:,} cannot be read."
    )
