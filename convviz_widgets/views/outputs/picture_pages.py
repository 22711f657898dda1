"""PicturePages: input, target, output and difference of an image-to-image model, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from ipywidgets import Box, Layout, VBox, Widget
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.measure.drift import as_pictures
from convviz_widgets.measure.responses import read_values
from convviz_widgets.probe.output_kinds import PICTURE
from convviz_widgets.state import ModelState, Question, Selection
from convviz_widgets.tensors import (
    DIVERGING,
    NOT_A_NUMBER,
    Limits,
    Mosaic,
    normalize,
    palette,
    quantize,
    rgb_png,
)
from convviz_widgets.views.outputs.drift import (
    DriftCurves,
    DriftOverTraining,
    RecordedOutputs,
    drift_in_words,
)
from convviz_widgets.widgets.controls import PointerLine
from convviz_widgets.widgets.raster import EMPTY_PNG, Raster, TileRaster
from convviz_widgets.widgets.text import WIDTH, Label, StripLabels, Text, TileLabels
from convviz_widgets.widgets.thumbnails import in_square

FRAME = 566
"""Width of the page in pixels, with the names beside the pictures."""

COLUMNS = 8
"""Images on a page, and steps in a strip."""

SMALL, LARGE, GAP = 56, 139, 2
"""Sides of the pictures of the page, and of the selected image, and what lies between two."""

PAGE_VALUES = 2**22
"""Numbers in the outputs of a page, at most: of larger pictures a page has fewer."""

NAMES = ("input", "target", "output", "difference")


@dataclass(frozen=True, eq=False)
class PicturePage:
    """Pictures of the selected image, and of the page that it is on."""

    selected: np.ndarray
    """The four pictures of the selected image, uint8 (4, side, side, 4)."""
    page: np.ndarray
    """Pictures of all images of the page: their inputs, targets, outputs, differences."""
    images: tuple[int, ...]
    image: int
    caption: str
    names: tuple[str, ...] = NAMES
    """What the four pictures of an image are."""
    strip: np.ndarray = field(default_factory=lambda: np.zeros((0, SMALL, SMALL, 4), np.uint8))
    """Recorded outputs of the selected image, uint8 (n, side, side, 4); n may be 0."""
    strip_steps: tuple[int, ...] = ()
    drift: DriftCurves = field(default_factory=DriftCurves)

    @property
    def mosaic(self) -> Mosaic:
        """Where the pictures of the page lie, a row of images for each of the names."""
        return Mosaic(len(self.page), SMALL, SMALL, columns=len(self.images))

    @property
    def columns(self) -> Mosaic:
        """Where the images lie: each of them is a column of its pictures."""
        count = len(self.names)
        height = count * SMALL + (count - 1) * GAP
        return Mosaic(len(self.images), height, SMALL, columns=len(self.images))

    def picture_at(self, x: int, y: int) -> tuple[int, str] | None:
        """Return the image at a pixel of the page, and which of its pictures it is."""
        tile = self.mosaic.tile_at(x, y)
        if tile is None:
            return None
        row, place = divmod(tile, len(self.images))
        return self.images[place], self.names[row]


class PicturePages:
    """The pages of an `OutputGallery` for an image-to-image model.

    Parameters
    ----------
    view
        The gallery: it holds the state, moves the clock and selects images.
    recorded
        What a run kept of its watched images.

    Attributes
    ----------
    shown : what is drawn; None before the first picture.
    raster : the pictures of the page of images.
    drift : chroma and contrast over the training.
    """

    pointer_text: ClassVar[type[Text]] = Text
    """What says what the pointer is on: the kernel, which several pictures and a plot tell."""

    def __init__(self, view: Any, recorded: RecordedOutputs | None) -> None:
        self._view, self._recorded = view, recorded
        self._state: ModelState = view.state
        self.shown: PicturePage | None = None
        self._size = COLUMNS
        self._select_page(self._state.selection.image)

    # -- widgets ------------------------------------------------------------------------------

    def controls(self) -> Sequence[Widget]:
        """Return none: the controls of the state are enough."""
        return ()

    def figures(self, pointed: PointerLine) -> Sequence[Widget]:
        """Return the selected image, the page, the strip if there is one, and the drift."""
        self._pointed = pointed
        self._titles = TileLabels(layout=Layout(width=f"{FRAME}px", height="18px", margin="0"))
        self._large = Raster(FRAME, LARGE + 2 * GAP, label="the selected image")
        height = len(NAMES) * (SMALL + GAP) + GAP
        self.raster = TileRaster(
            FRAME - WIDTH,
            height,
            picked=self._picked,
            moved=self.step,
            label="the images of this page",
        )
        self.raster.on_move(self._moved, lambda: pointed.show(""))
        self._names = StripLabels()
        page = _side_by_side(self._names, self.raster)
        parts = [self._titles, self._large, page, *self.below()]
        return [VBox(parts, layout=Layout(flex="0 0 auto", overflow="hidden"))]

    def below(self) -> Sequence[Widget]:
        """Return the strip, if there is one, and the drift."""
        self._strip = RecordedStrip(self._pointed)
        self._strip.box.layout.display = "none" if self._recorded is None else "flex"
        self.drift = DriftOverTraining(self._view, self._recorded, self._pointed, FRAME)
        return [self._strip.box, self.drift.box]

    # -- compute ------------------------------------------------------------------------------

    def questions(self, checkpoint: int) -> tuple[Question, ...]:
        """Return the question about the page, then those about the drift."""
        return (
            page_question(self._state, checkpoint, self._images),
            *self.drift.questions(checkpoint),
        )

    def picture(self, selection: Selection) -> PicturePage:
        """Return what is known by now.

        Raises
        ------
        InputError
            The model puts out no pictures.
        """
        output = self._output(selection)
        self._select_page(selection.image, output)
        answered = self._state.output_history.get(
            page_question(self._state, selection.checkpoint, self._images)
        )
        images, recorded, drawing = self._state.image_set, self._recorded, selection.drawing
        own = picture_row(images, selection.image, output, drawing.input if drawing else None)
        rows = [
            own
            if image == selection.image
            else picture_row(images, image, None if answered is None else answered.output(image))
            for image in self._images
        ]
        if recorded is not None and drawing is None:
            step = recorded.step_of(self._state, selection.checkpoint)
            recorded.check(step, selection.image, output)
        strip = recorded.strip(selection.image, COLUMNS) if recorded else []
        drift, limit = self.drift.at(selection), limit_of(rows)
        return PicturePage(
            tiles_of_rows([own], LARGE, limit),
            tiles_of_rows(rows, SMALL, limit),
            self._images,
            selection.image,
            picture_caption(
                self._state, own, limit, selection, drift, self.drift.has_targets, recorded
            ),
            NAMES,
            np.array([_square(output, images) for _, output in strip], np.uint8),
            tuple(step for step, _ in strip),
            drift,
        )

    def prepare(self, selection: Selection) -> None:
        """Turn to the page of the selected image; refuse a model that puts out no pictures."""
        self._select_page(selection.image, self._output(selection))

    def _output(self, selection: Selection) -> Tensor:
        """Return what is put out for the selected image, (C, H, W)."""
        kind = self._state.output_kind
        output = read_values(kind, self._state.output(selection=selection), 1)
        if kind.name != PICTURE:
            raise InputError(
                "this model puts out one number an image: there is nothing to see; output='binary' "
                "says that it is the logit of a class"
            )
        return output[0]

    def _select_page(self, image: int, output: Tensor | None = None) -> None:
        """Turn to the page of an image; the size of an output says how many fit on one."""
        if output is not None:
            self._size = min(COLUMNS, max(1, PAGE_VALUES // max(1, output.numel())))
        first = image // self._size * self._size
        last = min(first + self._size, len(self._state.image_set))
        self._images = tuple(range(first, last))

    # -- draw ---------------------------------------------------------------------------------

    def draw(self, page: PicturePage) -> str:
        """Send the pictures; return the line under them."""
        self.shown = page
        pitch = LARGE + GAP
        titles = [Label(name, GAP + i * pitch, 0, LARGE) for i, name in enumerate(page.names)]
        self._titles.show(titles, FRAME, 18)
        name_of = self._state.image_set.name
        large = Mosaic(len(page.names), LARGE, LARGE, columns=len(page.names))
        self._large.show_picture(
            rgb_png(large.paint(page.selected)),
            large.width,
            large.height,
            alt=f"{', '.join(page.names)} of {page.caption}",
        )
        self._names.show([(name, "") for name in page.names], SMALL + GAP)
        self.raster.show_tiles(
            rgb_png(page.mosaic.paint(page.page)),
            page.columns,
            page.images.index(page.image),
            names=tuple(f"{name_of(image)}: {', '.join(page.names)}" for image in page.images),
        )
        self.draw_below(page)
        return page.caption

    def draw_below(self, page: PicturePage) -> None:
        """Send the strip and the drift."""
        self._strip.show(page.strip, page.strip_steps, self._state.image_set.name(page.image))
        self.drift.show(page.drift)

    def clear(self) -> None:
        """Leave everything as it is: the pictures of the selected image are always known."""

    # -- what the user does -------------------------------------------------------------------

    def step(self, by: int) -> None:
        """Select the next image."""
        moved = self._state.selection.image + by
        if by and 0 <= moved < len(self._state.image_set):
            self._view.pick(moved)

    def _picked(self, place: int) -> None:
        if self.shown is not None:
            self._view.pick(self.shown.images[place])

    def _moved(self, x: int, y: int) -> None:
        found = self.shown.picture_at(x, y) if self.shown else None
        if found is not None:
            self._pointed.show(f"{self._state.image_set.name(found[0])} · {found[1]}")


def page_question(state: ModelState, checkpoint: int, images: tuple[int, ...]) -> Question:
    """Return the question to a checkpoint about the images of a page."""
    return state.output_history.question(checkpoint, images, whole=True)


def picture_caption(
    state: ModelState,
    own: PictureRow,
    limit: float,
    selection: Selection,
    drift: DriftCurves,
    has_targets: bool,
    recorded: RecordedOutputs | None,
) -> str:
    """Return the line under a page; ``limit`` is the end of the differences' scale."""
    target = "target" if own.target is not None else "input"
    compared = f"difference: output − {target}, {-limit:.2g} to {limit:.2g}"
    if own.output is not None and own.difference is None:
        compared = f"no difference: output and {target} are of different sizes"
    missing = f"{own.not_finite:,} values of the output NaN or infinite (magenta)"
    foreign = recorded is not None and recorded.foreign
    drawn = f", {selection.drawing.how}" if selection.drawing else ""
    no_targets = "" if has_targets else "no target pictures: no drift"
    parts = (
        f"{selection.label} · {state.image_set.name(own.image)}{drawn}",
        compared,
        missing if own.not_finite else "",
        f"by the targets': {drift_in_words(drift.here)}" if drift.here else no_targets,
        state.output_kind.note,
        "THE RUN WATCHED OTHER IMAGES: its outputs are not shown" if foreign else "",
    )
    return " · ".join(filter(None, parts))


