"""DeadFilters: which filters never fire on any image, and when they died."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Unpack

from ipywidgets import BoundedIntText, Dropdown, HBox, Layout, Select, VBox, Widget
from traitlets import Enum

from convviz_widgets.checkpoints import label_at, noun_of
from convviz_widgets.errors import number_of
from convviz_widgets.state import ModelState, Selection
from convviz_widgets.sweeps import DYING as DYING_RATE
from convviz_widgets.sweeps import SweepResult
from convviz_widgets.views.units.firing_picture import (
    BORN,
    COLOURS,
    DEAD,
    DIED,
    DYING,
    GREY_ENDS,
    ORDERS,
    RAREST,
    REVIVED,
    FiringPicture,
    firing_picture,
)
from convviz_widgets.widgets.background_view import Offer, SweepView
from convviz_widgets.widgets.controls import choice, fill, labelled, legend, line, named
from convviz_widgets.widgets.raster import EMPTY_PNG, Raster
from convviz_widgets.widgets.text import Text
from convviz_widgets.widgets.view import ViewOptions

LEGEND = (
    ("fires on 0 %", (GREY_ENDS[0],) * 3),
    ("100 %", (GREY_ENDS[1],) * 3),
    (f"dying, < {100 * DYING_RATE:g} %", COLOURS[DYING]),
    ("dead", COLOURS[DEAD]),
    ("died", COLOURS[DIED]),
    ("first fired", COLOURS[BORN]),
    ("revived", COLOURS[REVIVED]),
)

NOT_SWEPT = (
    "Not swept yet. Whether a filter is dead shows on many images, never on one: of those that "
    "rest on one image most fire on another. A sweep takes all images of the state through the "
    "model."
)


class DeadFiltersOptions(ViewOptions, total=False):
    """Options of `DeadFilters`."""

    order: Literal["rarest first", "by channel"]


class DeadFilters(SweepView):
    """Firing rate of every channel of a layer at every checkpoint, over all images.

    A channel fires on an image if its map after the nonlinearity is not zero everywhere. *Dead*: it
    fires on no image of the set; *dying*: on less than 1 % of them [CS231n, understanding-cnn].
    This applies to ReLU and its like alone: what GELU, SiLU or a sigmoid put out is hardly ever
    exactly zero. A click moves the clock and selects the channel.

    `painted` says what is on the page, `raster` is the grid, to be read or clicked on.

    Examples
    --------
    >>> view = cvw.DeadFilters(state, sweep=sweep)
    >>> state.select(layer="1").step
    200
    >>> view.caption
    '1 · step 200 · dead (never fired): ...'
    >>> view.control("Step").value = 0
    >>> state.selection.step
    0
    """

    title: ClassVar[str] = "Dead filters"
    caption_lines: ClassVar[int] = 4
    depends: ClassVar[frozenset[str]] = frozenset(
        {"key", "checkpoint", "layer", "channel", "revision"}
    )
    frame: ClassVar[tuple[int, int]] = (566, 256)
    """Width and height of the frame in pixels."""

    order = Enum(ORDERS, RAREST, help="Order of the rows.").tag(option=True)

    def __init__(
        self,
        state: ModelState,
        *,
        sweep: SweepResult | None = None,
        **options: Unpack[DeadFiltersOptions],
    ) -> None:
        super().__init__(state, sweep=sweep, **options)

    def controls(self) -> Sequence[Widget]:
        """Return the order, and what a click does by other means: the step and the channel."""
        self._step = labelled(Dropdown, "Step", 150)
        self._channel = labelled(BoundedIntText, "Channel", 130, min=0, max=0)
        self.when_chosen(self._step, lambda step: self.select(checkpoint=step))
        self.when_chosen(self._channel, lambda channel: self._go(None, channel))
        return [line(choice(self, "order", "Rows", ORDERS, 190), self._step, self._channel)]

    def figures(self) -> Sequence[Widget]:
        """Return the grid with its ends, the legend, and the lists of layers and of changes."""
        self.painted: FiringPicture | None = None
        """What is on the page; None before anything has been swept."""
        self._ends = [Text(kind="quiet", flex="0 0 auto") for _ in range(2)]
        still = Layout(justify_content="space-between", flex="0 0 auto", overflow="hidden")
        self._axis = HBox(self._ends, layout=still)
        self._pointed = Text(kind="quiet")
        self._layers = _list("layers at the clock's step")
        self._changes = _list("deaths, births and revivals in this layer")
        self.when_chosen(self._layers, lambda layer: self.select(layer=layer))
        self.when_chosen(self._changes, lambda change: self._go(*change))
        self.raster = Raster(*self.frame, label=self.title)
        self.raster.on_click(self._clicked)
        self.raster.on_move(self._moved, lambda: self._pointed.show(""))
        self.raster.on_arrow(self._arrow)
        lists = HBox(
            [_titled(each) for each in (self._layers, self._changes)],
            layout=Layout(flex="0 0 auto", overflow="hidden"),
        )
        colours = legend(*((name, f"rgb{colour}", "solid") for name, colour in LEGEND))
        return [self.raster, self._axis, self._pointed, colours, lists]

    # -- compute ------------------------------------------------------------------------------

    def offers(self, selection: Selection) -> Sequence[Offer]:
        """Offer to sweep this checkpoint, and all of them."""
        missing = [index for index, each in enumerate(self.sweeps.all()) if each is None]
        unit = noun_of(self.state.steps)
        offers = []
        if len(missing) > 1:
            offers.append(Offer(f"Sweep {len(missing)} {unit}s", tuple(missing)))
        if selection.checkpoint in missing:
            offers.append(Offer(f"Sweep this {unit}", (selection.checkpoint,)))
        return offers

    def words(self, selection: Selection) -> str:
        """Say how many checkpoints have been swept."""
        swept = [each is not None for each in self.sweeps.all()]
        images = number_of(len(self.state.image_set), "image")
        return f"{sum(swept)} of {number_of(len(swept), 'checkpoint')} swept, {images}"

    def picture(self, selection: Selection) -> FiringPicture | None:
        """Return the grid and the lists, None before anything has been swept."""
        results = self.sweeps.all()
        if all(each is None for each in results):
            return None
        steps, layers, before = self.state.steps, self.state.layers, self.painted
        return firing_picture(results, steps, layers, selection, self.order, self.frame, before)

    # -- draw ---------------------------------------------------------------------------------

    def draw_picture(self, picture: FiringPicture | None) -> None:
        """Send the grid, the lists and the caption."""
        self.painted = picture
        if picture is None or picture.grid is None:
            self.raster.show_picture(EMPTY_PNG, 1, 1)
        else:
            height, width = picture.grid.shape
            self.raster.show_picture(
                picture.png, width, height, picture.boxes, f"{self.title}: {picture.caption}"
            )
            self._axis.layout.width = f"{width}px"
        self._show_ends(picture)
        self._pointed.show("")
        self._show_controls(picture)
        self.say(NOT_SWEPT if picture is None else picture.caption)

    def _show_ends(self, picture: FiringPicture | None) -> None:
        steps = self.state.steps
        known = picture is not None and picture.grid is not None
        for text, index in zip(self._ends, (0, -1), strict=True):
            text.show(label_at(steps, index) if known else "")

    def _show_controls(self, picture: FiringPicture | None) -> None:
        fill(self._step, picture.swept if picture else (), picture and picture.checkpoint)
        fill(self._layers, picture.layers if picture else (), picture and picture.layer)
        here = picture and (picture.checkpoint, picture.channel)
        fill(self._changes, picture.changes if picture else (), here)
        life = picture and picture.life
        self._channel.max = len(life.fired) - 1 if life else 0
        self._channel.value = (picture.channel or 0) if picture and life else 0
        self._step.disabled, self._channel.disabled = picture is None, life is None

    # -- what the user does -------------------------------------------------------------------

    def _go(self, checkpoint: int | None, channel: int) -> None:
        """Select a channel of the layer that is shown, and move the clock unless it is to stay."""
        picture = self.painted
        if picture is not None:
            clock = {} if checkpoint is None else {"checkpoint": checkpoint}
            layer = {} if picture.channel is not None else {"layer": picture.layer}
            self.select(channel=channel, **clock, **layer)

    def _clicked(self, x: int, y: int) -> None:
        cell = self.painted.cell_at(x, y) if self.painted else None
        if cell is not None:
            self._go(*cell)

    def _moved(self, x: int, y: int) -> None:
        picture = self.painted  # another thread may draw a new one
        cell = picture.cell_at(x, y) if picture else None
        if picture is not None and cell is not None:
            self._pointed.show(picture.describe(*cell))

    def _arrow(self, dx: int, dy: int) -> None:
        cell = self.painted.beside(dx, dy) if self.painted else None
        if cell is not None:
            self._go(*cell)


def _list(name: str) -> Select:
    found = named(Select(rows=5, layout=Layout(width="280px", height="94px")), name)
    found.add_class("cvw-mono")
    return found


def _titled(entries: Select) -> VBox:
    return VBox([Text(entries.description, "quiet"), entries], layout=Layout(overflow="hidden"))
