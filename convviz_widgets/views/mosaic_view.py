"""A view of many tiles, one of them selected: by a click, by the arrow keys, or elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ipywidgets import Widget

from convviz_widgets.state import Selection
from convviz_widgets.tensors import Mosaic
from convviz_widgets.views.base import View
from convviz_widgets.views.picture import Picture, Tiles, paint
from convviz_widgets.views.raster import Raster
from convviz_widgets.views.text import Text


class MosaicView(View):
    """Show tiles in a `Raster`; a subclass says which tiles, and what a click on one means.

    The picture is painted again when a field in ``repaints`` changes; a change of anything else
    only moves the highlight.
    """

    repaints: ClassVar[frozenset[str]] = frozenset()
    frame: ClassVar[tuple[int, int]] = (566, 300)
    """Width and height of the frame in pixels."""
    min_tile: ClassVar[int] = 24
    max_tile: ClassVar[int] = 96

    def tiles(self, selection: Selection) -> Tiles:
        """Return what there is to show."""
        raise NotImplementedError

    def selected_tile(self, selection: Selection) -> int | None:
        """Return the tile to highlight."""
        raise NotImplementedError

    def pick(self, tile: int) -> None:
        """Select what a tile stands for."""
        raise NotImplementedError

    def describe(self, tile: int, picture: Picture) -> str:
        """Say what a tile is, for the line that follows the pointer."""
        raise NotImplementedError

    def build(self) -> Sequence[Widget]:
        """Return the controls of the options, the raster, and the line under the pointer."""
        self._picture: Picture | None = None
        self._painted: Selection | None = None
        self._hovered: int | None = None
        self._controls = list(self.controls())
        self._raster = Raster(*self.frame, leave_to=self.first_control())
        self._raster.on_click(self._clicked)
        self._raster.on_move(self._moved, self._left)
        self._raster.on_arrow(self._arrow)
        self._pointed = Text(kind="quiet")
        return [*self._controls, self._raster, self._pointed]

    def controls(self) -> Sequence[Widget]:
        """Return the row of controls for the view's options."""
        return ()

    def first_control(self) -> Any:
        """Return the control that takes the focus when it leaves the picture."""
        rows = [getattr(row, "children", ()) for row in self._controls]
        return next((child for row in rows for child in row), None)

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

    def compute(self, selection: Selection) -> tuple[Picture, int | None]:
        """Return the picture, painted anew only if its tiles have changed, and the tile."""
        if self._picture is None or selection.changed(self._painted) & self.repaints:
            self._picture = None
            tiles = self.tiles(selection)
            self._picture, self._painted = paint(tiles, self.mosaic(tiles)), selection
        return self._picture, self.selected_tile(selection)

    def draw(self, result: tuple[Picture, int | None]) -> None:
        """Send the picture and the highlight."""
        picture, tile = result
        mosaic = picture.mosaic
        boxes = () if tile is None else (mosaic.box(tile),)
        self._raster.show(picture.png, mosaic.width, mosaic.height, boxes)
        reduced = f" · each pixel the extreme of {mosaic.reduce}×{mosaic.reduce}"
        self.say(picture.tiles.caption + (reduced if mosaic.reduce > 1 else ""))
        shown = self._hovered if self._hovered is not None else tile
        known = shown is not None and shown < mosaic.count
        self._pointed.show(self.describe(shown, picture) if known and shown is not None else "")

    def _option_changed(self, change: Any) -> None:
        self._picture = None
        super()._option_changed(change)

    def _clicked(self, x: int, y: int) -> None:
        tile = self._picture.mosaic.tile_at(x, y) if self._picture else None
        if tile is not None:
            self.guarded(lambda: self.pick(tile))

    def _arrow(self, dx: int, dy: int) -> None:
        picture, tile = self._picture, self.selected_tile(self.state.selection)
        if picture is None or tile is None:
            return
        moved = tile + dx + dy * picture.mosaic.columns
        if 0 <= moved < picture.mosaic.count:
            self.guarded(lambda: self.pick(moved))

    def _moved(self, x: int, y: int) -> None:
        picture = self._picture  # another thread may paint a new one
        tile = picture.mosaic.tile_at(x, y) if picture else None
        if picture is not None and tile is not None and tile != self._hovered:
            self._hovered = tile
            self._pointed.show(self.describe(tile, picture))

    def _left(self) -> None:
        self._hovered = None