class RecordedStrip:
    """A line of pictures: the outputs that a run has recorded for the selected image.

    `box` is what stands in the page.
    """

    def __init__(self, pointed: PointerLine) -> None:
        self._pointed = pointed
        self._steps: tuple[int, ...] = ()
        self._image = ""
        self._names = StripLabels()
        self._raster = Raster(FRAME - WIDTH, SMALL + 2 * GAP, label="recorded outputs")
        self._raster.on_move(self._moved, lambda: pointed.show(""))
        self.box = _side_by_side(self._names, self._raster)

    def show(self, pictures: np.ndarray, steps: tuple[int, ...], image: str) -> None:
        """Show pictures (n, side, side, 4) of an image at some steps; n may be 0."""
        self._steps, self._image = steps, image
        self._names.show([("recorded" if steps else "", "")], SMALL + GAP)
        if not steps:
            self._raster.show_picture(EMPTY_PNG, 1, 1)
            return
        mosaic = Mosaic(len(steps), SMALL, SMALL, columns=COLUMNS)
        said = f"outputs for {image}, recorded at the steps {', '.join(f'{s:,}' for s in steps)}"
        picture = rgb_png(mosaic.paint(pictures))
        self._raster.show_picture(picture, mosaic.width, mosaic.height, alt=said)

    def _moved(self, x: int, _y: int) -> None:
        steps, place = self._steps, (x - GAP) // (SMALL + GAP)
        if 0 <= place < len(steps):
            self._pointed.show(f"{self._image} · output recorded at step {steps[place]:,}")


