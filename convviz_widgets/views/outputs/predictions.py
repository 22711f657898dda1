"""Predictions: the most probable classes for the selected image, now and over the training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

import numpy as np
import torch
from bqplot import Mark
from ipywidgets import HTML, Layout, Widget
from traitlets import Int

from convviz_widgets.checkpoints import label_at
from convviz_widgets.errors import InputError
from convviz_widgets.probe.output_kinds import (
    MULTILABEL,
    PICTURE,
    SEGMENTATION,
)
from convviz_widgets.state import ModelState, Question, Selection, coarse_to_fine
from convviz_widgets.views.outputs.classes_shown import ClassesShown, how_in_words
from convviz_widgets.widgets.background_view import HistoryOptions, HistoryView, ResultSoFar
from convviz_widgets.widgets.framed_view import CLOCK, FramedView
from convviz_widgets.widgets.frames import Frame, FrameBook
from convviz_widgets.widgets.plot import (
    CURVES,
    CheckpointPlot,
    Plot,
    as_lines,
    draw_line,
    empty_frame,
    send,
)
from convviz_widgets.widgets.raster import Shapes
from convviz_widgets.widgets.text import ACCENT, PageHTML, PageText, Text, escaped

MOST_RIBBONS = 6
"""Classes that have a ribbon: they can be told apart, and their names fit."""


@dataclass(frozen=True)
class Answer:
    """The most probable classes at the clock's step, best first."""

    indices: tuple[int, ...]
    names: tuple[str, ...]
    probabilities: tuple[float, ...]
    truths: tuple[int, ...]
    """Indices of the true classes, more than one of several labels."""
    true_name: str
    kind: str
    """Where the probabilities come from."""
    step: int
    label: str
    """What the checkpoint is called."""
    drawn: str
    """What was done to the image, which the ribbons show as it was; empty for nothing."""


