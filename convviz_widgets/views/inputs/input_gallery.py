"""InputGallery: what goes in, as pictures: training, validation, and the batches of a loader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
from ipywidgets import Widget
from torch import Tensor
from torch.utils.data import DataLoader
from traitlets import Bool, Enum

from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.images.duplicates import Compared
from convviz_widgets.state import DuplicateSearch, ModelState, Selection
from convviz_widgets.tensors import rgb_png
from convviz_widgets.views.inputs.gallery_sources import (
    IMAGES,
    LOADER,
    VALIDATION,
    GallerySource,
    GallerySources,
    Groups,
)
from convviz_widgets.widgets.controls import choice, line, switch
from convviz_widgets.widgets.mosaic_view import DrawnMosaic, MosaicView, Picture, Tiles
from convviz_widgets.widgets.progress_line import ProgressLine
from convviz_widgets.widgets.thumbnails import PageSlider, stacked, tile, tile_mosaic
from convviz_widgets.widgets.view import ViewOptions

SOURCES = (IMAGES, VALIDATION, LOADER)


@dataclass(frozen=True)
class GalleryTiles(Tiles):
    """The tiles of a page."""

    numbers: tuple[int, ...] = ()
    """Which samples they are."""
    equal: Groups = field(default_factory=dict)
    """Which samples were known to be equal."""

    def show(self, numbers: tuple[int, ...], equal: Groups) -> bool:
        """Tell whether this is what they look like."""
        return self.numbers == numbers and self.equal is equal


class InputGalleryOptions(ViewOptions, total=False):
    """Options of `InputGallery`."""

    source: Literal["images", "validation", "loader"]
    only: bool


class InputGallery(MosaicView):
    """Thumbnails of every sample as the model gets it, preprocessing undone, its class below.

    Samples that there are more than once are framed: equal bit by bit, within a set, in both sets
    (a leak), or in several batches. Finding them reads every image once, in the background, while
    the view is seen.
    A click, the arrow keys or the buttons select an image of the state; samples of the validation
    set and of the loader are only looked at.

    The loader's batches are those that its next epoch will begin with, for no generator is
    moved by looking at them.

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
    search : finds what there is more than once.
    search_line : the line that says so.

    Examples
    --------
    >>> view = cvw.InputGallery(state, validation=images)
    >>> view.search.wait(60)
    True
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
        self.refuse_others(state)
        if loader is not None and not isinstance(loader, DataLoader):
            raise InputError(f"loader: expected a DataLoader, got {type(loader).__name__}")
        self._sources = GallerySources(state.image_set, validation, loader)
        self.search = state.duplicate_searches.among(*self._sources.sets)
        super().__init__(state, **options)
        self.search_line.begin()

    # -- widgets ------------------------------------------------------------------------------

    def controls(self) -> Sequence[Widget]:
        """Return source and filter, the slider of pages, and the line of the search."""
        self.search_line = SearchLine(self, self.search)
        self._pages = PageSlider(self._turned)
        return [
            line(
                choice(self, "source", "Show", SOURCES, 190),
                switch(self, "only", "only those there are more than once", 260),
            ),
            self._pages.row,
            self.search_line,
        ]

    @property
    def place(self) -> str:
        """Which samples the page shows, of how many: "1–55 of 80"."""
        return self._pages.place

    # -- compute ------------------------------------------------------------------------------

    def compute(self, selection: Selection) -> DrawnMosaic:
        """Return the page, painted anew only if it is another one, and the tile."""
        self.search.look_on(self.search_line)
        self._sources.take_over(self.search.found)
        source, picture = self._sources[self.source], self.painted
        numbers = source.page(self.only)
        if picture is None or not _tiles(picture).show(numbers, source.equal):
            picture = painted(source, numbers)
        shown = self._shown_now
        same = shown is not None and shown.picture is picture
        frame = shown.frame if same and shown is not None else self.frame_of(picture)
        return DrawnMosaic(picture, selection, self.selected_tile(selection, picture), frame)

    def draw(self, result: DrawnMosaic) -> None:
        """Send the page, the highlight, and where the page is."""
        source = self._sources[self.source]
        self._pages.show(source.first, len(source.numbers(self.only)))
        self.search_line.draw()
        super().draw(result)

    def selected_tile(self, selection: Selection, picture: Picture) -> int | None:
        """Return the place of the selected sample on the page, if it is there."""
        numbers, chosen = _tiles(picture).numbers, self._chosen(selection)
        return numbers.index(chosen) if chosen in numbers else None

    def close(self) -> None:
        """Search no more for this view, and let go of every widget."""
        if hasattr(self, "search_line"):  # else the view was refused
            self.search_line.end()
        super().close()

    # -- what the user does -------------------------------------------------------------------

    def pick(self, tile: int) -> None:
        """Select the image; one that is not the state's is only highlighted."""
        assert self.painted is not None
        self._select(_tiles(self.painted).numbers[tile])

    def step(self, by: int) -> None:
        """Go to the next sample of those shown, on whatever page it is."""
        source, chosen = self._sources[self.source], self._chosen(self.state.selection)
        numbers = source.numbers(self.only)
        here = int(np.searchsorted(numbers, chosen)) if len(numbers) else 0
        on_it = here < len(numbers) and numbers[here] == chosen
        there = here + by if on_it or by < 0 else here
        if 0 <= there < len(numbers):
            source.turn_to(there)
            self._select(int(numbers[there]))

    def _chosen(self, selection: Selection) -> int:
        is_own = self.source == IMAGES
        return selection.image if is_own else self._sources[self.source].looked_at

    def _select(self, number: int) -> None:
        if self.source == IMAGES:
            self.state.select(image=number)
        else:
            self._sources[self.source].looked_at = number
            self.redraw()

    def _selected(self, change: Any) -> None:
        """Turn to the page of an image that was selected, here or elsewhere."""
        before, now = change.old, change.new
        if isinstance(before, Selection) and before.image != now.image and not self.only:
            self._sources[IMAGES].turn_to(now.image)
        super()._selected(change)

    def _turned(self, place: int) -> None:
        with self.state.hold():
            self.guarded(lambda: self._sources[self.source].turn_to(place))
            self.redraw()

    def _shown(self, change: Any) -> None:
        if not self.awake:
            self.search.leave(self.search_line)
        else:
            self._drawn = None  # the search may have found something meanwhile
        super()._shown(change)