def _side_by_side(*parts: Widget) -> Box:
    return Box(list(parts), layout=Layout(flex="0 0 auto", overflow="hidden"))


@dataclass(frozen=True, eq=False)
class PictureRow:
    """One image: four pictures, each uint8 (H, W, 3) or None where there is none.

    Attributes
    ----------
    difference : (H, W), output minus target, the mean of the channels; minus the input where there
        is no target, None where sizes differ.
    not_finite : how many values of the output are NaN or infinite.
    """

    image: int
    input: np.ndarray | None
    target: np.ndarray | None
    output: np.ndarray | None
    difference: np.ndarray | None
    not_finite: int = 0


def picture_row(
    images: ImageSet, image: int, output: Tensor | None, drawn: Tensor | None = None
) -> PictureRow:
    """Return the pictures of one image.

    Parameters
    ----------
    output : (C, H, W); None where it is not known yet.
    drawn : (C, H, W), what stands in for the image.
    """
    try:
        seen = images.input(image)[0] if drawn is None else drawn
        shown, target = images.preprocessing.undone(seen), images.target(image)
    except Exception:  # whatever a data set raises: the others are still fine
        return PictureRow(image, None, None, None, None)
    wanted = None if target is None else _plain(target, images)
    if output is None:
        return PictureRow(image, shown, _pixels(wanted), None, None)
    found = _plain(output, images)
    reference = wanted
    if wanted is None:
        undone = images.preprocessing
        own = seen.double() * undone.scale.reshape(-1, 1, 1) + undone.shift.reshape(-1, 1, 1)
        reference = own.numpy()
    fits = reference is not None and reference.shape == found.shape
    difference = (found - reference).mean(axis=0) if fits else None
    missing = int((~np.isfinite(found)).sum())
    return PictureRow(image, shown, _pixels(wanted), _pixels(found), difference, missing)


