"""What DeadFilters draws: how often the channels of a layer fire, at every checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convviz_widgets.checkpoints import label_at, number_at
from convviz_widgets.errors import InputError
from convviz_widgets.probe import LayerInfo, can_die, nonlinearity_of
from convviz_widgets.state import Selection, channel_count
from convviz_widgets.sweeps import Lifecycle, SweepResult, rate_bound
from convviz_widgets.tensors import BACKGROUND, HATCH_DARK, HATCH_LIGHT, Box, palette_png

RAREST, BY_CHANNEL = "rarest first", "by channel"

ORDERS = (RAREST, BY_CHANNEL)

MOST_CHANGES = 500
"""Entries of the list of changes; a longer one is cut and says so in the caption."""


@dataclass(frozen=True, eq=False)
class FiringPicture:
    """One layer at all checkpoints, and all layers at one.

    Attributes
    ----------
    layer : the activation that is shown.
    checkpoint : that of the clock.
    channel : the selected one, None where the selected layer has other channels.
    life, order, grid, png : those of the layer; None, and no file, where dead does not apply to it.
    layers : every activation with its counts at the clock's step, in words, and its name.
    changes : what happened in the layer, in words, with checkpoint and channel.
    swept : the checkpoints that were swept, as words and index.
    steps : training steps of all checkpoints.
    caption : the line under the picture.
    source : what the lifecycle was made from.
    """

    layer: str
    checkpoint: int
    channel: int | None
    life: Lifecycle | None
    order: np.ndarray
    grid: Grid | None
    png: bytes
    layers: tuple[tuple[str, str], ...]
    changes: tuple[tuple[str, tuple[int, int]], ...]
    swept: tuple[tuple[str, int], ...]
    steps: tuple[int, ...]
    caption: str
    source: tuple[object, ...]

    @property
    def boxes(self) -> tuple[Box, ...]:
        """What is to be highlighted in the picture."""
        if self.grid is None:
            return ()
        column = self.grid.column(self.checkpoint)
        if self.channel is None:
            return (column,)
        return (column, self.grid.row(self._row_of(self.channel)))

    def _row_of(self, channel: int) -> int:
        return int(np.flatnonzero(self.order == channel)[0])

    def cell_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Return checkpoint and channel at a pixel."""
        cell = self.grid.cell_at(x, y) if self.grid else None
        return None if cell is None else (cell[1], int(self.order[cell[0]]))

    def beside(self, dx: int, dy: int) -> tuple[int, int] | None:
        """Return checkpoint and channel of the cell that lies so far from the selected one."""
        if self.grid is None:
            return None
        here = 0 if self.channel is None else self._row_of(self.channel)
        row, column = here + dy, self.checkpoint + dx
        inside = 0 <= row < self.grid.rows and 0 <= column < self.grid.columns
        return (column, int(self.order[row])) if inside else None

    def describe(self, checkpoint: int, channel: int) -> str:
        """Say what a cell shows."""
        life = self.life
        assert life is not None, "there are no cells without a lifecycle"
        at = label_at(self.steps, checkpoint)
        if not life.known[channel, checkpoint]:
            return f"{at} · channel {channel}: not known"
        fired, images = life.fired[channel, checkpoint], life.images[checkpoint]
        happened = _event(life, checkpoint, channel)
        rate = f"{life.rates[channel, checkpoint]:.1%}"
        line = f"channel {channel} fires on {fired:,} of {images:,} images, {rate}"
        counts = f"dead {life.dead[:, checkpoint].sum()}, dying {life.dying[:, checkpoint].sum()}"
        return f"{at} ({counts} of {len(life.fired)}) · {line}" + (happened and f" · {happened}")