class SearchLine(ProgressLine):
    """Says how far a search is, or what it has found; its button stops it, or has it go on.

    Parameters
    ----------
    view
        Is drawn again, in the background, after every slice of the search; it calls `draw`.
    search
        Finds what there is more than once.
    """

    def __init__(self, view: InputGallery, search: DuplicateSearch) -> None:
        self._view, self._search = view, search
        super().__init__(self._pressed)
        self.layout.width = f"{view.frame[0]}px"

    def begin(self) -> None:
        """Draw the view, which is whole now, whenever the search has gone on."""
        self._search.observe(self._searched)
        self._searched()

    def end(self) -> None:
        """Have nothing more searched for the view."""
        self._search.unobserve(self._searched)
        self._search.leave(self)

    def draw(self) -> None:
        """Say how far the search is, or what it has found."""
        search = self._search
        if search.is_over:
            self.show(search.problem or _summary(search.found))
        else:
            self.show(_how_far(search), search.progress, "Stop" if search.is_wanted else "Search")

    def _searched(self) -> None:
        if self._view.awake:
            self._view.redraw()

    def _pressed(self) -> None:
        self._search.want(not self._search.is_wanted)
        self._searched()


def painted(source: GallerySource, numbers: tuple[int, ...]) -> Picture:
    """Return a page of these samples: each a tile with its class, framed if it has an equal."""
    samples = [source.sample(number) for number in numbers]
    tiles = [tile(s, n in source.equal) for s, n in zip(samples, numbers, strict=True)]
    lines = tuple(
        " · ".join(filter(None, [sample.line, source.others(number)]))
        for sample, number in zip(samples, numbers, strict=True)
    )
    values, clipped = sum(s.values for s in samples), sum(s.clipped for s in samples)
    said = [_kind(source.shape), _undone(values, clipped), source.remark]
    broken = [sample for sample in samples if sample.pixels is None]
    if broken:
        said.append(f"{len(broken)} cannot be read: {broken[0].line}")
    pixels, mosaic = stacked(tiles), tile_mosaic(len(tiles))
    caption = " · ".join(filter(None, said))
    shown = GalleryTiles(pixels, caption=caption, numbers=numbers, labels=lines, equal=source.equal)
    return Picture(rgb_png(mosaic.paint(pixels)), mosaic, shown)


def _tiles(picture: Picture) -> GalleryTiles:
    assert isinstance(picture.tiles, GalleryTiles)
    return picture.tiles


def _how_far(search: DuplicateSearch) -> str:
    """Say how many samples have been compared, and how long the rest takes if it has to wait."""
    done, total = search.progress.done, search.progress.total
    count = f"{done:,} of {total:,} compared"
    if search.is_wanted:
        return f"looking for duplicates: {count}"
    rest = f", the rest takes about {_duration(search.seconds_left)}" if done else ""
    return f"duplicates: {count}{rest}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _summary(found: Compared | None) -> str:
    """Say what the search has found; nothing before it has ended."""
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