@dataclass(frozen=True)
class PredictionsSoFar(ResultSoFar):
    """The answer now; the picture is the `Ribbons` over the checkpoints."""

    answer: Answer

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Those of the most probable classes, the best first."""
        return self.answer.probabilities

    @property
    def names(self) -> tuple[str, ...]:
        """The names of these classes."""
        return self.answer.names

    @property
    def indices(self) -> tuple[int, ...]:
        """The indices of these classes."""
        return self.answer.indices


class PredictionsOptions(HistoryOptions, total=False):
    """Options of `Predictions`."""

    top: int


class Predictions(FramedView, HistoryView):
    """The top classes with their probabilities; the true class is marked.

    Probabilities are the softmax of class scores, or what a model puts out that ends in one; of one
    logit the sigmoid and what it leaves to class 0; of several labels the sigmoid of each, which do
    not sum to 1; of a map of scores the share of the positions that each class has.

    Below them the same over all checkpoints, as ribbons of the most probable classes and the true
    one; a click moves the clock. They take one forward pass for each checkpoint, run in the
    background when an image is looked at first.

    Of a model with one output that is not known to be of two classes: its sigmoid.

    `table` and `names` are what is written, `ribbons` the plot, once there is something to see.

    Examples
    --------
    >>> view = cvw.Predictions(state, top=2)
    >>> view.caption
    'softmax of 3 classes · step 200 · n = 1 image · true class: class 0'
    >>> state.output_history.wait(60)
    True
    >>> view.ribbons.click(view.ribbons.plot.to_pixel(0), 50)  # the first of the checkpoints
    >>> state.selection.step
    0
    """

    title: ClassVar[str] = "Predicted classes"
    depends: ClassVar[frozenset[str]] = frozenset({"key", "image", "checkpoint", "revision"})
    framed: ClassVar[frozenset[str]] = frozenset({"key", "image"})
    looks_ahead: ClassVar[bool] = True
    caption_text: ClassVar[type[Text]] = PageText
    instant: ClassVar[bool] = False
    frame: ClassVar[tuple[int, int]] = (566, 230)

    top = Int(5, min=1, help="How many classes to show.").tag(option=True)

    def __init__(self, state: ModelState, **options: Unpack[PredictionsOptions]) -> None:
        super().__init__(state, **options)

    def source(self, state: ModelState) -> Any:
        """Return what answers for all checkpoints."""
        return state.output_history

    def parts(self, selection: Selection) -> tuple[Question, ...]:
        """Return the question to every checkpoint, the clock's first, then from coarse to fine."""
        order = dict.fromkeys([selection.checkpoint, *coarse_to_fine(len(self.state.steps))])
        return tuple(self._question(index, selection.image) for index in order)

    def controls(self) -> Sequence[Widget]:
        """Return the table, tall enough for all its rows."""
        self._classes = ClassesShown(self.state.output_kind, self.state.image_set)
        self.table = PageHTML(layout=Layout(min_height=f"{26 * self.top}px", width="100%"))
        return [self.table]

    def figures(self) -> Sequence[Widget]:
        """Return the frame of the ribbons, their names, and the line under the pointer."""
        self.ribbons: RibbonPlot | None = None
        self._frame = empty_frame(*self.frame)
        self.names, self._pointed = RibbonNames(), self.clock_line()
        book = FrameBook(self.state, self.framed - CLOCK)
        self.keep_frames(book)
        return [self._frame, self._pointed, self.names, book]

    # -- compute ------------------------------------------------------------------------------

    def compute(self, selection: Selection) -> PredictionsSoFar:
        """Return the most probable classes, and the ribbons as far as they are known.

        Raises
        ------
        InputError
            For scores that are no probabilities, NaN among them.
        """
        answer = self._answer(selection)  # before the others are asked for
        so_far = super().compute(selection)
        return PredictionsSoFar(so_far.progress, so_far.picture, answer)

    def picture(self, selection: Selection) -> Ribbons | None:
        """Return the ribbons of the image, None before the first checkpoint has answered."""
        found = [self._shares(i, selection.image) for i in range(len(self.state.steps))]
        known = [each for each in found if each is not None]
        if not known:
            return None
        classes = max(map(len, known))
        unknown = np.full(classes, np.nan)
        shares = np.stack([unknown if each is None else each for each in found], axis=1)  # (K, T)
        truths = self._classes.truths(selection.image) if self._classes.named else ()
        truth = [label for label in truths if label < classes]
        here = shares[:, selection.checkpoint]
        best = [int(here.argmax())] if np.isfinite(here).all() else []
        chosen = chosen_classes(shares, [*truth, *best])
        is_alone = not self._classes.named or self.state.output_kind.name == MULTILABEL
        if is_alone:  # what does not sum to 1 is not stacked
            chosen = chosen[:1]
        names = tuple(map(self._classes.name, chosen)) if self._classes.named else ("the output",)
        return Ribbons(
            self.state.steps,
            names,
            shares[chosen],
            0 if truth else None,
            selection.checkpoint,
            "what is missing from 100%:" if is_alone else "all other classes",
        )

    def _answer(self, selection: Selection) -> Answer:
        kind = self.state.output_kind
        values = kind.values(self.state.output(selection=selection), 1).float()  # (1, K, ...)
        if kind.name == PICTURE:
            raise InputError(
                f"the model puts out {tuple(values.shape)}; class scores have the shape (N, K); "
                "OutputGallery shows pictures"
            )
        is_map = kind.name == SEGMENTATION
        shares = self._classes.shares(kind.masks(values) if is_map else values)
        if not shares.isfinite().all() or (is_map and not values.isfinite().all()):
            odd = int((~values.isfinite()).sum())
            raise InputError(
                f"{odd} of {values.numel()} outputs are NaN or infinite at "
                f"{selection.label}: there are no probabilities"
            )
        best, indices = torch.topk(shares, min(self.top, len(shares)))
        truths = self._classes.truths(selection.image) if self._classes.named else ()
        names = (
            tuple(map(self._classes.name, indices.tolist()))
            if self._classes.named
            else ("the output",)
        )
        return Answer(
            tuple(indices.tolist()),
            tuple(names) if self._classes.named else ("the output",),
            tuple(best.tolist()),
            truths,
            self._classes.true_name(selection.image, len(shares)),
            how_in_words(kind, values, self._classes.named, self._classes.name(1)),
            selection.step,
            selection.label,
            selection.drawing.how if selection.drawing else "",
        )

    def _question(self, index: int, image: int) -> Question:
        return self.state.output_history.question(index, (image,), whole=True)

    def _shares(self, index: int, image: int) -> np.ndarray | None:
        """Return the probabilities (K,) of an image at a checkpoint, None where not known."""
        answer = self.history.get(self._question(index, image))
        found = None if answer is None else answer.output(image)
        return None if found is None else self._classes.shares(found[None]).numpy()

    # -- draw ---------------------------------------------------------------------------------

    def draw(self, result: ResultSoFar) -> None:
        """Show the bars, and the ribbons below."""
        assert isinstance(result, PredictionsSoFar)
        super().draw(result)
        frame = self._frame_of(result.answer, self.state.selection.checkpoint)
        for text in (self.table, self._caption):
            text.value = frame.writes[text]["value"]
        self.show_frame(frame, self.state.selection)

    def frame_at(self, selection: Selection) -> Frame:
        """Return the table of any selection, with its caption."""
        return self._frame_of(self._answer(selection), selection.checkpoint)

    def _frame_of(self, answer: Answer, checkpoint: int) -> Frame:
        best = zip(answer.indices, answer.names, answer.probabilities, strict=True)
        rows = "".join(_row(name, share, index in answer.truths) for index, name, share in best)
        table = f'<table style="width:100%;border-spacing:0">{rows}</table>'
        caption = escaped(self._caption_of(answer))
        writes: dict[Widget, dict[str, Any]] = {
            self.table: {"value": table},
            self._caption: {"value": caption},
        }
        if self.ribbons is not None:
            writes[self.ribbons.overlay.pane] = {"drawing": self.ribbons.cursor(checkpoint)}
        return Frame(writes=writes)

    def _caption_of(self, answer: Answer) -> str:
        drawn = f", {answer.drawn} (the ribbons: as it was)" if answer.drawn else ""
        classes = "true classes" if len(answer.truths) > 1 else "true class"
        true = f"{classes}: {answer.true_name}" if answer.true_name else ""
        said = (
            answer.kind,
            answer.label,
            f"n = 1 image{drawn}",
            true,
            self.state.output_kind.note,
        )
        return " · ".join(filter(None, said))

    def draw_picture(self, picture: Ribbons) -> None:
        """Send the ribbons and their names."""
        if self.ribbons is None:
            self.ribbons = RibbonPlot(*self.frame, self.go_to, self._pointed.show)
            self.listen_to(self.ribbons.overlay)
        self.ribbons.show(picture)
        self.names.show(picture)
        self.reveal(self._frame, self.ribbons.overlay)


