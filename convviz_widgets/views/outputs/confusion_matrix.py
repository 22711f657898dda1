"""ConfusionMatrix: which class is taken for which, over the image set at the clock's step."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
from ipywidgets import HTML, Box, Dropdown, Layout, VBox, Widget
from traitlets import Enum, Int

from convviz_widgets.errors import InputError
from convviz_widgets.measure.confusion import Cell, Confusion
from convviz_widgets.measure.responses import checked_output
from convviz_widgets.state import ModelState, Question, Selection
from convviz_widgets.views.outputs.confusion_cells import SIDE, ClassCells
from convviz_widgets.widgets.asked import MOST, asked_of, spread
from convviz_widgets.widgets.background_view import HistoryOptions, HistoryView, Seen
from convviz_widgets.widgets.controls import PointerLine, choice, line
from convviz_widgets.widgets.raster import Raster
from convviz_widgets.widgets.text import Text
from convviz_widgets.widgets.thumbnails import Thumbnails, class_name, tiles_of

SHARES, ERRORS = "share of each class", "errors only"

LISTED = 30
"""Images of a cell that are shown."""

OFFERED = 60
"""Cells that the drop-down offers."""

LABELS = 84
"""Pixels beside the square for the names of the true classes."""

ABOVE = 74
"""Pixels above it for those of the answers."""

LEGIBLE = 12
"""Pixels of a cell from which on a name fits beside it."""

STYLE = (
    "position:absolute;font-size:11px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;"
    "color:var(--jp-ui-font-color1,#222)"
)


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
    raster, row_names, column_names : the matrix, and the names beside and above it.
    matrix : all of them, with the images of the cell: hidden while there is nothing to see.
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

    colour = Enum((SHARES, ERRORS), SHARES, help="What the colours show.").tag(option=True)
    most = Int(MOST, min=1, help="How many images are answered at most.").tag(option=True)

    def __init__(self, state: ModelState, **options: Unpack[ConfusionMatrixOptions]) -> None:
        super().__init__(state, **options)

    def source(self, state: ModelState) -> Any:
        """Return what answers for all checkpoints."""
        return state.output_history

    def parts(self) -> tuple[Question, ...]:
        """Return the question to the clock's checkpoint."""
        images = spread(len(self.state.image_set), self.most)
        return (self.history.question(self._checkpoint, images),)

    # -- widgets ------------------------------------------------------------------------------

    def controls(self) -> Sequence[Widget]:
        """Return colour, cell, and how many images."""
        self._checkpoint = self.state.selection.checkpoint
        count = len(self.state.image_set)
        self._cell: Cell | None = None
        self.painted: ConfusionPicture | None = None
        self._cell_choice = Dropdown(
            description="Cell",
            layout=Layout(width="344px", flex="0 0 auto"),
            style={"description_width": "initial"},
        )
        self._cell_choice.observe(self._offered, names="value")
        sizes = [(f"{size:,} images", size) for size in sorted({min(self.most, count), count})]
        first = [choice(self, "colour", "Colour", (SHARES, ERRORS), 210), self._cell_choice]
        if len(sizes) == 1:
            return [line(*first)]
        most = choice(self, "most", "Of", sizes, 190)
        return [line(*first), line(most)]

    def figures(self) -> Sequence[Widget]:
        """Return the matrix between its names, the thumbnails beside it, and the line below."""
        hold = self.state.hold
        self._pointed = PointerLine(self, self.width, "image", self._step_on)
        after = self._pointed.first_button()
        self.raster = Raster(SIDE, SIDE, before=self._cell_choice, hold=hold)
        self.raster.on_click(self._clicked)
        self.raster.on_move(self._moved, lambda: self._pointed.show(""))
        self.raster.on_arrow(self._arrow)
        self.thumbnails = Thumbnails(
            168,
            SIDE,
            3,
            picked=self._pick,
            pointed=self._name,
            hold=hold,
            before=self._cell_choice,
            after=after,
        )
        self.column_names = HTML(layout=Layout(height=f"{ABOVE}px", flex="0 0 auto", margin="0"))
        self.row_names = HTML(
            layout=Layout(width=f"{LABELS}px", height=f"{SIDE}px", flex="0 0 auto", margin="0")
        )
        self._cell_heading = Text(kind="quiet wrap", height=f"{ABOVE}px", width="160px")
        matrix = Box([self.row_names, self.raster], layout=_still())
        left = VBox([self.column_names, matrix], layout=_still(width=f"{LABELS + SIDE}px"))
        right = VBox([self._cell_heading, self.thumbnails], layout=_still(margin="0 0 0 8px"))
        self._said = Text(kind="wrap", display="none")
        self.matrix = Box([left, right], layout=_still())
        return [VBox([self._said, self.matrix], layout=_still()), self._pointed]

    @property
    def heading(self) -> str:
        """What the cell is whose images are listed."""
        return html.unescape(self._cell_heading.value)

    @property
    def message(self) -> str:
        """What is said in place of a matrix that would be empty."""
        return html.unescape(self._said.value)

    # -- compute ------------------------------------------------------------------------------

    def compute(self, selection: Selection) -> Seen:
        """Return the matrix as far as it is known.

        Raises
        ------
        InputError
            The model puts out no class scores.
        """
        if self.state.classes is None or self.state.classes < 2:
            checked_output(self.state.output(selection=selection))  # of another kind: says which
            raise InputError(
                "this model puts out one number, and no classes to choose from"
                if self.state.classes
                else "this model puts out pictures, and no classes that could be confused"
            )
        self._checkpoint = selection.checkpoint
        return super().compute(selection)

    def picture(self, selection: Selection) -> ConfusionPicture | str | None:
        """Return the matrix; words where it would be empty; None before the answers are there."""
        (question,), images = self.parts(), self.state.image_set
        answered = self.history.get(question)
        if answered is None:
            return None
        found = Confusion.of(answered)
        if not found.n:
            return why_empty(found)
        cells = ClassCells(found.classes)
        cell = self._cell or first_cell(found, cells)
        inside = found.images_in(cell)
        listed = tuple(map(int, inside[:LISTED]))
        shares = found.shares
        if self.colour == ERRORS:
            np.fill_diagonal(shares, 0.0)
        high = float(np.nanmax(shares)) if self.colour == ERRORS else 1.0
        return ConfusionPicture(
            found,
            cells,
            cells.paint(shares, found.counts, high),
            cell,
            listed,
            self._tiles(found, listed),
            self._in_words(cell, len(inside)),
            caption_of(found, cells, selection.step, asked_of(question, images), self.colour, high),
        )

    def _tiles(self, found: Confusion, listed: tuple[int, ...]) -> np.ndarray:
        places = [int(np.flatnonzero(found.images == image)[0]) for image in listed]
        words = [f"{found.probability[place]:.0%}" for place in places]
        return tiles_of(self.state.image_set, listed, words, [False] * len(listed))

    def _in_words(self, cell: Cell, count: int) -> str:
        truth, answer = (self._names(classes) for classes in cell)
        shown = f", the {LISTED} most certain shown" if count > LISTED else ""
        return f"{truth}, answered {answer}: {count:,} images{shown}"

    def _names(self, classes: range) -> str:
        first = class_name(self.state.image_set, classes.start)
        if len(classes) == 1:
            return first
        return f"{first} to {class_name(self.state.image_set, classes.stop - 1)}"

    # -- draw ---------------------------------------------------------------------------------

    def draw(self, result: Seen) -> None:
        """Show the matrix and the progress; what was seen before goes while there is none."""
        super().draw(result)
        if result.picture is None:
            self.painted = None
            self.matrix.layout.visibility = "hidden"
            self.say("")

    def draw_picture(self, picture: ConfusionPicture | str) -> None:
        """Send the matrix, its names, and the images of the cell."""
        is_words = isinstance(picture, str)
        self._said.show(picture if isinstance(picture, str) else "")
        self._said.layout.display = "" if is_words else "none"
        self.matrix.layout.visibility = "hidden" if is_words else "visible"
        if isinstance(picture, str):
            self.painted = None
            self.say("")
            return
        self.painted = picture
        size = picture.cells.size
        boxes = () if picture.cell is None else (picture.cells.box(picture.cell),)
        self.raster.show(picture.png, size, size, boxes)
        names = [class_name(self.state.image_set, index) for index in range(picture.cells.classes)]
        self.column_names.value = names_above(names, picture.cells)
        self.row_names.value = names_beside(names, picture.cells)
        self._cell_heading.show(picture.heading)
        selected = self.state.selection.image
        self.thumbnails.show_images(picture.listed, picture.tiles, selected)
        self._offer(picture)
        self.say(picture.caption)

    def _offer(self, picture: ConfusionPicture) -> None:
        """List the fullest cells in the drop-down, errors first."""
        options: list[tuple[str, Cell | None]] = []
        for truth, answer, count in picture.found.largest(OFFERED):
            cell = picture.cells.cell(*picture.cells.place((range(truth, 0), range(answer, 0))))
            arrow = "is" if truth == answer else "→"
            names = [class_name(self.state.image_set, index) for index in (truth, answer)]
            options.append((f"{names[0]} {arrow} {names[1]}: {count:,}", cell))
        chosen = next((place for place, (_, c) in enumerate(options) if c == picture.cell), None)
        self._offering = True
        if tuple(options) != self._cell_choice.options:
            self._cell_choice.options = options
        self._cell_choice.index = chosen
        self._offering = False

    _offering = False

    # -- what the user does -------------------------------------------------------------------

    def _step_on(self, by: int) -> None:
        image = self.thumbnails.beside(by)
        if image is not None:
            self.state.select(image=image)

    def _choose(self, cell: Cell | None) -> None:
        if cell is not None and cell != self._cell:
            self._cell = cell
            self.redraw()

    def _offered(self, change: Any) -> None:
        if not self._offering:
            self._choose(change.new)

    def _clicked(self, x: int, y: int) -> None:
        if self.painted is not None:
            self._choose(self.painted.cells.cell_at(x, y))

    def _arrow(self, dx: int, dy: int) -> None:
        painted = self.painted
        if painted is None or painted.cell is None:
            return
        row, column = painted.cells.place(painted.cell)
        if 0 <= row + dy < painted.cells.count and 0 <= column + dx < painted.cells.count:
            self._choose(painted.cells.cell(row + dy, column + dx))

    def _moved(self, x: int, y: int) -> None:
        painted = self.painted  # another thread may paint a new one
        cell = painted.cells.cell_at(x, y) if painted else None
        if painted is not None and cell is not None:
            rows, columns = cell
            inside = painted.found.counts[rows.start : rows.stop, columns.start : columns.stop]
            self._pointed.show(
                f"{self._names(rows)}, answered {self._names(columns)}: {inside.sum():,} images"
            )

    def _pick(self, image: int) -> None:
        self.guarded(partial(self.state.select, image=image))

    def _name(self, image: int | None) -> None:
        self._pointed.show("" if image is None else self.state.image_set.name(image))