def _square(output: Tensor, images: ImageSet) -> np.ndarray:
    """Return an output (C, H, W) as a small picture, uint8 (side, side, 4)."""
    return in_square(_pixels(_plain(output, images)), SMALL)


def tiles_of_rows(rows: Sequence[PictureRow], side: int, limit: float) -> np.ndarray:
    """Return all inputs, then targets, outputs, differences: uint8 (4·n, side, side, 4).

    ``limit`` is the end of the differences' scale. A missing picture is transparent.
    """
    scale = Limits(-limit, limit, True)
    colours = palette(DIVERGING[0])
    columns = [
        [row.input for row in rows],
        [row.target for row in rows],
        [row.output for row in rows],
        [
            None
            if row.difference is None
            else colours[quantize(normalize(row.difference[None], scale))[0]][..., :3]
            for row in rows
        ],
    ]
    return np.stack([in_square(pixels, side) for column in columns for pixels in column])


def limit_of(rows: Sequence[PictureRow]) -> float:
    """Return the largest magnitude of all differences."""
    found = [np.abs(row.difference) for row in rows if row.difference is not None]
    finite = [each[np.isfinite(each)] for each in found]
    return max((float(each.max()) for each in finite if each.size), default=0.0)


def _plain(picture: Tensor, images: ImageSet) -> np.ndarray:
    """Return a picture (C, H, W) on the scale of [0, 1], float64."""
    return as_pictures(picture.detach().cpu()[None], images)[0].numpy()


def _pixels(picture: np.ndarray | None) -> np.ndarray | None:
    """Return a picture (C, H, W) as uint8 (H, W, 3), clipped; what is no number is magenta."""
    if picture is None or picture.ndim != 3:
        return None
    rgb = picture[:3] if len(picture) >= 3 else np.repeat(picture[:1], 3, axis=0)
    known = np.isfinite(rgb).all(axis=0)
    clipped = np.nan_to_num(rgb, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    pixels = np.rint(clipped * 255).astype(np.uint8).transpose(1, 2, 0)
    return np.where(known[..., np.newaxis], pixels, palette(DIVERGING[0])[NOT_A_NUMBER, :3])