def _row(name: str, share: float, true: bool) -> str:
    """Return one line of the table: name, bar, percentage."""
    colour = ACCENT if true else "var(--jp-ui-font-color3, #999)"
    bar = f'<div style="background:{colour};height:14px;width:{share:.2%};min-width:1px"></div>'
    cell = "padding:3px 8px 3px 0;font-size:13px;color:var(--jp-ui-font-color1,#222)"
    called, cut = escaped(name), "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
    label = f'<span style="{cut}" title="{called}">{called}</span>'
    mark = '<span style="flex:none;white-space:pre"> ✓</span>' if true else ""
    return (
        f'<tr style="height:26px"><td style="{cell};width:34%;max-width:0">'
        f'<div style="display:flex">{label}{mark}</div></td>'
        f'<td style="{cell}">{bar}</td>'
        f'<td style="{cell};width:56px;text-align:right">{share:.1%}</td></tr>'
    )


@dataclass(frozen=True, eq=False)
class Ribbons:
    """Probabilities of some classes at every checkpoint.

    Attributes
    ----------
    steps : training steps of the checkpoints (T).
    names : names of the classes, the lowest ribbon first.
    shares : (classes, T); NaN where they are not known.
    truth : which of them is the true class; None: none, or it is not known.
    index : the checkpoint of the clock.
    rest : what is above them.
    """

    steps: tuple[int, ...]
    names: tuple[str, ...]
    shares: np.ndarray
    truth: int | None
    index: int
    rest: str = "all other classes"

    @property
    def colours(self) -> list[str]:
        """Colour of each class: the accent for the true one."""
        plain = iter(CURVES)
        return [ACCENT if i == self.truth else next(plain) for i in range(len(self.names))]

    @property
    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Checkpoints that are known, and the upper edges there, down to zero: (classes + 1, t)."""
        known = np.isfinite(self.shares).all(axis=0)
        stacked = np.cumsum(self.shares[:, known], axis=0)[::-1]
        return np.flatnonzero(known).astype(float), np.vstack([stacked, np.zeros(known.sum())])

    def at(self, index: int, height: float) -> str:
        """Say what lies at a checkpoint and a probability from 0 to 1, counted from below."""
        step, shares = label_at(self.steps, index), self.shares[:, index]
        if not np.isfinite(shares).all():
            return f"{step}: not known"
        place = int(np.searchsorted(np.cumsum(shares), height))
        if place == len(shares):
            return f"{step} · {self.rest} {max(0.0, 1 - shares.sum()):.1%}"
        return f"{step} · {self.names[place]} {shares[place]:.1%}"


def chosen_classes(shares: np.ndarray, always: Sequence[int]) -> list[int]:
    """Return the classes that get a ribbon: those asked for, then the most probable on average.

    Parameters
    ----------
    shares : (K, T), NaN where not known.
    always : classes to be among them, the first ones first.
    """
    known = shares[:, np.isfinite(shares).all(axis=0)]
    order = np.argsort(-known.mean(axis=1), kind="stable") if known.size else range(len(shares))
    return list(dict.fromkeys([*always, *map(int, order)]))[:MOST_RIBBONS]


class RibbonPlot(CheckpointPlot):
    """The plot of some `Ribbons`, with a cursor at the clock."""

    name: ClassVar[str] = "probabilities of the classes over the checkpoints"
    label: ClassVar[str] = "probability"
    _ribbons: Ribbons | None = None

    def marks(self) -> list[Mark]:
        """Return the areas."""
        self._areas = self.plot.new_line(y=np.zeros((2, 1)), fill="between", stroke_width=1)
        self.overlay.pane.drawn_by_frames = True
        return [self._areas]

    def show(self, ribbons: Ribbons) -> None:
        """Send the ribbons and the cursor."""
        self._ribbons = ribbons
        self.set_axes(ribbons.steps, (0.0, 1.0))
        colours = ribbons.colours[::-1]
        with self._areas.hold_sync():
            send(self._areas, *as_lines(*ribbons.edges))
            self._areas.colors = [*colours, colours[-1]]
            self._areas.fill_colors = [*colours, "transparent"]
            self._areas.fill_opacities = [0.75] * len(colours) + [0.0]
        self.overlay.pane.drawing = self.cursor(ribbons.index)

    def cursor(self, index: int) -> list[list[Any]]:
        """Return the line at a checkpoint, which the page draws."""
        shapes = Shapes()
        _draw_cursor(shapes, self.plot, index)
        return shapes.commands

    def words_of(self, index: int, y: int) -> str:
        """Say which class lies at a pixel, and how probable it is."""
        assert self._ribbons is not None
        return self._ribbons.at(index, self.plot.share_up(y))


def _draw_cursor(shapes: Shapes, plot: Plot, index: int) -> None:
    """Draw the line with a light edge, so that it shows on a ribbon of its colour, too."""
    x = plot.to_pixel(index)
    if x is not None:
        top, bottom = plot.top_and_bottom
        shapes.stroke_style, shapes.line_width = "#ffffff", 5
        shapes.stroke_line(x, top, x, bottom)
    draw_line(shapes, plot, index)


class RibbonNames(HTML):
    """The names of the ribbons beside their colours, in two lines of constant height."""

    def __init__(self) -> None:
        super().__init__(layout=Layout(height="42px", flex="0 0 auto", overflow="hidden"))

    def show(self, ribbons: Ribbons) -> None:
        """Write them, escaped."""
        self.value = '<div style="display:flex;flex-wrap:wrap;gap:0 14px">' + "".join(
            f'<span style="font-size:12px;line-height:20px;white-space:nowrap;max-width:170px;'
            f'overflow:hidden;text-overflow:ellipsis;color:var(--jp-ui-font-color1,#222)">'
            f'<span style="color:{colour}">■</span> {escaped(name)}'
            f"{' ✓' if place == ribbons.truth else ''}</span>"
            for place, (name, colour) in enumerate(zip(ribbons.names, ribbons.colours, strict=True))
        )