def _still(**more: str) -> Layout:
    """Return a layout of constant size; one for each box, which changes its own."""
    return Layout(flex="0 0 auto", overflow="hidden", **more)


def names_beside(names: Sequence[str], cells: ClassCells) -> str:
    """Return the names of the rows as HTML, escaped; none where the cells are too small."""
    names = names if cells.enlarge >= LEGIBLE else ()
    side = cells.enlarge
    lines = "".join(
        f'<div style="{STYLE};top:{place * side}px;height:{side}px;line-height:{side}px;'
        f'right:6px;width:{LABELS - 8}px;text-align:right">{html.escape(name)}</div>'
        for place, name in enumerate(names)
    )
    return f'<div style="position:relative;width:{LABELS}px;height:{SIDE}px">{lines}</div>'


def names_above(names: Sequence[str], cells: ClassCells) -> str:
    """Return the names of the columns as HTML, upright, escaped, and what the axes mean."""
    names = names if cells.enlarge >= LEGIBLE else ()
    side = cells.enlarge
    lines = "".join(
        f'<div style="{STYLE};left:{LABELS + place * side}px;width:{side}px;line-height:{side}px;'
        f'bottom:4px;height:{ABOVE - 8}px;writing-mode:vertical-rl;transform:rotate(180deg)">'
        f"{html.escape(name)}</div>"
        for place, name in enumerate(names)
    )
    corner = (
        f'<div style="{STYLE};left:0;bottom:2px;width:{LABELS - 4}px;white-space:normal;'
        f'line-height:14px">answered →<br>true class ↓</div>'
    )
    size = f"position:relative;width:{LABELS + SIDE}px;height:{ABOVE}px"
    return f'<div style="{size}">{corner}{lines}</div>'