def firing_picture(
    results: Sequence[SweepResult | None],
    steps: tuple[int, ...],
    layers: Sequence[LayerInfo],
    selection: Selection,
    order: str,
    frame: tuple[int, int],
    before: FiringPicture | None,
) -> FiringPicture:
    """Return what there is to draw.

    Parameters
    ----------
    results : sweep of each checkpoint, None where it was not swept; not all of them.
    frame : width and height of the picture's frame in pixels.
    before : what was drawn last, whose image serves again where nothing has changed.

    Raises
    ------
    InputError
        The model has no activation, or it was not swept.
    """
    shown = nonlinearity_of(selection.layer, layers)
    if shown is None:
        raise InputError("this model has no activation layer: nothing in it can be dead")
    source = (shown.name, order, steps, *results)
    if before is not None and before.source == source:
        life, rows, grid, png = before.life, before.order, before.grid, before.png
    elif can_die(shown):
        life = Lifecycle.of(results, shown.name)
        rows = _ordered(life, order)
        grid = Grid.fit(len(rows), len(steps), frame[1], frame[0] - 16)  # the scroll bar's
        png = palette_png(paint_firing(life, rows, grid), firing_palette())
    else:
        life, rows, grid, png = None, np.arange(0), None, b""
    selected = next(layer for layer in layers if layer.name == selection.layer)
    same = channel_count(selected) == channel_count(shown)
    changes = () if life is None else _changes(life, steps)
    return FiringPicture(
        layer=shown.name,
        checkpoint=selection.checkpoint,
        channel=selection.channel if same else None,
        life=life,
        order=rows,
        grid=grid,
        png=png,
        layers=tuple(_rows(results[selection.checkpoint], layers)),
        changes=changes[:MOST_CHANGES],
        swept=tuple(
            (number_at(steps, index), index)
            for index, each in enumerate(results)
            if each is not None or index == selection.checkpoint
        ),
        steps=steps,
        caption=" · ".join(_sentences(shown, selected, life, selection, len(changes))),
        source=source,
    )


def _ordered(life: Lifecycle, order: str) -> np.ndarray:
    """Return the channels in the order of the rows: those first that fire least, or by number."""
    if order == BY_CHANNEL:
        return np.arange(len(life.fired))
    rates = np.nan_to_num(life.rates, nan=1.0).mean(axis=1)
    return np.lexsort((np.arange(len(rates)), rates, -life.dead.sum(axis=1)))


def _rows(result: SweepResult | None, layers: Sequence[LayerInfo]) -> list[tuple[str, str]]:
    """Return every activation with its counts, and its name."""
    swept = set() if result is None else {layer.name for layer in result.layers}
    return [
        (f"{layer.name:<16.16} {_counts(result, layer, swept)}", layer.name)
        for layer in layers
        if nonlinearity_of(layer.name, layers) is layer
    ]


def _counts(result: SweepResult | None, layer: LayerInfo, swept: set[str]) -> str:
    if not can_die(layer):
        return "does not apply"
    if layer.name not in swept:
        return "not swept"
    life = Lifecycle.of([result], layer.name)
    return f"dead {life.dead.sum()}, dying {life.dying.sum()} of {len(life.fired)}"


def _changes(life: Lifecycle, steps: tuple[int, ...]) -> tuple[tuple[str, tuple[int, int]], ...]:
    """Return what happened, in words, in order of time."""
    happened = (life.died | life.born | life.revived).T  # (T, C)
    return tuple(
        (
            f"{label_at(steps, checkpoint):<12} channel {channel} "
            f"{_event(life, checkpoint, channel)}",
            (int(checkpoint), int(channel)),
        )
        for checkpoint, channel in np.argwhere(happened)
    )


def _event(life: Lifecycle, checkpoint: int, channel: int) -> str:
    kinds = (("died", life.died), ("first fired", life.born), ("revived", life.revived))
    return next((name for name, flags in kinds if flags[channel, checkpoint]), "")


def _sentences(
    shown: LayerInfo,
    selected: LayerInfo,
    life: Lifecycle | None,
    selection: Selection,
    changes: int,
) -> list[str]:
    instead = "" if shown is selected else f" (the activation of {selected.name})"
    if life is None:
        return [
            f"{shown.name}{instead}: “dead” does not apply to {shown.kind}, "
            "whose output is hardly ever exactly zero"
        ]
    at = selection.checkpoint
    found = [f"{shown.name}{instead} · {selection.label}"]
    if not life.images[at]:
        found.append("not swept at this step")
        images = int(life.images.max())
    else:
        images = int(life.images[at])
        dead, dying = life.dead[:, at].sum(), life.dying[:, at].sum()
        found.append(f"dead (never fired): {dead} of {len(life.fired)}")
        found.append(f"dying (fires on < 1 %): {dying}")
    found.append(f"n = {images:,} images")
    found.append(
        "a channel that never fired on n images fires on less than "
        f"{rate_bound(images):.2%} of all (95 % bound, 3/n)"
    )
    if changes > MOST_CHANGES:
        found.append(f"listed: {MOST_CHANGES} of {changes:,} changes")
    return found


MARGIN = 3
"""Pixels around the cells: the width of a highlight, which goes around what it marks."""


