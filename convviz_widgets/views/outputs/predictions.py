"""Predictions: the classes that the model finds most probable for the selected image."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Unpack

import numpy as np
import torch
from ipywidgets import HTML, Layout, VBox, Widget
from traitlets import Int

from convviz_widgets.errors import InputError
from convviz_widgets.state import ModelState, Progress, Question, Selection, coarse_to_fine
from convviz_widgets.views.outputs.ribbons import RibbonNames, RibbonPlot, Ribbons, chosen_classes
from convviz_widgets.widgets.background_view import HistoryOptions, HistoryView, Seen
from convviz_widgets.widgets.text import ACCENT
from convviz_widgets.widgets.thumbnails import class_name


@dataclass(frozen=True)
class Answer(Seen):
    """The most probable classes now, best first; the picture is the `Ribbons` over time."""

    indices: tuple[int, ...]
    names: tuple[str, ...]
    probabilities: tuple[float, ...]
    truth: int | None
    """Index of the true class."""
    true_name: str
    kind: str
    """Where the probabilities come from."""
    step: int
    drawn: str = ""
    """What was done to the image, which the ribbons show as it was; empty for nothing."""


class PredictionsOptions(HistoryOptions, total=False):
    """Options of `Predictions`."""

    top: int


class Predictions(HistoryView):
    """The top classes with their softmax probabilities; the true class is marked.

    Below them the same over all checkpoints, as ribbons of the most probable classes and the true
    one; a click moves the clock. They take one forward pass for each checkpoint, run in the
    background when an image is looked at first.

    Of a model with one output, which has no classes to choose from: the output and its sigmoid.

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
    instant: ClassVar[bool] = False
    frame: ClassVar[tuple[int, int]] = (566, 230)

    top = Int(5, min=1, help="How many classes to show.").tag(option=True)

    def __init__(self, state: ModelState, **options: Unpack[PredictionsOptions]) -> None:
        super().__init__(state, **options)

    def source(self, state: ModelState) -> Any:
        """Return what answers for all checkpoints."""
        return state.output_history

    def parts(self) -> tuple[Question, ...]:
        """Return the question to every checkpoint, the clock's first, then from coarse to fine."""
        count = len(self.state.steps)
        order = dict.fromkeys([self.state.selection.checkpoint, *coarse_to_fine(count)])
        return tuple(self._question(index) for index in order)

    def controls(self) -> Sequence[Widget]:
        """Return the table, tall enough for all its rows."""
        self._image = self.state.selection.image
        self.table = HTML(layout=Layout(min_height=f"{26 * self.top}px", width="100%"))
        return [self.table]

    def figures(self) -> Sequence[Widget]:
        """Return the frame of the ribbons, their names, and the line under the pointer."""
        width, height = self.frame
        self.ribbons: RibbonPlot | None = None
        self._frame = VBox(
            layout=Layout(width=f"{width}px", height=f"{height}px", overflow="hidden")
        )
        self.names, self._pointed = RibbonNames(), self.clock_line()
        return [self._frame, self._pointed, self.names]

    # -- compute ------------------------------------------------------------------------------

    def compute(self, selection: Selection) -> Answer:
        """Return the most probable classes, and the ribbons as far as they are known.

        Raises
        ------
        InputError
            For scores that are no probabilities, NaN among them.
        """
        self._image = selection.image
        answer = self._answer(selection)
        seen = super().compute(selection)
        drawn = selection.drawing.how if selection.drawing else ""
        return replace(answer, progress=seen.progress, picture=seen.picture, drawn=drawn)

    def picture(self, selection: Selection) -> Ribbons | None:
        """Return the ribbons of the image, None before the first checkpoint has answered."""
        found = [self._shares(index) for index in range(len(self.state.steps))]
        known = [each for each in found if each is not None]
        if not known:
            return None
        classes = max(map(len, known))
        unknown = np.full(classes, np.nan)
        shares = np.stack([unknown if each is None else each for each in found], axis=1)  # (K, T)
        label = self.state.image_set.label(selection.image)
        truth = [] if label is None or label >= classes or classes == 1 else [label]
        here = shares[:, selection.checkpoint]
        best = [int(here.argmax())] if np.isfinite(here).all() else []
        chosen = chosen_classes(shares, [*truth, *best])
        names = ("the output",) if classes == 1 else tuple(map(self._name, chosen))
        return Ribbons(
            self.state.steps,
            names,
            shares[chosen],
            0 if truth else None,
            selection.checkpoint,
        )

    def _answer(self, selection: Selection) -> Answer:
        scores = self.state.logits(selection=selection).float()  # (K,)
        label = self.state.image_set.label(selection.image)
        truth = "not known" if label is None else self._name(label)
        if len(scores) == 1:
            return self._one(scores[0], truth, selection)
        if label is not None and label >= len(scores):
            truth += f", WHICH HAS NO SCORE AMONG {len(scores)}"
        best = torch.topk(torch.softmax(scores, dim=0), min(self.top, len(scores)))
        _refuse_if_not_finite(best.values, scores, selection)
        indices = tuple(best.indices.tolist())
        names, shares = tuple(map(self._name, indices)), tuple(best.values.tolist())
        kind = f"softmax of {len(scores)} classes"
        return Answer(_NOTHING, None, indices, names, shares, label, truth, kind, selection.step)

    def _one(self, score: torch.Tensor, truth: str, selection: Selection) -> Answer:
        _refuse_if_not_finite(score, score, selection)
        share = torch.sigmoid(score).item()
        kind = (
            f"one output: {score.item():.4g}, the bar is its sigmoid: a probability only if "
            "trained as one"
        )
        step = selection.step
        return Answer(_NOTHING, None, (0,), ("the output",), (share,), None, truth, kind, step)

    def _question(self, index: int) -> Question:
        return self.state.output_history.question(index, (self._image,), whole=True)

    def _shares(self, index: int) -> np.ndarray | None:
        """Return the probabilities (K,) of the image at a checkpoint, None where not known."""
        answer = self.history.get(self._question(index))
        scores = None if answer is None else answer.output(self._image)
        if scores is None or scores.ndim != 1:
            return None
        shares = torch.sigmoid(scores) if len(scores) == 1 else torch.softmax(scores, dim=0)
        return shares.numpy()

    # -- draw ---------------------------------------------------------------------------------

    def draw(self, result: Seen) -> None:
        """Show the bars, and the ribbons below."""
        assert isinstance(result, Answer)
        classes = zip(result.indices, result.names, result.probabilities, strict=True)
        rows = "".join(_row(name, share, index == result.truth) for index, name, share in classes)
        self.table.value = f'<table style="width:100%;border-spacing:0">{rows}</table>'
        super().draw(result)
        drawn = f", {result.drawn} (the ribbons: as it was)" if result.drawn else ""
        self.say(
            f"{result.kind} · step {result.step:,} · n = 1 image{drawn} · "
            f"true class: {result.true_name}"
        )

    def draw_picture(self, picture: Ribbons) -> None:
        """Send the ribbons and their names."""
        if self.ribbons is None:
            self.ribbons = RibbonPlot(*self.frame, picked=self.go_to, pointed=self._pointed.show)
            self.listen_to(self.ribbons.overlay)
        self.ribbons.show(picture)
        self.names.show(picture)
        self.reveal(self._frame, self.ribbons.overlay)

    def _name(self, index: int) -> str:
        return class_name(self.state.image_set, index)


_NOTHING = Progress(0, 0)


def _refuse_if_not_finite(shown: torch.Tensor, scores: torch.Tensor, selection: Selection) -> None:
    if not shown.isfinite().all():
        odd = int((~scores.isfinite()).sum())
        raise InputError(
            f"{odd} of {scores.numel()} outputs are NaN or infinite at step {selection.step:,}: "
            "there are no probabilities"
        )


def _row(name: str, share: float, true: bool) -> str:
    """Return one line of the table: name, bar, percentage."""
    mark = " ✓" if true else ""
    colour = ACCENT if true else "var(--jp-ui-font-color3, #999)"
    bar = f'<div style="background:{colour};height:14px;width:{share:.2%};min-width:1px"></div>'
    cell = "padding:3px 8px 3px 0;font-size:13px;color:var(--jp-ui-font-color1,#222)"
    return (
        f'<tr style="height:26px"><td style="{cell};width:34%">{html.escape(name)}{mark}</td>'
        f'<td style="{cell}">{bar}</td>'
        f'<td style="{cell};width:56px;text-align:right">{share:.1%}</td></tr>'
    )
