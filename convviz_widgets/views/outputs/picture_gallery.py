"""PictureWall: input, target, output and difference of an image-to-image model, and their drift."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from ipywidgets import Box, Layout, VBox, Widget
from PIL import Image
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.measure.drift import Drift, as_pictures
from convviz_widgets.measure.responses import checked_output
from convviz_widgets.state import Question, Selection, coarse_to_fine
from convviz_widgets.tensors import DIVERGING, Limits, Mosaic, normalize, palette, quantize, rgb_png
from convviz_widgets.views.outputs.drift import LEGEND, DriftPlot, RecordedOutputs, drift_in_words
from convviz_widgets.widgets.asked import spread
from convviz_widgets.widgets.controls import legend
from convviz_widgets.widgets.raster import EMPTY_PNG, Raster
from convviz_widgets.widgets.text import WIDTH, Label, StripLabels, TileLabels

COLUMNS = 8
"""Images on a page, and steps in a strip."""

SMALL, LARGE, GAP = 56, 139, 2
"""Sides of the pictures of the page, and of the selected image, and what lies between two."""

DRIFT_IMAGES = 256
"""Images over which chroma and contrast are taken at every checkpoint."""

LOOKED_AT = 8
"""Images of which one that can be read tells whether there are targets."""

PAGE_VALUES = 2**22
"""Of the outputs of a page; of larger pictures a page has fewer."""

NAMES = ("input", "target", "output", "difference")

NOT_A_NUMBER = np.array([255, 0, 255], np.uint8)


@dataclass(frozen=True, eq=False)
class PicturePage:
    """What there is to draw."""

    selected: np.ndarray
    """The four pictures of the selected image, uint8 (4, side, side, 4)."""
    page: np.ndarray
    """Those of the page, row by row."""
    images: tuple[int, ...]
    image: int
    strip: np.ndarray
    """Recorded outputs of the selected image, uint8 (n, side, side, 4); n may be 0."""
    strip_steps: tuple[int, ...]
    steps: tuple[int, ...]
    """Along the axis of the drift."""
    drifts: tuple[Drift | None, ...]
    place: int
    """Of the clock, on that axis."""
    caption: str


class PictureWall:
    """The pictures of an `OutputGallery` for an image-to-image model.

    Parameters
    ----------
    view
        The gallery: it holds the state, moves the clock and selects images.
    recorded
        What a run kept of its watched images.

    Attributes
    ----------
    shown : what is drawn; None before the first picture.
    page : the pictures of the page of images.
    drift : the plot of chroma and contrast; None as long as there is nothing to see.
    """

    def __init__(self, view: Any, recorded: RecordedOutputs | None) -> None:
        self._view, self._state, self._recorded = view, view.state, recorded
        self.drift: DriftPlot | None = None
        self.shown: PicturePage | None = None
        self._select_page(self._state.selection.image)

    # -- widgets ------------------------------------------------------------------------------

    def controls(self) -> Sequence[Widget]:
        """Return none: the controls of the state are enough."""
        return ()

    def figures(self, pointed: Any) -> Sequence[Widget]:
        """Return the selected image, the page, the strip if there is one, and the drift."""
        self._pointed = pointed
        after, hold = pointed.first_button(), self._state.hold
        self._titles = TileLabels(layout=Layout(width="566px", height="18px", margin="0"))
        self._large = Raster(566, LARGE + 2 * GAP, after=after, hold=hold)
        pitch = SMALL + GAP
        width = 566 - WIDTH
        self.page = Raster(width, len(NAMES) * pitch + GAP, after=after, hold=hold)
        self.page.on_click(self._clicked)
        self.page.on_move(self._moved, lambda: pointed.show(""))
        self.page.on_arrow(lambda dx, _dy: self.step(dx))
        self._names = StripLabels()
        page = _side_by_side(self._names, self.page)
        self._strip_names = StripLabels()
        self._strip = Raster(width, pitch + GAP, after=after, hold=hold)
        self._strip.on_move(self._over_strip, lambda: pointed.show(""))
        strip = _side_by_side(self._strip_names, self._strip)
        strip.layout.display = "none" if self._recorded is None else "flex"
        self._frame = VBox(layout=Layout(width="566px", height="164px", overflow="hidden"))
        entries = LEGEND if self._target_channels == 3 else LEGEND[2:]  # grey has no chroma
        self._drift_box = VBox([legend(*entries), self._frame])
        self._drift_box.layout.flex = "0 0 auto"
        self._drift_box.layout.display = "" if self._has_targets else "none"
        above = VBox([self._titles, self._large, page, strip, self._drift_box])
        above.layout.flex, above.layout.overflow = "0 0 auto", "hidden"
        return [above]

    # -- compute ------------------------------------------------------------------------------

    def questions(self, checkpoint: int) -> tuple[Question, ...]:
        """Return that for the page, then for the drift at every checkpoint."""
        history = self._state.output_history
        page = history.question(checkpoint, self._page_images, whole=True)
        if not self._has_targets:
            return (page,)
        return (page, *(self._drift_question(index) for index in self._order(checkpoint)))

    def picture(self, selection: Selection) -> PicturePage:
        """Return what is known by now.

        Raises
        ------
        InputError
            The model puts out no pictures.
        """
        output = self._output(selection)
        self._select_page(selection.image, output)
        page = self._state.output_history.question(
            selection.checkpoint, self._page_images, whole=True
        )
        answered = self._state.output_history.get(page)
        images = self._state.image_set
        drawing = selection.drawing
        own = picture_row(images, selection.image, output, drawing.input if drawing else None)
        rows = [
            own
            if image == selection.image
            else picture_row(images, image, None if answered is None else answered.output(image))
            for image in self._page_images
        ]
        recorded = self._recorded
        if recorded is not None and drawing is None:
            recorded.check(selection.step, selection.image, output)
        strip = [] if recorded is None or recorded.foreign else self._strip_of(selection.image)
        steps, drifts, place = self._drift_over(selection)
        limit = limit_of(rows)
        return PicturePage(
            tiles_of_rows([own], LARGE, limit),
            tiles_of_rows(rows, SMALL, limit),
            self._page_images,
            selection.image,
            np.stack([pixels for _, pixels in strip]) if strip else np.zeros(0, np.uint8),
            tuple(step for step, _ in strip),
            steps,
            drifts,
            place,
            self._caption(own, limit, selection, drifts[place] if drifts else None),
        )

    def _output(self, selection: Selection) -> Tensor:
        """Return what is put out for the selected image, (C, H, W)."""
        output = checked_output(self._state.output(selection=selection))
        if output.ndim != 4:
            raise InputError("this model puts out one number an image: there is nothing to see")
        return output[0]

    def _select_page(self, image: int, output: Tensor | None = None) -> None:
        """Turn to the page of an image; how many it has is settled with the first output."""
        if output is not None:
            self._size = min(COLUMNS, max(1, PAGE_VALUES // max(1, output.numel())))
        first = image // self._size * self._size
        last = min(first + self._size, len(self._state.image_set))
        self._page_images = tuple(range(first, last))

    _size = COLUMNS

    def prepare(self, selection: Selection) -> None:
        """Settle which page is asked for, and that the model puts out pictures."""
        self._select_page(selection.image, self._output(selection))

    @property
    def _has_targets(self) -> bool:
        return self._target_channels > 0

    @cached_property
    def _target_channels(self) -> int:
        """Channels of the target pictures, 0 for none."""
        for image in range(min(LOOKED_AT, len(self._state.image_set))):
            with suppress(Exception):  # one that cannot be read: others may
                target = self._state.image_set.target(image)
                return 0 if target is None else len(target)
        return 0

    def _order(self, checkpoint: int) -> list[int]:
        return list(dict.fromkeys([checkpoint, *coarse_to_fine(len(self._state.steps))]))

    def _drift_question(self, index: int) -> Question:
        images = spread(len(self._state.image_set), DRIFT_IMAGES)
        question: Question = self._state.output_history.question(index, images)
        return question

    def _drift_over(
        self, selection: Selection
    ) -> tuple[tuple[int, ...], tuple[Drift | None, ...], int]:
        """Return steps, drift at each, and the place of the clock among them."""
        if not self._has_targets:
            return (), (), 0
        recorded = self._recorded
        if recorded is not None and recorded.steps and not recorded.foreign:
            place = recorded.place_of(selection.step)
            return recorded.steps, tuple(recorded.drifts()), place
        history = self._state.output_history
        steps = self._state.steps
        found = [history.get(self._drift_question(index)) for index in range(len(steps))]
        drifts = tuple(None if each is None else Drift.of(each.drift) for each in found)
        return steps, drifts, selection.checkpoint

    def _strip_of(self, image: int) -> list[tuple[int, np.ndarray]]:
        assert self._recorded is not None
        images = self._state.image_set
        found = self._recorded.strip(image, COLUMNS)
        return [(step, fitted(picture_of(output, images), SMALL)) for step, output in found]

    def _caption(
        self, own: PictureRow, limit: float, selection: Selection, drift: Drift | None
    ) -> str:
        target = "target" if own.target is not None else "input"
        compared = f"difference: output − {target}, {-limit:.2g} to {limit:.2g}"
        if own.output is not None and own.difference is None:
            compared = f"no difference: output and {target} are of different sizes"
        missing = f"{own.not_finite:,} values of the output NaN or infinite (magenta)"
        foreign = self._recorded is not None and self._recorded.foreign
        of_run = "THE RUN WATCHED OTHER IMAGES: its outputs are not shown" if foreign else ""
        drawn = f", {selection.drawing.how}" if selection.drawing else ""
        no_targets = "" if self._has_targets else "no target pictures: no drift"
        parts = (
            f"step {selection.step:,} · {self._state.image_set.name(own.image)}{drawn}",
            compared,
            missing if own.not_finite else "",
            f"by the targets': {drift_in_words(drift)}" if drift is not None else no_targets,
            of_run,
        )
        return " · ".join(filter(None, parts))

    # -- draw ---------------------------------------------------------------------------------

    def draw(self, page: PicturePage) -> str:
        """Send the pictures; return the line under them."""
        self.shown = page
        pitch = LARGE + GAP
        self._titles.show(
            [Label(name, GAP + place * pitch, 0, LARGE) for place, name in enumerate(NAMES)],
            566,
            18,
        )
        large = Mosaic(len(NAMES), LARGE, LARGE, columns=len(NAMES))
        self._large.show(rgb_png(large.paint(page.selected)), large.width, large.height)
        self._names.show([(name, "") for name in NAMES], SMALL + GAP)
        mosaic = self._mosaic(page)
        place = page.images.index(page.image)
        boxes = [mosaic.box(row * len(page.images) + place) for row in range(len(NAMES))]
        self.page.show(rgb_png(mosaic.paint(page.page)), mosaic.width, mosaic.height, boxes)
        self._draw_strip(page)
        if page.steps:
            self._draw_drift(page)
        return page.caption

    def clear(self) -> None:
        """Leave everything as it is: the pictures of the selected image are always known."""

    def step(self, by: int) -> None:
        """Select the next image."""
        moved = self._state.selection.image + by
        if by and 0 <= moved < len(self._state.image_set):
            self._view.pick(moved)

    def _draw_strip(self, page: PicturePage) -> None:
        if not len(page.strip):
            self._strip.show(EMPTY_PNG, 1, 1)
            self._strip_names.show([("", "")], SMALL + GAP)
            return
        mosaic = Mosaic(len(page.strip), SMALL, SMALL, columns=COLUMNS)
        self._strip.show(rgb_png(mosaic.paint(page.strip)), mosaic.width, mosaic.height)
        self._strip_names.show([("recorded", "")], SMALL + GAP)

    def _draw_drift(self, page: PicturePage) -> None:
        if self.drift is None:
            self.drift = DriftPlot(566, 164, picked=self._go_to, pointed=self._pointed.show)
            self._view.listen_to(self.drift.overlay)
        self.drift.show(page.steps, page.drifts, page.place)
        self._view.reveal(self._frame, self.drift.overlay)

    @property
    def mosaic(self) -> Mosaic | None:
        """Where the pictures of the page lie, a row of images for each of `NAMES`."""
        return None if self.shown is None else self._mosaic(self.shown)

    def _mosaic(self, page: PicturePage) -> Mosaic:
        count = len(page.images)
        return Mosaic(len(NAMES) * count, SMALL, SMALL, columns=count)

    # -- what the user does -------------------------------------------------------------------

    def _go_to(self, place: int) -> None:
        """Move the clock to the checkpoint nearest to a place on the axis."""
        if self.shown is not None:
            away = np.abs(np.subtract(self._state.steps, self.shown.steps[place]))
            self._view.go_to(int(away.argmin()))

    def _image_at(self, x: int, y: int) -> tuple[int, str] | None:
        page = self.shown  # another thread may draw a new one
        tile = None if page is None else self._mosaic(page).tile_at(x, y)
        if page is None or tile is None:
            return None
        row, place = divmod(tile, len(page.images))
        return page.images[place], NAMES[row]

    def _clicked(self, x: int, y: int) -> None:
        found = self._image_at(x, y)
        if found is not None:
            self._view.guarded(partial(self._view.pick, found[0]))

    def _moved(self, x: int, y: int) -> None:
        found = self._image_at(x, y)
        if found is not None:
            self._pointed.show(f"{self._state.image_set.name(found[0])} · {found[1]}")

    def _over_strip(self, x: int, _y: int) -> None:
        page = self.shown
        place = (x - GAP) // (SMALL + GAP)
        if page is not None and 0 <= place < len(page.strip_steps):
            step = page.strip_steps[place]
            name = self._state.image_set.name(page.image)
            self._pointed.show(f"{name} · output recorded at step {step:,}")


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


def picture_of(output: Tensor, images: ImageSet) -> np.ndarray | None:
    """Return an output (C, H, W) as a picture, uint8 (H, W, 3)."""
    return _pixels(_plain(output, images))


def tiles_of_rows(rows: Sequence[PictureRow], side: int, limit: float) -> np.ndarray:
    """Return all inputs, then targets, outputs, differences: uint8 (4·n, side, side, 4).

    ``limit`` is the end of the differences' scale. What there is not is transparent.
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
    return np.stack([fitted(pixels, side) for column in columns for pixels in column])


def limit_of(rows: Sequence[PictureRow]) -> float:
    """Return the largest magnitude of all differences."""
    found = [np.abs(row.difference) for row in rows if row.difference is not None]
    finite = [each[np.isfinite(each)] for each in found]
    return max((float(each.max()) for each in finite if each.size), default=0.0)


def fitted(pixels: np.ndarray | None, side: int) -> np.ndarray:
    """Return a picture (H, W, 3) in the middle of a square: uint8 (side, side, 4).

    Enlarged by repeating pixels, shrunk by their means, its proportions kept.
    """
    square = Image.new("RGBA", (side, side))
    if pixels is not None:
        image = Image.fromarray(np.ascontiguousarray(pixels))
        scale = side / max(image.size)
        method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
        width, height = (max(1, round(length * scale)) for length in image.size)
        small = image.resize((width, height), method)
        square.paste(small, ((side - width) // 2, (side - height) // 2))
    return np.asarray(square)


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
    return np.where(known[..., np.newaxis], pixels, NOT_A_NUMBER)