@dataclass(frozen=True, eq=False)
class ConfusionPicture:
    """A painted matrix, and one of its cells.

    Attributes
    ----------
    found : what it counts.
    cells : where its cells lie.
    png : the picture.
    cell : the one whose images are listed; None: there is none.
    listed, tiles : its first images and their thumbnails.
    heading : the cell in words.
    caption : the line under the picture.
    """

    found: Confusion
    cells: ClassCells
    png: bytes
    cell: Cell | None
    listed: tuple[int, ...]
    tiles: np.ndarray
    heading: str
    caption: str


def caption_of(
    found: Confusion, cells: ClassCells, step: int, of: str, colour: str, high: float
) -> str:
    """Return the line under the matrix.

    Parameters
    ----------
    of : of how many images it was asked, if not of all.
    colour, high : what the colours show, and the upper end of their scale.
    """
    left = (
        (found.unlabelled, "without a label"),
        (found.beyond, f"with a label that has none of the {found.classes} scores"),
        (found.not_finite, "with scores that are NaN or infinite"),
        (found.unread, "that cannot be read"),
    )
    out = ", ".join(f"{count:,} {why}" for count, why in left if count)
    block = cells.reduce
    parts = (
        f"step {step:,} · n = {found.n:,} images{of}",
        f"accuracy {found.accuracy:.1%} ± {found.standard_error:.1%} (binomial standard error)",
        f"colour: {colour}, 0 to {high:.2g}",
        f"each pixel the largest of {block}×{block} cells" if block > 1 else "",
        f"left out: {out}" if out else "",
    )
    return " · ".join(filter(None, parts))


def first_cell(found: Confusion, cells: ClassCells) -> Cell:
    """Return the cell with the most errors; without any, the fullest."""
    truth, answer, _ = found.largest(1)[0]
    return cells.cell(truth // cells.reduce, answer // cells.reduce)


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
