"""InputGallery: what goes in, as pictures: training, validation, and the batches of a loader."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
from ipywidgets import IntSlider, Layout, Widget
from torch import Tensor
from torch.utils.data import DataLoader
from traitlets import Bool, Enum

from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet, loader_batches
from convviz_widgets.images.duplicates import DuplicateSearch
from convviz_widgets.state import ModelState, Selection
from convviz_widgets.tensors import Mosaic, rgb_png
from convviz_widgets.views.inputs.samples_shown import BatchShelf, SetShelf, Shelf, as_image_set
from convviz_widgets.widgets.background_view import SearchLine
from convviz_widgets.widgets.controls import choice, line, named, switch
from convviz_widgets.widgets.mosaic_view import MosaicView, Picture, Shown, Tiles
from convviz_widgets.widgets.text import Text
from convviz_widgets.widgets.thumbnails import PAGE, page_mosaic, stacked, tile
from convviz_widgets.widgets.view import ViewOptions

IMAGES, VALIDATION, LOADER = "images", "validation", "loader"

SOURCES = (IMAGES, VALIDATION, LOADER)

SETS = (IMAGES, VALIDATION)

BATCHES = 4
"""Batches of the loader that are looked at."""


@dataclass(frozen=True)
class GalleryTiles(Tiles):
    """The tiles of a page."""

    numbers: tuple[int, ...] = ()
    """Number of each sample."""
    lines: tuple[str, ...] = ()
    """What each sample is, in words."""


class InputGalleryOptions(ViewOptions, total=False):
    """Options of `InputGallery`."""

    source: Literal["images", "validation", "loader"]
    only: bool


class InputGallery(MosaicView):
    """Thumbnails of every sample as the model gets it, preprocessing undone, its class below.

    Samples that there are more than once are framed: equal bit by bit, within a set, in both sets
    (a leak), or in several batches. Finding them reads every image once, while the view is seen.
    A click, the arrow keys or the buttons select an image of the state; samples of the validation
    set and of the loader are only looked at.

    The loader's batches are those that its next epoch begins with, and it will: no generator is
    moved.

    Parameters
    ----------
    state
        Its images are the first set.
    validation
        Another `ImageSet`, tensor or map-style data set of images of the same kind.
    loader
        A `torch.utils.data.DataLoader` that makes batches of such images.

    Attributes
    ----------
    search_line : the line that says what there is more than once.

    Examples
    --------
    >>> view = cvw.InputGallery(state, validation=images)
    >>> view.search_line.words
    'duplicates in 5 images: none · ... · leak: 5 validation images'
    >>> view.control("next image").click()
    >>> view.pointed
    'image 1 · class 1 · equals validation image 1'
    """

    title: ClassVar[str] = "Inputs"
    steps: ClassVar[str] = "image"
    depends: ClassVar[frozenset[str]] = frozenset({"image"})
    instant: ClassVar[bool] = True
    caption_lines: ClassVar[int] = 3
    frame: ClassVar[tuple[int, int]] = (566, 334)

    source = Enum(SOURCES, IMAGES, help="Which samples are shown.").tag(option=True)
    only = Bool(False, help="Show only those that there are more than once.").tag(option=True)

    def __init__(
        self,
        state: ModelState,
        *,
        validation: ImageSet | Tensor | Any = None,
        loader: DataLoader[Any] | None = None,
        **options: Unpack[InputGalleryOptions],
    ) -> None:
        if not isinstance(state, ModelState):
            raise InputError(f"InputGallery shows a ModelState, got {type(state).__name__}")
        if loader is not None and not isinstance(loader, DataLoader):
            raise InputError(f"loader: expected a DataLoader, got {type(loader).__name__}")
        own = state.image_set
        sets = {IMAGES: own}
        self._shelves: dict[str, Shelf] = {
            IMAGES: SetShelf("image", own, own.preprocessing, own.class_names)
        }
        if validation is not None:
            sets[VALIDATION] = as_image_set(validation)
            its_own = sets[VALIDATION] is validation
            undoes = sets[VALIDATION].preprocessing if its_own else own.preprocessing
            shelf = SetShelf("validation image", sets[VALIDATION], undoes, own.class_names)
            self._shelves[VALIDATION] = shelf
        self._loader = loader
        self._search = DuplicateSearch(*sets.values())
        self._equal: dict[str, dict[int, tuple[tuple[int, ...], ...]]] = {}
        self._first: dict[str, int] = dict.fromkeys(SOURCES, 0)  # of the page, in the order shown
        self._looked_at: dict[str, int] = dict.fromkeys(SOURCES, 0)
        super().__init__(state, **options)

    # -- widgets ------------------------------------------------------------------------------

    def controls(self) -> Sequence[Widget]:
        """Return source and filter, the line of the search, and the slider of pages."""
        self.search_line = SearchLine(self._search, self._searched, self.frame[0])
        self._slider = named(
            IntSlider(min=0, max=0, readout=False, layout=Layout(width="330px", flex="0 0 auto")),
            "Page",
        )
        self._slider.observe(self._slid, names="value")
        self._place = Text(kind="quiet", flex="1 1 0", min_width="0")
        return [
            line(
                choice(self, "source", "Show", SOURCES, 190),
                switch(self, "only", "only those there are more than once", 260),
            ),
            line(self._slider, self._place),
            self.search_line,
        ]

    @property
    def place(self) -> str:
        """Which samples the page shows, of how many: "1–55 of 80"."""
        return html.unescape(self._place.value)

    # -- compute ------------------------------------------------------------------------------

    def compute(self, selection: Selection) -> Shown:
        """Return the page, painted anew only if it is another one, and the tile."""
        self.search_line.begin()
        self._take_over()
        shown = self._shown_now
        picture = shown.picture if shown else self._painted()
        return Shown(picture, selection, self.selected_tile(selection, picture))

    def draw(self, result: Shown) -> None:
        """Send the page, the highlight, and where the page is."""
        tiles = result.picture.tiles
        assert isinstance(tiles, GalleryTiles)
        count = len(self._order())
        first = self._first[self.source]
        self._turning = True
        self._slider.max = max(0, (count - 1) // PAGE)
        self._slider.value = first // PAGE
        self._turning = False
        self._place.show(
            f"{first + 1:,}–{first + len(tiles.numbers):,} of {count:,}" if count else "none"
        )
        self.search_line.draw(self._summary(), self.awake)
        super().draw(result)

    _turning = False

    def selected_tile(self, selection: Selection, picture: Picture) -> int | None:
        """Return the place of the selected sample on the page, if it is there."""
        assert isinstance(picture.tiles, GalleryTiles)
        chosen = selection.image if self.source == IMAGES else self._looked_at[self.source]
        numbers = picture.tiles.numbers
        return numbers.index(chosen) if chosen in numbers else None

    def describe(self, tile: int, picture: Picture) -> str:
        """Say what a sample is, and which ones equal it."""
        assert isinstance(picture.tiles, GalleryTiles)
        return picture.tiles.lines[tile]

    def pick(self, tile: int) -> None:
        """Select the image; one that is not the state's is only highlighted."""
        shown = self._shown_now
        assert shown is not None
        assert isinstance(shown.picture.tiles, GalleryTiles)
        self._select(shown.picture.tiles.numbers[tile])

    def step(self, by: int) -> None:
        """Go to the next sample of those shown, on whatever page it is."""
        order = self._order()
        chosen = self._chosen()
        here = int(np.searchsorted(order, chosen)) if len(order) else 0
        on_it = here < len(order) and order[here] == chosen
        there = here + by if on_it or by < 0 else here
        if 0 <= there < len(order):
            self._turn_to(there)
            self._select(int(order[there]))

    def _painted(self) -> Picture:
        shelf, order = self._shelf(), self._order()
        self._first[self.source] = min(self._first[self.source], max(0, len(order) - 1))
        self._first[self.source] -= self._first[self.source] % PAGE
        first = self._first[self.source]
        numbers = tuple(map(int, order[first : first + PAGE]))
        equal = self._equal.get(self.source, {})
        samples = [shelf.sample(number) for number in numbers]
        drawn = stacked([tile(s, n in equal) for s, n in zip(samples, numbers, strict=True)])
        broken = np.array([sample.pixels is None for sample in samples], bool)
        lines = tuple(
            " · ".join(filter(None, [sample.line, self._others(number)]))
            for sample, number in zip(samples, numbers, strict=True)
        )
        values, clipped = sum(s.values for s in samples), sum(s.clipped for s in samples)
        said = [_kind(shelf.shape), _undone(values, clipped), shelf.remark()]
        if broken.any():
            said.append(f"{broken.sum()} cannot be read: {samples[broken.argmax()].line}")
        tiles = GalleryTiles(
            drawn, caption=" · ".join(filter(None, said)), numbers=numbers, lines=lines
        )
        mosaic = self.mosaic(tiles)
        return Picture(rgb_png(mosaic.paint(drawn)), mosaic, tiles)

    def mosaic(self, tiles: Tiles) -> Mosaic:
        """Return where the tiles lie, always at the same size."""
        return page_mosaic(len(tiles.values))

    def _shelf(self) -> Shelf:
        if self.source in self._shelves:
            return self._shelves[self.source]
        if self.source == VALIDATION:
            raise InputError(
                "there is no validation set to show: InputGallery(state, validation=images)"
            )
        if self._loader is None:
            raise InputError("there is no loader to show: InputGallery(state, loader=loader)")
        own = self.state.image_set
        taken = loader_batches(self._loader, BATCHES)
        if not taken.batches:
            raise InputError("; ".join(taken.failures.values()) or "the loader has no batches")
        shelf = BatchShelf(taken, own.preprocessing, own.class_names)
        self._shelves[LOADER] = shelf
        self._equal[LOADER] = {number: (group,) for number, group in shelf.groups.items()}
        return shelf

    def _order(self) -> Sequence[int] | np.ndarray:
        """Return the numbers of the samples to show, ascending."""
        if self.only:
            return np.array(sorted(self._equal.get(self.source, {})), np.int64)
        return range(len(self._shelf()))

    # -- what equals what ---------------------------------------------------------------------

    def _take_over(self) -> None:
        """Take over what the search has found, once."""
        found = self._search.found
        if found is None or IMAGES in self._equal:
            return
        for which, source in enumerate(SETS[: len(self._search.sizes)]):
            self._equal[source] = {
                number: group for group in found.groups for number in group[which]
            }
        self._shown_now = None

    def _others(self, number: int) -> str:
        """Say which samples equal this one."""
        group = self._equal.get(self.source, {}).get(number)
        if group is None:
            return ""
        nouns = ("sample",) if self.source == LOADER else ("image", "validation image")
        own = SETS.index(self.source) if self.source in SETS else 0
        said = []
        for which, (noun, members) in enumerate(zip(nouns, group, strict=False)):
            others = [each for each in members if which != own or each != number]
            if others:
                more = f" and {len(others) - 4} more" if len(others) > 4 else ""
                said.append(f"{noun} {', '.join(map(str, others[:4]))}{more}")
        return f"equals {', '.join(said)}"

    def _summary(self) -> str:
        """Say what the search has found."""
        found = self._search.found
        if found is None:
            return ""
        said = []
        for which, noun in enumerate(("images", "validation images")[: len(found.counts)]):
            same = found.duplicates(which)
            count = f"{same.surplus:,} surplus" if same.groups else "none"
            unread = f", {len(same.failures):,} unreadable" if same.failures else ""
            said.append(f"duplicates in {same.count:,} {noun}: {count}{unread}")
        if len(found.counts) > 1:
            leak = found.leak()
            said.append(f"leak: {leak.shared:,} validation images" if leak.shared else "no leak")
        return " · ".join(said)

    def _searched(self) -> None:
        """Draw after a slice of the search."""
        if self.awake:
            self.redraw()

    # -- what is selected ---------------------------------------------------------------------

    def _chosen(self) -> int:
        if self.source == IMAGES:
            return self.state.selection.image
        return self._looked_at[self.source]

    def _select(self, number: int) -> None:
        if self.source == IMAGES:
            self.state.select(image=number)
        else:
            self._looked_at[self.source] = number
            self.redraw()

    def _selected(self, change: Any) -> None:
        """Turn to the page of an image that was selected, here or elsewhere."""
        before, now = change.old, change.new
        if isinstance(before, Selection) and before.image != now.image and not self.only:
            self._turn_to(now.image, IMAGES)
        super()._selected(change)

    def _turn_to(self, place: int, source: str | None = None) -> None:
        source = source or self.source
        first = place - place % PAGE
        if first != self._first[source]:
            self._first[source] = first
            self._shown_now = None

    def _slid(self, change: Any) -> None:
        if not self._turning:
            with self.state.hold():
                self._turn_to(PAGE * int(change.new))
                self.redraw()

    def _shown(self, change: Any) -> None:
        if not self.awake:
            self.search_line.draw(self._summary(), awake=False)
        elif not self._search.finished:
            self._drawn = None
        super()._shown(change)


def _kind(shape: tuple[int, ...]) -> str:
    channels = shape[0] if len(shape) == 3 else 1
    size = "×".join(map(str, shape[-2:]))
    if channels in (1, 3):
        return f"{size}, {'grey' if channels == 1 else 'RGB'}"
    seen = "the first 3 shown as RGB" if channels > 3 else "the first shown as grey"
    return f"{size}, {channels} channels, {seen}"


def _undone(values: int, clipped: int) -> str:
    share = clipped / max(1, values)
    return f"undone to [0, 255], clipped {share:.2%} of the n = {values:,} values on this page"