@dataclass(frozen=True)
class Grid:
    """Where the cells lie: ``rows`` × ``columns`` of ``height`` × ``width`` pixels."""

    rows: int
    columns: int
    height: int
    width: int

    @classmethod
    def fit(cls, rows: int, columns: int, max_height: int, max_width: int) -> Grid:
        """Return the grid that fills a frame; cells have 3×4 pixels at least, 14×44 at most."""
        height, width = (max_height - 2 * MARGIN) // rows, (max_width - 2 * MARGIN) // columns
        return cls(rows, columns, min(14, max(3, height)), min(44, max(4, width)))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the picture in pixels."""
        return self.rows * self.height + 2 * MARGIN, self.columns * self.width + 2 * MARGIN

    def cell_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Return the row and the column at a pixel; None outside the cells."""
        row, column = int(y - MARGIN) // self.height, int(x - MARGIN) // self.width
        inside = 0 <= row < self.rows and 0 <= column < self.columns
        return (row, column) if inside and min(x, y) >= MARGIN else None

    def row(self, index: int) -> Box:
        """Return what lies around a row."""
        y = index * self.height
        return Box(0, y, self.shape[1], self.height + 2 * MARGIN)

    def column(self, index: int) -> Box:
        """Return what lies around a column."""
        x = index * self.width
        return Box(x, 0, self.width + 2 * MARGIN, self.shape[0])


GREYS = 200
"""Greys of the palette for firing rates from 0 to 1; what is ill stands out in colour."""

DEAD, DYING, DIED, BORN, REVIVED = range(GREYS, GREYS + 5)

COLOURS = {
    DEAD: (224, 49, 49),
    DYING: (245, 159, 0),
    DIED: (112, 72, 232),
    BORN: (47, 158, 68),
    REVIVED: (16, 152, 173),
    HATCH_DARK: (64, 64, 64),
    HATCH_LIGHT: (190, 190, 190),
}

GREY_ENDS = 90, 235
"""Greys of rates just above 0, and of 1: apart from a black and from a white page."""

EDGE = 2
"""Pixels of the mark at the left edge of the cell in which something happened."""


def firing_palette() -> np.ndarray:
    """Return the palette: uint8 (256, 4) RGBA."""
    colours = np.zeros((256, 4), np.uint8)
    greys = np.linspace(*GREY_ENDS, GREYS).round().astype(np.uint8)
    colours[:GREYS] = np.stack([greys, greys, greys, np.full(GREYS, 255, np.uint8)], axis=1)
    for index, colour in COLOURS.items():
        colours[index] = (*colour, 255)
    return colours


def paint_firing(life: Lifecycle, order: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the colours of the picture, as indices into the palette: uint8 (height, width).

    A cell is grey by its firing rate, or has the colour of dead or dying. In the cell where a
    channel died, was born or revived, the left edge is marked. What is not known is hatched.

    Parameters
    ----------
    order : int (C,), the channel of each row, the top one first.
    """
    cells = np.nan_to_num(life.rates * (GREYS - 1)).round().astype(np.uint8)  # (C, T)
    cells[life.dead], cells[life.dying] = DEAD, DYING
    marked = cells.copy()
    for colour, happened in ((DIED, life.died), (BORN, life.born), (REVIVED, life.revived)):
        marked[happened] = colour
    edge = min(EDGE, grid.width // 2)
    painted = np.repeat(cells[order], grid.width, axis=1)  # (C, T*width)
    for x in range(edge):
        painted[:, x :: grid.width] = marked[order]
    picture = np.full(grid.shape, BACKGROUND, np.uint8)
    inside = picture[MARGIN:-MARGIN, MARGIN:-MARGIN]
    inside[:] = np.repeat(painted, grid.height, axis=0)
    if not life.known.all():
        unknown = np.repeat(np.repeat(~life.known[order], grid.width, 1), grid.height, 0)
        inside[unknown] = _stripes(inside.shape)[unknown]
    if grid.height >= 6:  # a gap keeps rows apart where there is room for it
        inside[grid.height - 1 :: grid.height] = BACKGROUND
    return picture


def _stripes(shape: tuple[int, ...]) -> np.ndarray:
    diagonal = np.add.outer(np.arange(shape[0]), np.arange(shape[1])) // 3 % 4
    return np.select([diagonal == 0, diagonal == 2], [HATCH_LIGHT, HATCH_DARK], BACKGROUND)
