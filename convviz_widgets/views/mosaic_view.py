"""A view of many tiles, one of them selected: by a click, by the arrow keys, or elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ipywidgets import Widget

from convviz_widgets.state import Selection, channel_count
from convviz_widgets.tensors import Mosaic
from convviz_widgets.views.base import View
from convviz_widgets.views.option_controls import last_control
from convviz_widgets.views.picture import Picture, Tiles, paint
from convviz_widgets.views.pointer_line import PointerLine
from convviz_widgets.views.raster import Raster


@dataclass(frozen=True)
class Shown:
    """A picture, the selection that it was computed for, and the tile that it highlights."""

    picture: Picture
    selection: Selection
    tile: int | None


class MosaicView(View):
    """Show tiles in a `Raster`; a subclass says which tiles, and what a click on one means.

    The picture is painted again when a field in ``repaints`` changes; a change of anything else
    only moves the highlight.

    `raster` is the picture on the page, to be read or clicked on; `painted` says what it shows.
    """

    repaints: ClassVar[frozenset[str]] = frozenset()
    narrows: ClassVar[bool] = True
    frame: ClassVar[tuple[int, int]] = (566, 300)
    """Width and height of the frame in pixels."""
    min_tile: ClassVar[int] = 24
    max_tile: ClassVar[int] = 96
    steps: ClassVar[str] = ""
    """What the two buttons below the picture step through; without a name there are none."""

    def tiles(self, selection: Selection) -> Tiles:
        """Return what there is to show."""
        raise NotImplementedError

    def selected_tile(self, selection: Selection, picture: Picture) -> int | None:
        """Return the tile of the picture to highlight."""
        raise NotImplementedError

    def pick(self, tile: int) -> None:
        """Select what a tile stands for."""
        raise NotImplementedError

    def describe(self, tile: int, picture: Picture) -> str:
        """Say what a tile is, for the line that follows the pointer."""
        raise NotImplementedError

    def build(self) -> Sequence[Widget]:
        """Return the controls of the options, the raster, and the line under the pointer."""
        self._shown_now: Shown | None = None
        self._hovered: int | None = None
        self._controls = list(self.controls())
        self._pointed = PointerLine(self, self.frame[0], self.steps, self.step)
        before, after = last_control(self._controls), self._pointed.first_button()
        self.raster = Raster(*self.frame, before=before, after=after, hold=self.state.hold)
        self.raster.on_click(self._clicked)
        self.raster.on_move(self._moved, self._left)
        self.raster.on_arrow(self._arrow)
        return [*self._controls, self.raster, self._pointed]

    def controls(self) -> Sequence[Widget]:
        """Return the row of controls for the view's options."""
        return ()

    def mosaic(self, tiles: Tiles) -> Mosaic:
        """Return where the tiles lie in the frame."""
        count, height, width = tiles.values.shape[:3]
        room = self.frame[0] - 16  # the scroll bar's
        return Mosaic.fit(
            count,
            height,
            width,
            max_width=room,
            max_height=self.frame[1],
            min_tile=self.min_tile,
            max_tile=self.max_tile,
        )

    def compute(self, selection: Selection) -> Shown:
        """Return the picture, painted anew only if it would be another one, and the tile."""
        shown = self._shown_now
        if shown is None or not self.still_shows(selection, shown.selection):
            tiles = self.tiles(selection)
            picture = paint(tiles, self.mosaic(tiles))
        else:
            picture = shown.picture
        return Shown(picture, selection, self.selected_tile(selection, picture))

    def still_shows(self, selection: Selection, painted: Selection) -> bool:
        """Tell whether the tiles of one selection are those of another."""
        return not selection.changed(painted) & self.repaints

    def draw(self, result: Shown) -> None:
        """Send the picture and the highlight."""
        self._shown_now = result
        picture, tile = result.picture, result.tile
        mosaic = picture.mosaic
        boxes = () if tile is None else (mosaic.box(tile),)
        self.raster.show(picture.png, mosaic.width, mosaic.height, boxes)
        self.say(picture.tiles.caption + picture.reduction)
        named = self._hovered if self._hovered is not None else tile
        known = named is not None and named < mosaic.count
        self._pointed.show(self.describe(named, picture) if known and named is not None else "")

    def step(self, by: int) -> None:
        """Select the channel so many further on, if there is one: what the buttons do."""
        selection = self.state.selection
        moved = selection.channel + by
        if 0 <= moved < channel_count(self.state.layer_info(selection.layer)):
            self.state.select(channel=moved)

    @property
    def painted(self) -> Picture | None:
        """What is on the page: the tiles with their values, and where in the frame each lies.

        >>> view = cvw.ActivationMosaic(state)
        >>> view.painted.tiles.values.shape, view.painted.mosaic.count
        ((4, 6, 6), 4)
        """
        return self._shown_now.picture if self._shown_now else None

    @property
    def highlighted(self) -> int | None:
        """The tile that is outlined: the one that is selected, if it is among them.

        >>> state.channel = 3
        >>> cvw.ActivationMosaic(state).highlighted
        3
        """
        return self._shown_now.tile if self._shown_now else None

    def _option_changed(self, change: Any) -> None:
        self._shown_now = None
        super()._option_changed(change)

    def _clicked(self, x: int, y: int) -> None:
        tile = self.painted.mosaic.tile_at(x, y) if self.painted else None
        if tile is not None:
            self.guarded(lambda: self.pick(tile))

    def _arrow(self, dx: int, dy: int) -> None:
        shown = self._shown_now
        if shown is None or shown.tile is None:
            return
        moved = shown.tile + dx + dy * shown.picture.mosaic.columns
        if 0 <= moved < shown.picture.mosaic.count:
            self.guarded(lambda: self.pick(moved))

    def _moved(self, x: int, y: int) -> None:
        picture = self.painted  # another thread may paint a new one
        tile = picture.mosaic.tile_at(x, y) if picture else None
        if picture is not None and tile is not None and tile != self._hovered:
            self._hovered = tile
            self._pointed.show(self.describe(tile, picture))

    def _left(self) -> None:
        self._hovered = None
